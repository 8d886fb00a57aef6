-- phase: indexes
-- says: index of ads.metrics_daily: btree (tenant_id, adset_id, day) where (level = 'ad'::text) is missing
drop index ads.metrics_daily_ads_idx;
