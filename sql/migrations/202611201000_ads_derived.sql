/*
What      The derived tables of the contract, made empty so that readers and functions find them before the first build.
Why       dbt replaces each by a table under contract; nothing may depend on them, since a replacement drops with cascade.
*/

set local role aegis_transformer;

create table ads.entities (
    tenant_id uuid not null,
    platform text not null,
    level text not null,
    platform_id text not null,
    account_id text not null,
    campaign_id text,
    adset_id text,
    name text,
    status text,
    status_since date,
    objective text,
    daily_budget numeric(20, 6),
    lifetime_budget numeric(20, 6),
    budget_level text,
    currency text,
    timezone text,
    target_roas numeric,
    target_cpa numeric(20, 6),
    learning_state text,
    first_day date,
    last_day date,
    url text,
    primary key (tenant_id, platform, level, platform_id)
);
comment on table ads.entities is 'One row per tenant, platform, level and entity: its newest state.';

create table ads.data_status (
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    day date not null,
    state text not null,
    loaded_at timestamptz,
    rows bigint,
    maturity numeric,
    currency text,
    ad_sum numeric(20, 6),
    campaign_total numeric(20, 6),
    account_total numeric(20, 6),
    difference numeric(20, 6),
    reason text,
    quality_score numeric,
    primary key (tenant_id, platform, account_id, day)
);
comment on table ads.data_status is 'One row per tenant, platform, account and day: how far its figures can be trusted.';

create table ads.baselines (
    tenant_id uuid not null,
    platform text not null,
    level text not null,
    platform_id text not null,
    window_days integer not null,
    as_of date not null,
    currency text,
    n_days bigint not null,
    n_days_with_spend bigint not null,
    spend numeric(20, 6),
    impressions bigint,
    clicks bigint,
    link_clicks bigint,
    conversions numeric(20, 6),
    conversion_value numeric(20, 6),
    roas numeric,
    cpa numeric,
    cpc numeric,
    cpm numeric,
    ctr numeric,
    cvr numeric,
    spend_p10 numeric,
    spend_p50 numeric,
    spend_p90 numeric,
    spend_mad numeric,
    maturity numeric,
    fallback_level text,
    is_sufficient boolean not null,
    computed_at timestamptz not null,
    primary key (tenant_id, platform, level, platform_id, window_days)
);
comment on table ads.baselines is
'One row per tenant, platform, level, entity and window: sums over the window_days days that end the day before as_of.';

create table ads.performance_benchmarks (
    tenant_id uuid not null,
    platform text not null,
    industry text not null,
    objective text not null,
    geography text not null,
    metric text not null,
    statistic text not null,
    source text not null,
    period_start date not null,
    value numeric,
    p10 numeric,
    p50 numeric,
    p90 numeric,
    unit text,
    currency text,
    sample_size bigint,
    period_end date,
    source_url text,
    retrieved_on date,
    quality text not null,
    primary key (tenant_id, platform, industry, objective, geography, metric, statistic, source, period_start)
);
comment on table ads.performance_benchmarks is
'One row per platform, industry, objective, geography, metric, statistic, source and period: a published figure.';

create table ads.campaign_performance (
    tenant_id uuid not null,
    platform text not null,
    campaign_id text not null,
    period_type text not null,
    period_start date not null,
    period_end date not null,
    currency text,
    spend numeric(20, 6),
    impressions bigint,
    clicks bigint,
    link_clicks bigint,
    conversions numeric(20, 6),
    conversion_value numeric(20, 6),
    roas numeric,
    cpa numeric,
    cpc numeric,
    cpm numeric,
    ctr numeric,
    cvr numeric,
    previous_spend numeric(20, 6),
    previous_conversions numeric(20, 6),
    previous_conversion_value numeric(20, 6),
    previous_roas numeric,
    previous_cpa numeric,
    change_spend numeric,
    change_conversions numeric,
    change_conversion_value numeric,
    change_roas numeric,
    change_cpa numeric,
    is_complete boolean not null,
    primary key (tenant_id, platform, campaign_id, period_type, period_start)
);
comment on table ads.campaign_performance is
'One row per tenant, platform, campaign and day, week (from Monday) or month, against the period before.';

create table ads.conversions_daily (
    tenant_id uuid not null,
    platform text not null,
    level text not null,
    platform_id text not null,
    day date not null,
    event text not null,
    attribution_window text not null,
    account_id text not null,
    campaign_id text,
    adset_id text,
    conversions numeric(20, 6),
    conversion_value numeric(20, 6),
    currency text not null,
    primary key (tenant_id, platform, level, platform_id, day, event, attribution_window)
);
comment on table ads.conversions_daily is
'One row per tenant, platform, level, entity, day, event and attribution window: every event a platform reports.';

create table ads.shop_daily (
    tenant_id uuid not null,
    account_id text not null,
    day date not null,
    orders bigint,
    gross_sales numeric(20, 6),
    discounts numeric(20, 6),
    refunds numeric(20, 6),
    net_sales numeric(20, 6),
    new_customer_orders bigint,
    aov numeric,
    sessions bigint,
    conversion_rate numeric,
    cart_abandonment_rate numeric,
    currency text,
    ad_spend numeric(20, 6),
    mer numeric,
    new_customer_cost numeric,
    primary key (tenant_id, account_id, day)
);
comment on table ads.shop_daily is 'One row per tenant, shop and day: the shop''s own sales beside the ad spend.';

create table ads.attribution_daily (
    tenant_id uuid not null,
    platform text not null,
    level text not null,
    platform_id text not null,
    day date not null,
    model text not null,
    currency text,
    platform_conversions numeric(20, 6),
    platform_value numeric(20, 6),
    attributed_orders numeric(20, 6),
    attributed_revenue numeric(20, 6),
    platform_roas numeric,
    attributed_roas numeric,
    primary key (tenant_id, platform, level, platform_id, day, model)
);
comment on table ads.attribution_daily is
'One row per tenant, platform, level, entity, order day and attribution model: claimed conversions beside the shop''s orders.';
