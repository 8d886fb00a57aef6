with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

final as (
    select
        changes.tenant_id,
        changes.platform,
        changes.level,
        changes.platform_id,
        changes.account_id,
        changes.day,
        changes.field,
        changes.old_value,
        changes.new_value
    from {{ ref('int_history__entity_changes') }} as changes
    inner join as_of on changes.tenant_id = as_of.tenant_id
    where changes.day <= as_of.as_of
)

select * from final
