/*
What  A row of tenancy.role_tenants for a role that was dropped, or for a login without the group role of its kind.
Why   The bound login can do less, or another one more, than the table says. Revoking deletes the rows first.
Do    delete from tenancy.role_tenants where role_name = '<login>' and …; or grant the login the role of its kind.
*/
select
    b.role_name as object,
    case
        when r.oid is null then format('is bound to tenant %s, but that role was dropped', b.tenant_id)
        else format('is bound to tenant %s as %s, but is no member of %s', b.tenant_id, b.kind, left('aegis_reader', -6) || b.kind)
    end as problem
from tenancy.role_tenants as b
left join pg_roles as r on b.role_oid = r.oid
left join pg_roles as g on g.rolname = left('aegis_reader', -6) || b.kind
where
    r.oid is null
    or g.oid is null
    or not exists (
        select from pg_auth_members as m
        where m.member = r.oid and m.roleid = g.oid and m.inherit_option
    )
order by object, problem;
