-- phase: safety checks
-- says: ads.extra: has row security that is not forced
set role aegis_transformer;
create table ads.extra (tenant_id uuid not null);
alter table ads.extra enable row level security;
