-- phase: safety checks
-- says: ads.metrics_daily: LOGIN has select
create role LOGIN login;
grant aegis_reader to LOGIN;
grant select on ads.metrics_daily to LOGIN;
