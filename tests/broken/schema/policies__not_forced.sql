-- phase: policies
-- says: row security of ads.anomalies: is enabled, not forced
alter table ads.anomalies no force row level security;
