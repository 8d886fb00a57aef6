-- phase: seed rows
-- says: benchmark 
create view ads_internal.baselines_now as select 1 as n;
