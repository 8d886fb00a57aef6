/*
What a member of the application may do. The roles' permissions are rows; this function is the only place that reads them.
*/

set local role aegis_owner;

create or replace function tenancy.member_may(tenant_id uuid, person text, permission text)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform tenancy.require_tenant(member_may.tenant_id);
    if member_may.permission is null or member_may.permission !~ '^[a-z][a-z_]*:([*]|[a-z][a-z_]*)$' then
        raise exception '"%" is no permission', coalesce(member_may.permission, '(null)')
            using errcode = '22023', hint = 'Write resource:action, for instance campaigns:read or campaigns:*.';
    end if;
    return exists (
        select
        from tenancy.members as m
        inner join tenancy.role_permissions as p on m.role = p.role
        where m.person = member_may.person
            and m.tenant_id in (member_may.tenant_id, '00000000-0000-0000-0000-000000000000')
            and split_part(p.permission, ':', 1) in ('*', split_part(member_may.permission, ':', 1))
            and split_part(p.permission, ':', 2) in ('*', split_part(member_may.permission, ':', 2))
    );
end
$$;
comment on function tenancy.member_may(uuid, text, text) is
'Whether a member of the tenant may do resource:action there; false for who is no member, error 42501 for a foreign tenant.';

revoke execute on function tenancy.member_may(uuid, text, text) from public;
grant execute on function tenancy.member_may(uuid, text, text) to aegis_app, aegis_transformer;
