/*
What      The tables of the contract that people write, or whose rows carry people's decisions.
Why       dbt fills them but never creates or swaps them, so decisions, hand rows, triggers and policies outlive every build.
Notice    Readers see rows only through the policies of tenancy.protect(); until that ran, nobody but the owner reads them.
*/

set local role aegis_transformer;

create table ads.metrics_daily (
    tenant_id uuid not null,
    platform text not null,
    level text not null,
    platform_id text not null,
    day date not null,
    account_id text not null,
    campaign_id text,
    adset_id text,
    currency text not null,
    spend numeric(20, 6),
    impressions bigint,
    clicks bigint,
    link_clicks bigint,
    conversions numeric(20, 6),
    conversion_value numeric(20, 6),
    view_through_conversions numeric(20, 6),
    reach bigint,
    frequency numeric,
    roas numeric,
    cpa numeric,
    cpc numeric,
    cpm numeric,
    ctr numeric,
    cvr numeric,
    spend_reporting numeric(20, 6),
    conversion_value_reporting numeric(20, 6),
    reporting_currency text,
    fx_rate numeric,
    maturity numeric,
    data_status text not null,
    source text not null,
    updated_at timestamptz not null default now(),
    constraint metrics_daily_pkey primary key (tenant_id, platform, level, platform_id, day),
    constraint metrics_daily_platform_is_known check (platform in ('meta', 'tiktok', 'google', 'pinterest')),
    constraint metrics_daily_level_is_known check (level in ('account', 'campaign', 'adset', 'ad')),
    constraint metrics_daily_source_is_known check (source in ('api', 'file', 'manual')),
    constraint metrics_daily_status_is_known check (data_status in ('final', 'provisional', 'withheld', 'missing')),
    constraint metrics_daily_spend_not_negative check (spend >= 0),
    constraint metrics_daily_impressions_not_negative check (impressions >= 0),
    constraint metrics_daily_clicks_not_negative check (clicks >= 0 and link_clicks >= 0),
    constraint metrics_daily_conversions_not_negative check (conversions >= 0 and view_through_conversions >= 0),
    constraint metrics_daily_maturity_is_share check (maturity between 0 and 1)
);
comment on table ads.metrics_daily is
'One row per tenant, platform, level, entity and day: the newest figures. Higher levels are sums of lower ones.';
create index metrics_daily_tenant_day_idx on ads.metrics_daily (tenant_id, day);
create index metrics_daily_account_day_idx on ads.metrics_daily (tenant_id, platform, account_id, day);
create index metrics_daily_campaigns_idx on ads.metrics_daily (tenant_id, day, campaign_id) where level = 'campaign';
create index metrics_daily_accounts_idx on ads.metrics_daily (tenant_id, day, platform) where level = 'account';
create index metrics_daily_ads_idx on ads.metrics_daily (tenant_id, adset_id, day) where level = 'ad';

