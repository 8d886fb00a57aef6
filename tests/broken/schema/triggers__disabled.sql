-- phase: triggers
-- says: trigger metrics_daily_record of ads.metrics_daily: reads
alter table ads.metrics_daily disable trigger metrics_daily_record;
