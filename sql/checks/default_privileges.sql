/*
What  Default privileges by which readers, the application or public would get rights on tables not made yet.
Why   A table that missed tenancy.protect() must be unreadable, not open.
Do    alter default privileges for role <owner> [in schema <schema>] revoke all on tables from <role>;
*/
select
    'default privileges of ' || d.defaclrole::regrole::text as object,
    format(
        'give %s %s%s', coalesce(r.rolname, 'public'), lower(a.privilege_type),
        coalesce(' in schema ' || nullif(d.defaclnamespace, 0)::regnamespace::text, '')
    ) as problem
from pg_default_acl as d
cross join lateral aclexplode(d.defaclacl) as a
left join pg_roles as r on a.grantee = r.oid
where
    d.defaclrole in (
        'aegis_owner'::regrole, 'aegis_loader'::regrole, 'aegis_transformer'::regrole
    )
    and d.defaclobjtype in ('r', 'f', 'S', 'n')
    and (a.grantee = 0 or a.grantee in ('aegis_app'::regrole, 'aegis_reader'::regrole, 'aegis_buyer'::regrole, 'aegis_analyst'::regrole))
order by object, problem;
