-- phase: safety checks
-- says: ads.leak: is a view that aegis_analyst, aegis_buyer, aegis_reader can read
set role aegis_transformer;
create view ads.leak as select * from ads.metrics_daily;
grant select on ads.leak to aegis_reader;
