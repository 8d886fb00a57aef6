-- The context function looks its names up where the caller says, and an analyst can put names there.
create or replace function tenancy.visible_tenants() returns uuid[] language plpgsql stable parallel safe security definer
set search_path from current
as $$
begin
    return coalesce((
        select array_agg(b.tenant_id) from role_tenants as b
        inner join pg_catalog.pg_roles as r on b.role_oid = r.oid
        where r.rolname = tenancy.acting_role()
    ), '{}');
end
$$;
alter function tenancy.visible_tenants() reset search_path;
