/*
What      Descriptions of the columns of the tables that people write, as BI tools and psql's \d+ show them.
Why       The derived tables get theirs from the models' YAML at each build; nothing builds these.
*/

set local role aegis_transformer;

comment on column ads.budget_allocation.tenant_id is 'Whose row it is.';
comment on column ads.budget_allocation.id is 'Made by the database.';
comment on column ads.budget_allocation.platform is 'meta, tiktok, google, pinterest or shopify.';
comment on column ads.budget_allocation.campaign_id is 'The campaign the budget is for.';
comment on column ads.budget_allocation.period_start is 'First day; the first of the running month where not given.';
comment on column ads.budget_allocation.period_end is 'Last day; the end of the month of period_start where not given.';
comment on column ads.budget_allocation.budget is 'What may be spent in the period, in currency.';
comment on column ads.budget_allocation.currency is 'Of all amounts of the row; the tenant''s where not given.';
comment on column ads.budget_allocation.notes is 'Free text.';
comment on column ads.budget_allocation.created_by is 'The person: saas.user_id where the application sets it, else the login.';
comment on column ads.budget_allocation.recommended_budget is 'What a day should spend from here on to land on the budget, in currency.';
comment on column ads.budget_allocation.spend_to_date is 'Spent from period_start to the newest complete day.';
comment on column ads.budget_allocation.expected_to_date is 'What should have been spent by then, weighted by weekday.';
comment on column ads.budget_allocation.pacing is 'spend_to_date / expected_to_date.';
comment on column ads.budget_allocation.pacing_status is 'under, on_track, over or unknown.';
comment on column ads.budget_allocation.projected_spend is 'Expected spend of the whole period at the present pace.';
comment on column ads.budget_allocation.expected_return is 'Conversion value expected from projected_spend.';
comment on column ads.budget_allocation.read_at is 'When the machine''s columns were computed.';

comment on column ads.ab_tests.tenant_id is 'Whose row it is.';
comment on column ads.ab_tests.id is 'Made by the database.';
comment on column ads.ab_tests.name is 'What people call the test.';
comment on column ads.ab_tests.test_type is 'creative, audience, bidding, placement or timing.';
comment on column ads.ab_tests.platform is 'meta, tiktok, google, pinterest or shopify.';
comment on column ads.ab_tests.metric is 'The one figure that decides: ctr, cvr, cpc, cpa or roas.';
comment on column ads.ab_tests.assignment is 'How people were assigned: platform_split_test, geo_split, time_split or observational; the last two declare no winner.';
comment on column ads.ab_tests.start_date is 'First day of the test.';
comment on column ads.ab_tests.end_date is 'Last day; null while it runs on.';
comment on column ads.ab_tests.min_sample is 'Conversions (clicks for ctr and cpc) a variant needs before anything is said.';
comment on column ads.ab_tests.min_days is 'Whole days it must run before anything is said.';
comment on column ads.ab_tests.alpha is 'Accepted share of false winners.';
comment on column ads.ab_tests.status is 'draft, running, completed or cancelled.';
comment on column ads.ab_tests.winner is 'Name of the winning variant; null without one.';
comment on column ads.ab_tests.verdict is 'winner, no_difference, directional, too_early or invalid.';
comment on column ads.ab_tests.read_at is 'When the machine''s columns were computed.';

comment on column ads.platform_configs.tenant_id is 'Whose row it is; the reserved tenant''s rows are the defaults.';
comment on column ads.platform_configs.platform is 'meta, tiktok, google, pinterest or shopify.';
comment on column ads.platform_configs.max_cpa is 'Most a conversion may cost, in currency.';
comment on column ads.platform_configs.target_roas is 'Conversion value for each unit of spend that is aimed at.';
comment on column ads.platform_configs.min_roas is 'Below this, spend is not worth it.';
comment on column ads.platform_configs.anomaly_detection_enabled is 'Whether incidents are raised.';
comment on column ads.platform_configs.thresholds is 'Further limits of rules and detectors by name.';
comment on column ads.platform_configs.conversion_event is 'The event that counts as a conversion, for accounts first loaded from now on.';
comment on column ads.platform_configs.max_daily_budget is 'No advice raises a daily budget above it, in currency.';
comment on column ads.platform_configs.currency is 'Of the amounts of the row.';
comment on column ads.platform_configs.legacy_rules is 'Whether the named rules raise advice by themselves.';
comment on column ads.platform_configs.updated_at is 'When the row was changed last.';
comment on column ads.platform_configs.updated_by is 'The person: saas.user_id where the application sets it, else the login.';
