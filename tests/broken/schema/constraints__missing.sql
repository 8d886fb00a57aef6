-- phase: constraints
-- says: constraint anomalies_status_is_known of ads.anomalies: is missing
alter table ads.anomalies drop constraint anomalies_status_is_known;
