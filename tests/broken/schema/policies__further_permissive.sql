-- phase: policies
-- says: policy extra of ads.anomalies: is not one of ours
create policy extra on ads.anomalies for select to aegis_reader using (true);
