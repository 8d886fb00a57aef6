-- phase: owners
-- says: function ads.detect_anomalies(tenant_id uuid): belongs to aegis_owner, not aegis_transformer
alter function ads.detect_anomalies(uuid) owner to aegis_owner;
