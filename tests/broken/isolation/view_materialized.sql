-- A materialized view cannot have row security.
create materialized view ads.spend_kept as select * from ads.metrics_daily;
alter materialized view ads.spend_kept owner to aegis_transformer;
grant select on ads.spend_kept to aegis_reader;
