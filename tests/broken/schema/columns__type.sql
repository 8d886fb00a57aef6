-- phase: columns
-- says: column spend of ads.metrics_daily: is double precision, not numeric(20,6)
alter table ads.metrics_daily alter column spend type double precision;
