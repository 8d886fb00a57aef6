/*
What  A reader, buyer, analyst or application (or a login of theirs, or public) that may create objects in a schema
      which is not its own, or schemas or temporary objects in this database beyond what its kind needs.
Why   Who can create where others look up names can put a function or table in another's way.
Do    Revoke create on the schema (or create, temporary on the database) from that role.
*/
with

people as (
    select r.oid, r.rolname::text as rolname from pg_roles as r
    where
        not r.rolsuper and not r.rolcreaterole
        and (
            r.oid in ('aegis_app'::regrole, 'aegis_reader'::regrole, 'aegis_buyer'::regrole, 'aegis_analyst'::regrole)
            or r.oid in (select b.role_oid from tenancy.role_tenants as b)
        )
    union all
    select 0::oid, 'public'
)

select 'schema ' || n.nspname as object, p.rolname || ' may create in it' as problem
from people as p
cross join pg_namespace as n
where
    n.nspname not like 'pg\_temp\_%' and n.nspname not like 'pg\_toast%'
    and n.nspowner <> p.oid
    and has_schema_privilege(p.rolname::name, n.oid, 'create')
union all
select 'database ' || current_database(), p.rolname || ' may create schemas in it'
from people as p
where has_database_privilege(p.rolname::name, current_database(), 'create')
union all
select 'database ' || current_database(), 'public may create temporary tables in it'
where has_database_privilege('public', current_database(), 'temporary')
order by object, problem;
