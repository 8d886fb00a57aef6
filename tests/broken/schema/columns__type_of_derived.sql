-- phase: columns
-- says: column n_days of ads.baselines: is integer, not bigint
alter table ads.baselines alter column n_days type integer;
