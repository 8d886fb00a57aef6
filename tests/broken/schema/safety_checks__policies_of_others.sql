-- phase: safety checks
-- says: ads.anomalies: has a policy extra (select to aegis_reader) that is not ours
create policy extra on ads.anomalies for select to aegis_reader using (true);
