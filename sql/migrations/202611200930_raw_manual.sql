/*
What      Landing tables of files and hand-entered rows. Append only; dlt adds its own book-keeping tables beside them.
Why       They exist before the first import so that staging compiles on an empty database.
*/

set local role aegis_loader;

create table raw_manual.performance (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    platform text not null,
    currency text not null,
    level text not null,
    platform_id text not null,
    campaign_id text,
    adset_id text,
    day date not null,
    known_on date,
    reported_on date,
    spend numeric(20, 6),
    impressions bigint,
    clicks bigint,
    link_clicks bigint,
    conversions numeric(20, 6),
    conversion_value numeric(20, 6),
    view_through_conversions numeric(20, 6),
    reach bigint,
    frequency numeric(20, 6),
    campaign_name text,
    adset_name text,
    ad_name text,
    source_name text,
    line bigint
);
comment on table raw_manual.performance is
'One row per load and file line that was accepted: figures of one entity and day, at the finest level the file gives.';
comment on column raw_manual.performance.known_on is 'The day these figures were reported, where the file says so; else null.';
comment on column raw_manual.performance.reported_on is 'known_on, else the last day of the file for that account: what maturity counts ages to.';
create index performance_load_idx on raw_manual.performance (load_id);

create table raw_manual.campaigns (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    platform text not null,
    campaign_id text not null,
    campaign_name text,
    objective text,
    start_day date,
    status text,
    daily_budget numeric(20, 6),
    target_roas numeric(20, 6),
    target_cpa numeric(20, 6),
    snapshot_day date not null,
    source_name text,
    line bigint
);
comment on table raw_manual.campaigns is 'One row per load and campaign, as it stood on snapshot_day, the end of the file.';
create index campaigns_load_idx on raw_manual.campaigns (load_id);

create table raw_manual.changes (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    platform text not null,
    campaign_id text not null,
    day date not null,
    field text not null,
    old_value text,
    new_value text,
    source_name text,
    line bigint
);
comment on table raw_manual.changes is 'One row per load and logged change of a campaign, in force from its day on.';
create index changes_load_idx on raw_manual.changes (load_id);

create table raw_manual.currency_rates (
    load_id text not null,
    loaded_at timestamptz not null,
    day date not null,
    currency text not null,
    rate numeric(20, 10) not null,
    source_name text,
    line bigint
);
comment on table raw_manual.currency_rates is 'One row per load, day and currency: units of the currency for one euro.';
create index currency_rates_load_idx on raw_manual.currency_rates (load_id);

create table raw_manual.hand_rows (
    hand_id bigint generated always as identity,
    load_id text not null,
    operation text not null,
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    level text not null,
    platform_id text not null,
    campaign_id text,
    adset_id text,
    day date not null,
    currency text not null,
    spend numeric(20, 6),
    impressions bigint,
    clicks bigint,
    link_clicks bigint,
    conversions numeric(20, 6),
    conversion_value numeric(20, 6),
    view_through_conversions numeric(20, 6),
    reach bigint,
    frequency numeric(20, 6),
    entered_by text not null,
    entered_at timestamptz not null default now(),
    constraint hand_rows_pkey primary key (hand_id),
    constraint hand_rows_operation_is_known check (operation in ('insert', 'update', 'delete'))
);
comment on table raw_manual.hand_rows is 'One row per insert, update or delete a person made in ads.metrics_daily.';
create index hand_rows_load_idx on raw_manual.hand_rows (load_id);

grant select on all tables in schema raw_manual to aegis_transformer;
grant insert on raw_manual.hand_rows to aegis_transformer;
