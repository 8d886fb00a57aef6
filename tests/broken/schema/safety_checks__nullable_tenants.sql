-- phase: safety checks
-- says: ads.extra: allows a tenant_id that is null
set role aegis_transformer;
create table ads.extra (tenant_id uuid);
