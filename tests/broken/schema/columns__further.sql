-- phase: columns
-- says: column hint of ads.anomalies: is not part of the contract
alter table ads.anomalies add column hint text;
