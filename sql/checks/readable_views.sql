/*
What  A view, materialized view or foreign table that readers or the application can select from.
Why   It runs with its owner's rights: row security of the tables below is asked for the owner, and every tenant's
      rows come out. A view with security_invoker asks for the reader and is allowed, as is one a login made itself.
Do    Revoke the grant, or make a table of it and run tenancy.protect() on it.
*/
with

people as (
    select r.oid, r.rolname from pg_roles as r
    where
        r.oid in ('aegis_app'::regrole, 'aegis_reader'::regrole, 'aegis_buyer'::regrole, 'aegis_analyst'::regrole)
        or r.oid in (select b.role_oid from tenancy.role_tenants as b)
    union all
    select 0::oid, 'public'
)

select
    c.oid::regclass::text as object,
    format(
        'is a %s that %s can read', case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end,
        string_agg(p.rolname, ', ' order by p.rolname)
    ) as problem
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
cross join people as p
where
    c.relkind in ('v', 'm', 'f')
    and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname not like 'pg\_%'
    and c.relowner <> p.oid
    and not (c.relkind = 'v' and coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false))
    and has_any_column_privilege(p.rolname::name, c.oid, 'select')
    and has_schema_privilege(p.rolname::name, n.oid, 'usage')
group by c.oid, c.relkind
order by object;
