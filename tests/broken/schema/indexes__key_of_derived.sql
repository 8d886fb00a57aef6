-- phase: indexes
-- says: index of ads.baselines: unique btree (tenant_id, platform, level, platform_id, window_days) is missing
alter table ads.baselines drop constraint baselines_pkey;
