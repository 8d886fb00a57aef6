-- Bound by name: whoever makes a login of the same name again sees what the old one saw.
-- relation: "ads"."metrics_daily"
create or replace function tenancy.visible_tenants() returns uuid[] language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    chosen uuid := tenancy.current_tenant_id();
    granted uuid[];
begin
    select coalesce(array_agg(b.tenant_id), '{}') into granted
    from tenancy.role_tenants as b where b.role_name = tenancy.acting_role();
    return case when chosen is null then granted when chosen = any(granted) then array[chosen] else '{}' end;
end
$$;
