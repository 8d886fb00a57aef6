-- phase: grants
-- says: ads.anomalies: aegis_reader has insert, which nobody granted on purpose
grant insert on ads.anomalies to aegis_reader;
