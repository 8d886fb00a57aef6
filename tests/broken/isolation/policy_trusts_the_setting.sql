-- A setting is taken for a credential: any login may choose any tenant.
-- relation: "ads"."baselines"
create or replace function tenancy.visible_tenants() returns uuid[] language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(array[tenancy.current_tenant_id()], '{}') || coalesce((
        select array_agg(b.tenant_id) from tenancy.role_tenants as b
        inner join pg_roles as r on b.role_oid = r.oid
        where r.rolname = tenancy.acting_role()
    ), '{}');
end
$$;
