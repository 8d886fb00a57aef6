/*
What      Logs: older baselines, every state of every incident, and the audit trail of people's rows.
Why       A published figure or a decision must be traceable after the tables moved on.
*/

set local role aegis_transformer;

create table ads_internal.baselines_history (
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
    maturity numeric,
    is_sufficient boolean not null,
    computed_at timestamptz not null,
    constraint baselines_history_pkey primary key (tenant_id, platform, level, platform_id, window_days, as_of)
);
comment on table ads_internal.baselines_history is
'One row per tenant, platform, campaign or account, window and as-of day; kept for 400 days.';

create table ads_internal.anomaly_log (
    tenant_id uuid not null,
    anomaly_id uuid not null,
    as_of date not null,
    status text not null,
    day date not null,
    last_day date not null,
    observed numeric,
    expected numeric,
    score numeric,
    severity text not null,
    loss_per_day numeric(20, 6),
    logged_at timestamptz not null default now(),
    constraint anomaly_log_pkey primary key (tenant_id, anomaly_id, as_of, status)
);
comment on table ads_internal.anomaly_log is 'One row per tenant, incident, as-of day and status: every state an incident went through.';

set local role aegis_owner;

create table audit.changes (
    change_id bigint generated always as identity,
    changed_at timestamptz not null default clock_timestamp(),
    tenant_id uuid,
    relation text not null,
    operation text not null,
    login text not null,
    person text not null,
    row_key jsonb not null,
    old_values jsonb,
    new_values jsonb,
    constraint changes_pkey primary key (change_id)
);
comment on table audit.changes is 'One row per insert, update or delete of a row that people own: who, when, old and new. Append only.';
create index changes_tenant_idx on audit.changes (tenant_id, changed_at);
