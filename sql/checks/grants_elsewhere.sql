/*
What  A right of readers, the application or a tenant's login outside of what they are meant to reach: tables of ads,
      the audit trail, the functions of ads and tenancy, and a schema of their own. Also any right given to a login
      directly, and any right of public.
Why   Raw, staging, history and ops have no row security: one grant there shows every tenant's rows.
Do    Revoke it. Rights are given to group roles only, by migrations, sql/functions and tenancy.protect().
*/
with

logins as (
    select r.oid, r.rolname from pg_roles as r
    where
        r.oid in (select b.role_oid from tenancy.role_tenants as b)
        or exists (
            select from pg_auth_members as m
            where
                m.member = r.oid and m.inherit_option
                and m.roleid in ('aegis_app'::regrole, 'aegis_reader'::regrole, 'aegis_buyer'::regrole, 'aegis_analyst'::regrole)
                and r.oid not in ('aegis_buyer'::regrole, 'aegis_analyst'::regrole)
                and not r.rolcreaterole and not r.rolsuper
        )
),

people as (
    select r.oid, r.rolname::text as rolname, false as is_login from pg_roles as r
    where r.oid in ('aegis_app'::regrole, 'aegis_reader'::regrole, 'aegis_buyer'::regrole, 'aegis_analyst'::regrole)
    union all
    select l.oid, l.rolname, true from logins as l
    union all
    select 0::oid, 'public', true
),

our_schemas as (
    select n.oid, n.nspname, n.nspowner, n.nspacl from pg_namespace as n
    where n.nspname in (
        'tenancy', 'ops', 'audit', 'history', 'raw_manual', 'staging', 'intermediate', 'ads_internal', 'ads', 'public'
    ) or n.nspname like 'raw\_%' or n.nspname ~ '^(staging|intermediate|history|ads_internal|ads)_'
),

relation_rights as (
    select c.oid, c.relnamespace, c.relkind, c.relowner, a.grantee, a.privilege_type
    from pg_class as c
    cross join lateral aclexplode(c.relacl) as a
    union all
    select c.oid, c.relnamespace, c.relkind, c.relowner, x.grantee, x.privilege_type || ' of column ' || a.attname
    from pg_class as c
    inner join pg_attribute as a on c.oid = a.attrelid
    cross join lateral aclexplode(a.attacl) as x
),

found as (
    select
        r.oid::regclass::text as object,
        p.rolname,
        lower(r.privilege_type) as privilege
    from relation_rights as r
    inner join our_schemas as s on r.relnamespace = s.oid
    inner join people as p on r.grantee = p.oid
    where
        r.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and (p.is_login or not (s.nspname = 'ads' or (s.nspname = 'audit' and r.privilege_type = 'SELECT')))
    union all
    select f.oid::regprocedure::text, p.rolname, lower(a.privilege_type)
    from pg_proc as f
    inner join our_schemas as s on f.pronamespace = s.oid
    cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
    inner join people as p on a.grantee = p.oid
    where
        (p.is_login or s.nspname not in ('ads', 'tenancy'))
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
        )
    union all
    select 'schema ' || s.nspname, p.rolname, lower(a.privilege_type)
    from our_schemas as s
    cross join lateral aclexplode(s.nspacl) as a
    inner join people as p on a.grantee = p.oid
    where p.is_login or s.nspname not in ('ads', 'tenancy', 'audit')
)

select
    f.object,
    format('%s has %s', f.rolname, string_agg(distinct f.privilege, ', ')) as problem
from found as f
group by f.object, f.rolname
order by f.object, f.rolname;
