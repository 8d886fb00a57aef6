-- The tenant is looked up by a function that claims never to change its answer: plans remember it.
-- class: pooled connections
create function tenancy.tenant_once() returns uuid language sql immutable
as $$ select nullif(current_setting('saas.tenant_id', true), '')::uuid $$;
grant execute on function tenancy.tenant_once() to aegis_app;
drop policy entities_app_select on ads.entities;
create policy entities_app_select on ads.entities for select to aegis_app using (tenant_id = tenancy.tenant_once());
