/*
What      Tests are checked when a person writes them; budgets get a machine's column for the reasons of their figures.
Why       A test that cannot be read should be refused in words on the day it is written, not found invalid a day later;
          a pacing status that is unknown must say why.
Notice    A running test needs two variants with name, level and platform_id. budget_allocation.results is written by
          the build only.
*/

set local role aegis_transformer;

create trigger ab_tests_check before insert or update on ads.ab_tests
for each row when (current_user <> 'aegis_transformer') execute function ads_internal.check_ab_test();

comment on column ads.ab_tests.variants is
'[{name, level, platform_id, is_control, weight}]; without a control the first one is; without weights all are equal. A time split may name the "days" of each.';
comment on column ads.ab_tests.results is
'The read-out: reason of the verdict, each variant''s figures, each comparison with its fixed-horizon and always-valid interval.';
comment on column ads.ab_tests.p_value is 'Fixed horizon, two-sided, times the number of comparisons: true only for one look at the end.';
comment on column ads.ab_tests.sequential_p_value is 'Always valid, times the number of comparisons: may be looked at every day. Decides the verdict.';
comment on column ads.ab_tests.probability_best is 'Chance that the variant in the lead is the best one.';
comment on column ads.ab_tests.expected_loss is 'What choosing the variant in the lead costs on average, should another be better; in units of the metric.';
comment on column ads.ab_tests.srm_p_value is 'Chance of a split of people this uneven; below 0.001 the test is invalid.';

alter table ads.budget_allocation add column results jsonb;
comment on column ads.budget_allocation.results is
'Why the status is what it is: reason, band, days, the daily spend that would meet the budget, the gain of the recommended budget.';
