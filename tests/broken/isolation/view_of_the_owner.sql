-- A view for convenience: it runs with its owner's rights, and shows every tenant's rows.
create view ads.spend_by_day as select tenant_id, day, spend, account_id from ads.metrics_daily;
alter view ads.spend_by_day owner to aegis_transformer;
grant select on ads.spend_by_day to aegis_reader;
