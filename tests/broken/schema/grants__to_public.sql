-- phase: grants
-- says: ads.metrics_daily: public has select
grant select on ads.metrics_daily to public;
