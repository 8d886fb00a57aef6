-- phase: functions
-- says: function ads.detect_anomalies(tenant_id uuid): is missing
drop function ads.detect_anomalies(uuid);
