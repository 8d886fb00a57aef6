-- phase: policies
-- says: row security of ads.extra: is enabled
set role aegis_transformer;
create table ads.extra (tenant_id uuid not null);
