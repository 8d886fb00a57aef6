-- phase: grants
-- says: ads.metrics_daily: LOGIN has select
create role LOGIN login;
grant select on ads.metrics_daily to LOGIN;
