-- phase: policies
-- says: row security of ads.anomalies: is off, not forced
alter event trigger aegis_ads_row_security disable;
alter table ads.anomalies disable row level security;
