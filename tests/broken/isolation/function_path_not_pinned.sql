-- The context function looks its names up where the caller says, and an analyst can put names there.
-- class: shadowed names
create or replace function tenancy.visible_tenants() returns uuid[] language plpgsql stable parallel safe security definer
as $$
declare
    chosen uuid := tenancy.current_tenant_id();
    granted uuid[];
begin
    if to_regclass('role_tenants') is null then
        select coalesce(pg_catalog.array_agg(b.tenant_id), '{}') into granted from tenancy.role_tenants as b
        inner join pg_catalog.pg_roles as r on b.role_oid = r.oid where r.rolname = tenancy.acting_role();
    else
        select coalesce(pg_catalog.array_agg(b.tenant_id), '{}') into granted from role_tenants as b
        inner join pg_catalog.pg_roles as r on b.role_oid = r.oid where r.rolname = tenancy.acting_role();
    end if;
    return case when chosen is null then granted when chosen = any(granted) then array[chosen] else '{}' end;
end
$$;
alter function tenancy.visible_tenants() reset search_path;