create table ads.optimization_recommendations (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    recommendation_key text not null,
    as_of date not null,
    platform text not null,
    account_id text,
    level text not null,
    platform_id text not null,
    rule_id text not null,
    recommendation_type text not null,
    description text not null,
    rationale text not null,
    action jsonb not null,
    evidence jsonb not null,
    estimated_impact numeric(20, 6),
    estimated_impact_low numeric(20, 6),
    estimated_impact_high numeric(20, 6),
    currency text not null,
    confidence numeric not null,
    priority text not null,
    status text not null default 'pending',
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    snoozed_until timestamptz,
    approved_at timestamptz,
    applied_at timestamptz,
    observed_at timestamptz,
    rejected_at timestamptz,
    rejection_reason text,
    decided_by text,
    constraint optimization_recommendations_pkey primary key (tenant_id, id),
    constraint optimization_recommendations_key unique (tenant_id, recommendation_key, as_of),
    constraint optimization_recommendations_platform_is_known
    check (platform in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')),
    constraint optimization_recommendations_level_is_known check (level in ('account', 'campaign', 'adset', 'ad')),
    constraint optimization_recommendations_type_is_known check (
        recommendation_type in (
            'budget_increase', 'budget_decrease', 'pause', 'resume', 'bid_adjustment', 'audience', 'creative', 'timing'
        )
    ),
    constraint optimization_recommendations_priority_is_known check (priority in ('low', 'medium', 'high', 'critical')),
    constraint optimization_recommendations_status_is_known
    check (status in ('pending', 'approved', 'applied', 'rejected', 'expired', 'superseded')),
    constraint optimization_recommendations_confidence_is_share check (confidence between 0 and 1),
    -- Deferred, so that one statement may supersede a row and raise its successor.
    constraint optimization_recommendations_one_open exclude using btree (
        tenant_id with =, platform with =, level with =, platform_id with =, recommendation_type with =
    ) where (status in ('pending', 'approved')) deferrable initially deferred
);
comment on table ads.optimization_recommendations is
'One row per tenant and recommendation raised: what to change, why, what it should gain, and what people decided.';
create index optimization_recommendations_status_idx
on ads.optimization_recommendations (tenant_id, status, estimated_impact desc);

create table ads.anomalies (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    anomaly_key text not null,
    platform text not null,
    account_id text,
    level text not null,
    platform_id text not null,
    anomaly_type text not null,
    metric text not null,
    day date not null,
    last_day date not null,
    observed numeric,
    expected numeric,
    lower_bound numeric,
    upper_bound numeric,
    deviation numeric,
    score numeric,
    loss_per_day numeric(20, 6),
    currency text,
    severity text not null,
    confidence numeric,
    status text not null default 'active',
    is_tracking_outage boolean not null default false,
    explained_by text,
    parent_id uuid,
    known_as_of date not null,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    constraint anomalies_pkey primary key (tenant_id, id),
    constraint anomalies_key unique (tenant_id, platform, level, platform_id, anomaly_type, metric, day),
    constraint anomalies_platform_is_known check (
        platform in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')
        or (platform = 'all' and level = 'tenant')
    ),
    constraint anomalies_level_is_known check (level in ('tenant', 'account', 'campaign', 'adset', 'ad')),
    constraint anomalies_type_is_known check (
        anomaly_type in ('spend_spike', 'spend_drop', 'cost_spike', 'ctr_drop', 'roas_drop', 'conversion_drop')
    ),
    constraint anomalies_severity_is_known check (severity in ('low', 'medium', 'high', 'critical')),
    constraint anomalies_status_is_known check (status in ('active', 'acknowledged', 'resolved', 'withdrawn')),
    constraint anomalies_days_in_order check (last_day >= day)
);
comment on table ads.anomalies is
'One row per tenant and incident: an entity whose figures left their expected range from day to last_day.';
create index anomalies_status_idx on ads.anomalies (tenant_id, status, severity);

create table ads.budget_allocation (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    platform text not null,
    campaign_id text not null,
    period_start date not null default date_trunc('month', current_date)::date,
    period_end date not null,
    budget numeric(20, 6) not null,
    currency text not null,
    notes text,
    created_by text,
    recommended_budget numeric(20, 6),
    spend_to_date numeric(20, 6),
    expected_to_date numeric(20, 6),
    pacing numeric,
    pacing_status text,
    projected_spend numeric(20, 6),
    expected_return numeric(20, 6),
    read_at timestamptz,
    constraint budget_allocation_pkey primary key (tenant_id, id),
    constraint budget_allocation_key unique (tenant_id, platform, campaign_id, period_start),
    constraint budget_allocation_platform_is_known check (platform in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')),
    constraint budget_allocation_budget_not_negative check (budget >= 0),
    constraint budget_allocation_period_in_order check (period_end >= period_start),
    constraint budget_allocation_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
    constraint budget_allocation_pacing_status_is_known
    check (pacing_status in ('under', 'on_track', 'over', 'unknown'))
);
comment on table ads.budget_allocation is
'One row per tenant, platform, campaign and period: the budget people set, and how spend paces against it.';
comment on column ads.budget_allocation.period_end is 'Filled by trigger with the end of the month of period_start.';

create table ads.ab_tests (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    name text not null,
    test_type text not null,
    platform text not null,
    metric text not null default 'cpa',
    assignment text not null default 'observational',
    variants jsonb not null,
    start_date date not null default current_date,
    end_date date,
    min_sample bigint not null default 100,
    min_days integer not null default 14,
    alpha numeric not null default 0.05,
    status text not null default 'draft',
    results jsonb,
    winner text,
    p_value numeric,
    sequential_p_value numeric,
    probability_best numeric,
    expected_loss numeric,
    srm_p_value numeric,
    verdict text,
    read_at timestamptz,
    constraint ab_tests_pkey primary key (tenant_id, id),
    constraint ab_tests_platform_is_known check (platform in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')),
    constraint ab_tests_type_is_known check (test_type in ('creative', 'audience', 'bidding', 'placement', 'timing')),
    constraint ab_tests_metric_is_known check (metric in ('ctr', 'cvr', 'cpc', 'cpa', 'roas')),
    constraint ab_tests_assignment_is_known
    check (assignment in ('platform_split_test', 'geo_split', 'time_split', 'observational')),
    constraint ab_tests_status_is_known check (status in ('draft', 'running', 'completed', 'cancelled')),
    constraint ab_tests_verdict_is_known
    check (verdict in ('winner', 'no_difference', 'directional', 'too_early', 'invalid')),
    constraint ab_tests_alpha_is_share check (alpha > 0 and alpha < 1),
    constraint ab_tests_days_in_order check (end_date >= start_date),
    constraint ab_tests_variants_is_list check (jsonb_typeof(variants) = 'array')
);
comment on table ads.ab_tests is 'One row per tenant and test: what people compare, and the read-out.';

create table ads.platform_configs (
    tenant_id uuid not null,
    platform text not null,
    max_cpa numeric(20, 6),
    target_roas numeric,
    min_roas numeric,
    auto_pause boolean,
    anomaly_detection_enabled boolean,
    thresholds jsonb,
    conversion_event text,
    max_daily_budget numeric(20, 6),
    currency text,
    legacy_rules boolean,
    updated_at timestamptz not null default now(),
    updated_by text,
    constraint platform_configs_pkey primary key (tenant_id, platform),
    constraint platform_configs_platform_is_known check (platform in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')),
    constraint platform_configs_max_cpa_is_positive check (max_cpa > 0),
    constraint platform_configs_target_roas_is_positive check (target_roas > 0),
    constraint platform_configs_min_roas_not_negative check (min_roas >= 0),
    constraint platform_configs_max_daily_budget_not_negative check (max_daily_budget >= 0),
    constraint platform_configs_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
    constraint platform_configs_thresholds_is_object check (jsonb_typeof(thresholds) = 'object')
);
comment on table ads.platform_configs is
'One row per tenant and platform that a tenant configured; a null column falls back to the reserved tenant''s row.';
comment on column ads.platform_configs.auto_pause is 'Kept for old calls; does nothing. Aegis never writes to a platform.';

insert into ads.platform_configs (
    tenant_id, platform, max_cpa, target_roas, min_roas, auto_pause, anomaly_detection_enabled, thresholds,
    currency, legacy_rules, updated_by
)
select
    '00000000-0000-0000-0000-000000000000', d.platform, d.max_cpa, 3.0, 1, false, true, '{}'::jsonb,
    'USD', false, 'migration'
from (
    values ('meta', 50), ('tiktok', 45), ('google', 60), ('pinterest', 40), ('shopify', 35)
) as d (platform, max_cpa);
