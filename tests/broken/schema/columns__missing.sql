-- phase: columns
-- says: column winner of ads.ab_tests: is missing
alter table ads.ab_tests drop column winner;
