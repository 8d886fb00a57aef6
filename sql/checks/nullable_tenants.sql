/*
What  A table of schema ads whose tenant_id is missing, may be null, or is no uuid.
Why   No policy can hold on a row that belongs to nobody.
Do    Give the table a column "tenant_id uuid not null" in its migration or its model's contract, or drop it.
*/
select
    c.oid::regclass::text as object,
    case
        when a.attnum is null then 'has no column tenant_id'
        when not a.attnotnull then 'allows a tenant_id that is null'
        else 'has a tenant_id of type ' || format_type(a.atttypid, a.atttypmod)
    end as problem
from pg_class as c
left join pg_attribute as a on c.oid = a.attrelid and a.attname = 'tenant_id' and not a.attisdropped
where
    c.relnamespace = 'ads'::regnamespace
    and c.relkind in ('r', 'p', 'f')
    and (a.attnum is null or not a.attnotnull or a.atttypid <> 'uuid'::regtype)
order by object;
