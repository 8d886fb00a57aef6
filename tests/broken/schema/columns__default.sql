-- phase: columns
-- says: column min_days of ads.ab_tests: is integer not null, not integer not null default 14
alter table ads.ab_tests alter column min_days drop default;
