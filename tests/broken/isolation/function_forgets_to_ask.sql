-- An existing definer function loses its first statement.
-- class: definer functions
create or replace function tenancy.currency_of(tenant_id uuid) returns text language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select t.currency from tenancy.tenants as t where t.tenant_id = currency_of.tenant_id $$;
