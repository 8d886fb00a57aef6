/*
What      The operational record: what a load covered, what was refused, what ran, what was found odd.
Why       A load is visible only through its coverage rows, written last, so a crash leaves nothing half visible.
*/

set local role aegis_owner;

create table ops.coverage (
    coverage_id bigint generated always as identity,
    load_id text not null,
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    day date not null,
    source text not null,
    rows bigint not null,
    state text not null default 'pending',
    reason text,
    covered_at timestamptz not null default now(),
    judged_at timestamptz,
    versioned_at timestamptz,
    constraint coverage_pkey primary key (coverage_id),
    constraint coverage_key unique (load_id, tenant_id, platform, account_id, day),
    constraint coverage_source_is_known check (source in ('api', 'file', 'manual')),
    constraint coverage_rows_not_negative check (rows >= 0),
    constraint coverage_state_is_known check (state in ('pending', 'accepted', 'provisional', 'withheld'))
);
comment on table ops.coverage is
'One row per load and account-day it covered, zero rows included. Written last: what has no coverage is not seen.';
comment on column ops.coverage.state is 'pending until the quality step judged it; staging sees accepted and provisional only.';
comment on column ops.coverage.versioned_at is 'When history took this account-day in; null means it is new.';
create index coverage_account_day_idx on ops.coverage (tenant_id, platform, account_id, day, coverage_id);
create index coverage_new_idx on ops.coverage (coverage_id) where versioned_at is null;

create table ops.quarantine (
    quarantine_id bigint generated always as identity,
    load_id text not null,
    tenant_id uuid,
    platform text,
    account_id text,
    source_name text not null,
    line bigint,
    reason text not null,
    payload jsonb not null,
    quarantined_at timestamptz not null default now(),
    constraint quarantine_pkey primary key (quarantine_id)
);
comment on table ops.quarantine is 'One row per refused input row, with the line, the reason and the row as it came.';
create index quarantine_tenant_idx on ops.quarantine (tenant_id, quarantined_at);

create table ops.import_log (
    import_id bigint generated always as identity,
    load_id text not null,
    tenant_id uuid,
    platform text,
    account_id text,
    kind text not null,
    source_name text not null,
    content_hash text,
    requested_by text not null default session_user,
    status text not null,
    rows_read bigint not null default 0,
    rows_imported bigint not null default 0,
    rows_updated bigint not null default 0,
    rows_failed bigint not null default 0,
    api_calls bigint not null default 0,
    api_calls_failed bigint not null default 0,
    quota_usage jsonb,
    memory_bytes bigint,
    error text,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint import_log_pkey primary key (import_id),
    constraint import_log_status_is_known check (status in ('running', 'completed', 'partial', 'failed', 'unchanged'))
);
comment on table ops.import_log is 'One row per import run, with what it read, took, refused and how it ended.';
comment on column ops.import_log.content_hash is
'Fingerprint of a file''s content and the options it was read with: the same import again changes nothing.';
create index import_log_started_idx on ops.import_log (started_at);
create index import_log_load_idx on ops.import_log (load_id);
create index import_log_content_idx on ops.import_log (content_hash) where content_hash is not null;

create table ops.as_of (
    tenant_id uuid not null,
    as_of date not null,
    set_at timestamptz not null default now(),
    constraint as_of_pkey primary key (tenant_id)
);
comment on table ops.as_of is 'One row per tenant: the day the marts judge, set by the daily run before it builds.';

create table ops.daily_runs (
    tenant_id uuid not null,
    as_of date not null,
    status text not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    error text,
    constraint daily_runs_pkey primary key (tenant_id, as_of),
    constraint daily_runs_status_is_known check (status in ('running', 'done', 'failed'))
);
comment on table ops.daily_runs is 'One row per tenant and as-of day of the daily run.';

create table ops.findings (
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    day date not null,
    check_name text not null,
    subject text not null default '',
    severity text not null default 'warning',
    message text not null,
    evidence jsonb not null default '{}',
    found_at timestamptz not null default now(),
    constraint findings_pkey primary key (tenant_id, platform, account_id, day, check_name, subject),
    constraint findings_severity_is_known check (severity in ('info', 'warning', 'error'))
);
comment on table ops.findings is 'One row per tenant, account-day, check and subject: what looked odd in the data, in words.';

grant select, insert, update on ops.coverage, ops.import_log to aegis_loader;
grant select, insert on ops.quarantine to aegis_loader;
grant select on ops.coverage, ops.quarantine, ops.import_log, ops.as_of, ops.daily_runs to aegis_transformer;
grant insert on ops.coverage to aegis_transformer;
grant update (state, reason, judged_at, versioned_at) on ops.coverage to aegis_transformer;
grant select, insert, update, delete on ops.findings, ops.as_of, ops.daily_runs to aegis_transformer;
grant select on ops.daily_runs to aegis_loader;
