-- phase: tables
-- says: table ads.ab_tests: is missing
drop table ads.ab_tests;
