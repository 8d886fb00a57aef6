/*
What      Where `aegis backtest` leaves what it found: every incident and recommendation as it stood on each replayed day.
Why       A method is judged by what it would have said day by day; the lists of today must not move for that.
Notice    A replay replaces the rows of its tenants. No reader may use ads_internal.
*/

set local role aegis_transformer;

create table ads_internal.backtest_runs (
    tenant_id uuid not null,
    from_day date not null,
    to_day date not null,
    days integer not null,
    finished_at timestamptz not null default clock_timestamp(),
    constraint backtest_runs_pkey primary key (tenant_id),
    constraint backtest_runs_days_in_order check (to_day >= from_day)
);
comment on table ads_internal.backtest_runs is
'One row per tenant: the newest replay that its rows in the other backtest tables come from.';
comment on column ads_internal.backtest_runs.days is
'Days replayed for this tenant: those of the span on which it had figures.';

create table ads_internal.backtest_anomalies (
    tenant_id uuid not null,
    replay_day date not null,
    anomaly_id uuid not null,
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
    status text not null,
    is_tracking_outage boolean not null,
    explained_by text,
    parent_id uuid,
    known_as_of date not null,
    constraint backtest_anomalies_pkey primary key (tenant_id, replay_day, anomaly_id)
);
comment on table ads_internal.backtest_anomalies is
'One row per tenant, replayed as-of day and incident that was open at its end or moved on it, as ads.anomalies would have shown it.';

create table ads_internal.backtest_recommendations (
    tenant_id uuid not null,
    replay_day date not null,
    recommendation_id uuid not null,
    raised_on date not null,
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
    status text not null,
    expires_at timestamptz not null,
    constraint backtest_recommendations_pkey primary key (tenant_id, replay_day, recommendation_id)
);
comment on table ads_internal.backtest_recommendations is
'One row per tenant, replayed as-of day and recommendation that was open at its end or closed on it, as ads.optimization_recommendations would have shown it.';
comment on column ads_internal.backtest_recommendations.raised_on is
'The as-of day it was raised on: as_of of ads.optimization_recommendations.';
