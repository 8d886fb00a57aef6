-- Warns with what the build found odd in the data; each row also stands in ops.findings.

select * from {{ ref('int_quality__findings') }}
where severity <> 'info'
