/*
What      What cannot be recomputed: figures with the day they became known, entities, their changes, currency rates.
Why       One bitemporal table gives as-of reports, the maturity curve, age-matched checks and replay.
Notice    Owned by aegis_owner: the transformer writes rows, and can neither drop nor truncate a table here.
*/

set local role aegis_owner;

create table history.performance_versions (
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    level text not null,
    platform_id text not null,
    day date not null,
    known_on date not null,
    source text not null,
    reported_on date not null,
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
    is_withdrawn boolean not null default false,
    load_id text not null,
    constraint performance_versions_pkey
    primary key (tenant_id, platform, account_id, level, platform_id, day, known_on, source),
    constraint performance_versions_platform_is_known check (platform in ('meta', 'tiktok', 'google', 'pinterest')),
    constraint performance_versions_level_is_known check (level in ('account', 'campaign', 'adset', 'ad')),
    constraint performance_versions_source_is_known check (source in ('api', 'file', 'manual')),
    constraint performance_versions_known_after_day check (known_on >= day)
);
comment on table history.performance_versions is
'One row per tenant, platform, account, level, entity, day, known day and source; stored only where a figure changed.';
comment on column history.performance_versions.known_on is 'First as-of day that saw these figures.';
comment on column history.performance_versions.reported_on is 'The day the figures were reported: known_on, or a snapshot file''s last day. Maturity counts ages to it.';
comment on column history.performance_versions.is_withdrawn is 'The platform (or the person) took the row back.';
create index performance_versions_day_idx on history.performance_versions (tenant_id, platform, account_id, day);
create index performance_versions_known_idx on history.performance_versions (tenant_id, known_on);

create table history.entity_snapshots (
    tenant_id uuid not null,
    platform text not null,
    level text not null,
    platform_id text not null,
    snapshot_day date not null,
    account_id text not null,
    campaign_id text,
    adset_id text,
    name text,
    status text,
    objective text,
    start_day date,
    daily_budget numeric(20, 6),
    lifetime_budget numeric(20, 6),
    budget_level text,
    target_roas numeric,
    target_cpa numeric(20, 6),
    learning_state text,
    url text,
    load_id text not null,
    constraint entity_snapshots_pkey primary key (tenant_id, platform, level, platform_id, snapshot_day)
);
comment on table history.entity_snapshots is 'One row per tenant, platform, entity and day it was described: names, status, budgets, targets.';

create table history.entity_changes (
    tenant_id uuid not null,
    platform text not null,
    level text not null,
    platform_id text not null,
    day date not null,
    field text not null,
    change_number integer not null,
    account_id text not null,
    old_value text,
    new_value text,
    load_id text not null,
    constraint entity_changes_pkey primary key (tenant_id, platform, level, platform_id, day, field, change_number)
);
comment on table history.entity_changes is
'One row per tenant, platform, entity, day, field and change: in force from that day on. change_number orders changes of one day.';

create table history.currency_rates (
    day date not null,
    currency text not null,
    rate numeric(20, 10) not null,
    source text not null,
    load_id text not null,
    constraint currency_rates_pkey primary key (day, currency),
    constraint currency_rates_rate_is_positive check (rate > 0)
);
comment on table history.currency_rates is 'One row per day and currency: units of the currency for one euro.';

create table history.recommendation_outcomes (
    tenant_id uuid not null,
    recommendation_id uuid not null,
    horizon_days integer not null,
    measured_on date not null,
    outcome jsonb not null,
    constraint recommendation_outcomes_pkey primary key (tenant_id, recommendation_id, horizon_days)
);
comment on table history.recommendation_outcomes is 'One row per recommendation and horizon: what happened after it was applied.';

grant select, insert, update, delete on all tables in schema history to aegis_transformer;
grant select on history.performance_versions, history.currency_rates to aegis_loader;
