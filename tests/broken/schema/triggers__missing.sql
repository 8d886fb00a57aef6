-- phase: triggers
-- says: trigger anomalies_guard of ads.anomalies: is missing
drop trigger anomalies_guard on ads.anomalies;
