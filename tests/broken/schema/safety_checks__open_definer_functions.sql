-- phase: safety checks
-- says: is security definer and executable by public
set role aegis_transformer;
create function ads.leak() returns bigint language sql security definer set search_path = pg_catalog
as 'select count(*) from ads.metrics_daily';
grant execute on function ads.leak() to public;
