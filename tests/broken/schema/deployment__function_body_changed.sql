-- phase: deployment
-- says: function tenancy.visible_tenants(): was changed by hand
set role aegis_owner;
create or replace function tenancy.visible_tenants() returns uuid[] language plpgsql stable parallel safe
security definer set search_path = pg_catalog, pg_temp as
$$ begin return array(select t.tenant_id from tenancy.tenants as t); end $$;
