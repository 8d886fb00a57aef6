/*
What  A role that row security does not hold for and that is one of ours, belongs to one of ours, or reaches ads.
Why   BYPASSRLS and superuser ignore every policy. No role of Aegis needs either.
Do    alter role <role> nobypassrls nosuperuser; or take its membership or its right on schema ads away.
*/
with recursive

members as (
    select r.oid from pg_roles as r
    where
        r.rolname in (
            'aegis_owner', 'aegis_loader', 'aegis_transformer', 'aegis_app', 'aegis_reader', 'aegis_buyer', 'aegis_analyst'
        )
    union
    select m.member from pg_auth_members as m
    inner join members as g on m.roleid = g.oid
    -- An administrator holds the roles it made with the admin option only; that is not using them.
    where m.inherit_option or m.set_option
)

select
    r.rolname::text as object,
    case when r.rolsuper then 'is a superuser and a member of one of our roles' else 'has BYPASSRLS' end as problem
from pg_roles as r
where
    (r.oid in (select m.oid from members as m) and (r.rolsuper or r.rolbypassrls))
    or (r.rolbypassrls and not r.rolsuper and has_schema_privilege(r.oid, 'ads', 'usage'))
order by object;
