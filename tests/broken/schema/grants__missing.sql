-- phase: grants
-- says: ads.metrics_daily: aegis_reader lacks select
revoke select on ads.metrics_daily from aegis_reader;
