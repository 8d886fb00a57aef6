-- phase: constraints
-- says: constraint ab_tests_alpha_is_share of ads.ab_tests: reads
alter table ads.ab_tests drop constraint ab_tests_alpha_is_share;
alter table ads.ab_tests add constraint ab_tests_alpha_is_share check (alpha > 0);
