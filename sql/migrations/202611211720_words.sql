/*
What      What people enter in budgets, tests and configurations is refused in words; a second row of the same key by a
          constraint whose name says what is wrong.
Why       "violates check constraint ab_tests_days_in_order" is a sentence for the person who wrote the constraint.
Notice    Only messages change: the constraints stay, and still hold for the transformer.
*/

set local role aegis_transformer;

create trigger ab_tests_fill before insert or update on ads.ab_tests
for each row when (current_user <> 'aegis_transformer') execute function ads_internal.check_test();

alter table ads.budget_allocation rename constraint budget_allocation_key to one_budget_per_campaign_and_period_start;
alter table ads.platform_configs rename constraint platform_configs_pkey to one_configuration_per_platform;
