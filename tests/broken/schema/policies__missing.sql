-- phase: policies
-- says: policy anomalies_reader_select of ads.anomalies: is missing
drop policy anomalies_reader_select on ads.anomalies;
