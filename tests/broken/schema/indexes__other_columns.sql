-- phase: indexes
-- says: index of ads.anomalies: btree (tenant_id, status, severity) is missing
drop index ads.anomalies_status_idx;
create index anomalies_status_idx on ads.anomalies (status, tenant_id, severity);
