-- A definer function without a question for the tenant, open to everybody as functions are by default.
-- class: definer functions
create function ads.report(tenant_id uuid) returns table (figures text) language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select m::text from ads.metrics_daily as m where m.tenant_id = report.tenant_id $$;
alter function ads.report(uuid) owner to aegis_transformer;
