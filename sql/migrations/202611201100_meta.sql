/*
What      What a vendor's API needs: encrypted credentials, the state of every sync, how old a day may be before it is
          asked for again, and the landing tables of the first vendor, Meta.
Why       A sync is resumable and visible while it runs; a credential is bytes that only the holder of the key can read.
Notice    A raw row counts only where its load has rows in ops.coverage, entities included: those are written last.
*/

set local role aegis_owner;

create table tenancy.credentials (
    tenant_id uuid not null,
    platform text not null,
    credential_id uuid not null default gen_random_uuid(),
    kind text not null,
    label text,
    token bytea not null,
    key_id text not null,
    scopes text[] not null default '{}',
    base_url text,
    api_version text,
    issued_at timestamptz,
    expires_at timestamptz,
    access_expires_at timestamptz,
    status text not null default 'active',
    last_error text,
    checked_at timestamptz,
    created_at timestamptz not null default now(),
    created_by text not null default session_user,
    constraint credentials_pkey primary key (tenant_id, platform, credential_id),
    constraint credentials_tenant_fkey foreign key (tenant_id) references tenancy.tenants (tenant_id),
    constraint credentials_platform_is_known
    check (platform in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')),
    constraint credentials_status_is_known check (status in ('active', 'expired', 'refused'))
);
comment on table tenancy.credentials is
'One row per consent of a tenant on a platform. The token is encrypted before it reaches the database; the key is not here.';
comment on column tenancy.credentials.token is 'Fernet ciphertext. No reader, nor the loader, has any right on it.';
comment on column tenancy.credentials.key_id is 'Fingerprint of the key that encrypted it, so that a rotation knows what is left to do.';
comment on column tenancy.credentials.base_url is 'Where this credential is good; null means the platform''s own address.';
comment on column tenancy.credentials.expires_at is 'Null means never, or that the platform did not say.';
comment on column tenancy.credentials.access_expires_at is 'When the platform stops serving data until the person logs in again.';

create table tenancy.account_credentials (
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    credential_id uuid not null,
    connected_at timestamptz not null default now(),
    constraint account_credentials_pkey primary key (tenant_id, platform, account_id),
    constraint account_credentials_tenant_fkey foreign key (tenant_id) references tenancy.tenants (tenant_id)
);
comment on table tenancy.account_credentials is 'One row per connected ad account: the credential that reads it.';

alter table tenancy.ad_accounts drop constraint ad_accounts_status_is_known;
alter table tenancy.ad_accounts add constraint ad_accounts_status_is_known
check (status in ('active', 'reauthorise', 'suspended', 'denied'));
comment on column tenancy.ad_accounts.status is
'reauthorise: the token is dead, a person must log in; suspended: by the platform; denied: the token may not see it.';

create table ops.sync_state (
    sync_id bigint generated always as identity,
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    first_day date not null,
    last_day date not null,
    state text not null default 'pending',
    days_total integer not null default 0,
    days_done integer not null default 0,
    days_failed integer not null default 0,
    retry_count integer not null default 0,
    next_retry_at timestamptz,
    error_code text,
    error text,
    entities_at timestamptz,
    quota_usage jsonb,
    requested_by text not null default session_user,
    requested_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    cancel_requested_at timestamptz,
    cancelled_by text,
    constraint sync_state_pkey primary key (sync_id),
    constraint sync_state_state_is_known check (
        state in ('pending', 'syncing', 'completed', 'failed', 'partial', 'cancelled', 'rate_limited')
    ),
    constraint sync_state_days_fit check (
        days_total >= 0 and days_done >= 0 and days_failed >= 0 and days_done + days_failed <= days_total
    )
);
comment on table ops.sync_state is 'One row per sync of an account and period, with its progress in days and how it ended.';
comment on column ops.sync_state.days_total is 'Days that had to be asked for; complete and closed days are not among them.';
comment on column ops.sync_state.entities_at is 'When this sync loaded campaigns, ads and creatives; null: it needed none.';
comment on column ops.sync_state.cancel_requested_at is 'Set by `aegis sync cancel`; the sync ends at its next step.';
create index sync_state_account_idx on ops.sync_state (tenant_id, platform, account_id, sync_id);
create index sync_state_open_idx on ops.sync_state (tenant_id) where state in ('pending', 'syncing');

create table ops.staleness_tiers (
    platform text not null,
    from_age integer not null,
    to_age integer,
    stale_after interval not null,
    is_nightly boolean not null default false,
    not_before time,
    constraint staleness_tiers_pkey primary key (platform, from_age),
    constraint staleness_tiers_ages_fit check (from_age >= 0 and (to_age is null or to_age >= from_age))
);
comment on table ops.staleness_tiers is
'One row per platform (or all) and span of ages in days: how old a pull may be before such a day is asked for again.';
comment on column ops.staleness_tiers.from_age is 'Days since the day itself, in the account''s time zone; today is 0.';
comment on column ops.staleness_tiers.to_age is 'Null means the end of the platform''s restatement window.';
comment on column ops.staleness_tiers.is_nightly is 'Once a night, after the account''s midnight, instead of by the hour.';
comment on column ops.staleness_tiers.not_before is 'Nightly: not before this time of day, UTC.';
insert into ops.staleness_tiers (platform, from_age, to_age, stale_after, is_nightly, not_before)
values
('all', 0, 1, '1 hour', false, null),
('all', 2, 7, '24 hours', false, null),
('all', 8, null, '24 hours', true, null),
('tiktok', 0, 1, '1 hour', false, null),
('tiktok', 2, 7, '24 hours', false, null),
('tiktok', 8, null, '24 hours', true, '12:00');

create table ops.restatement_windows (
    platform text not null,
    days integer not null,
    constraint restatement_windows_pkey primary key (platform),
    constraint restatement_windows_days_positive check (days > 0)
);
comment on table ops.restatement_windows is
'One row per platform whose restatement window differs from what its source says: days that are asked for again.';

grant select, insert, update on ops.sync_state to aegis_loader;
grant select on ops.staleness_tiers, ops.restatement_windows to aegis_loader, aegis_transformer;
grant select on ops.sync_state to aegis_transformer;

set local role aegis_loader;

create table raw_meta.accounts (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    name text,
    account_status bigint,
    disable_reason bigint,
    currency text,
    timezone_name text,
    amount_spent text,
    balance text,
    spend_cap text,
    created_time timestamptz,
    business json,
    extra json
);
comment on table raw_meta.accounts is 'One row per load that asked: the ad account as it stood. Amounts in minor units, as text.';

create table raw_meta.campaigns (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    campaign_id text not null,
    name text,
    objective text,
    status text,
    configured_status text,
    effective_status text,
    buying_type text,
    bid_strategy text,
    daily_budget text,
    lifetime_budget text,
    budget_remaining text,
    spend_cap text,
    special_ad_categories json,
    start_time timestamptz,
    stop_time timestamptz,
    created_time timestamptz,
    updated_time timestamptz,
    smart_promotion_type text,
    source_campaign_id text,
    pacing_type json,
    issues_info json,
    is_adset_budget_sharing_enabled boolean,
    extra json
);
comment on table raw_meta.campaigns is
'One row per load that asked and campaign, archived and deleted ones included. Budgets in minor units of the account''s currency, as text.';

create table raw_meta.adsets (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    adset_id text not null,
    campaign_id text,
    name text,
    status text,
    configured_status text,
    effective_status text,
    daily_budget text,
    lifetime_budget text,
    budget_remaining text,
    bid_strategy text,
    bid_amount text,
    bid_constraints json,
    billing_event text,
    optimization_goal text,
    optimization_sub_event text,
    attribution_spec json,
    promoted_object json,
    destination_type text,
    targeting json,
    start_time timestamptz,
    end_time timestamptz,
    created_time timestamptz,
    updated_time timestamptz,
    learning_stage_info json,
    learning_stage text,
    is_dynamic_creative boolean,
    extra json
);
comment on table raw_meta.adsets is
'One row per load that asked and ad set, with its learning stage. Budgets and bids in minor units, as text.';

create table raw_meta.ads (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    ad_id text not null,
    adset_id text,
    campaign_id text,
    creative_id text,
    name text,
    status text,
    configured_status text,
    effective_status text,
    bid_amount text,
    tracking_specs json,
    conversion_specs json,
    created_time timestamptz,
    updated_time timestamptz,
    source_ad_id text,
    preview_shareable_link text,
    conversion_domain text,
    ad_active_time text,
    extra json
);
comment on table raw_meta.ads is 'One row per load that asked and ad, archived and deleted ones included.';

create table raw_meta.creatives (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    creative_id text not null,
    name text,
    status text,
    object_type text,
    title text,
    body text,
    call_to_action_type text,
    link text,
    link_url text,
    url_tags text,
    template_url text,
    object_url text,
    object_story_spec json,
    asset_feed_spec json,
    effective_object_story_id text,
    effective_instagram_media_id text,
    instagram_permalink_url text,
    image_hash text,
    image_url text,
    thumbnail_url text,
    video_id text,
    extra json
);
comment on table raw_meta.creatives is 'One row per load that asked and creative.';
comment on column raw_meta.creatives.link is 'Where the ad leads: from the story, else the asset feed, else link_url or template_url.';
comment on column raw_meta.creatives.thumbnail_url is 'Signed and short-lived: neither a key nor a sign of a change.';

create table raw_meta.insights (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    day date not null,
    ad_id text not null,
    adset_id text,
    campaign_id text,
    ad_name text,
    adset_name text,
    campaign_name text,
    currency text,
    objective text,
    optimization_goal text,
    buying_type text,
    attribution_setting text,
    spend numeric(20, 6),
    social_spend numeric(20, 6),
    impressions bigint,
    reach bigint,
    frequency numeric(20, 6),
    clicks bigint,
    unique_clicks bigint,
    inline_link_clicks bigint,
    unique_inline_link_clicks bigint,
    inline_post_engagement bigint,
    ctr numeric(20, 6),
    inline_link_click_ctr numeric(20, 6),
    cpc numeric(20, 6),
    cpm numeric(20, 6),
    cpp numeric(20, 6),
    cost_per_inline_link_click numeric(20, 6),
    cost_per_unique_click numeric(20, 6),
    website_ctr json,
    outbound_clicks json,
    actions json,
    action_values json,
    unique_actions json,
    conversions json,
    conversion_values json,
    purchase_roas json,
    results json,
    video_play_actions json,
    video_thruplay_watched_actions json,
    video_p25_watched_actions json,
    video_p50_watched_actions json,
    video_p75_watched_actions json,
    video_p95_watched_actions json,
    video_p100_watched_actions json,
    quality_ranking text,
    engagement_rate_ranking text,
    conversion_rate_ranking text,
    extra json
);
comment on table raw_meta.insights is
'One row per load, ad and day (the account''s) with delivery or an attributed action. Money in major units of the account''s currency.';
comment on column raw_meta.insights.actions is
'The vendor''s list as it came. It repeats one event under several types: never sum it.';
comment on column raw_meta.insights.reach is 'Not additive over days or ads.';
create index insights_load_idx on raw_meta.insights (load_id, account_id, day);

create table raw_meta.insights_totals (
    tenant_id text not null,
    account_id text not null,
    load_id text not null,
    loaded_at timestamptz not null,
    day date not null,
    level text not null,
    platform_id text not null,
    currency text,
    spend numeric(20, 6),
    impressions bigint,
    reach bigint,
    frequency numeric(20, 6),
    clicks bigint,
    inline_link_clicks bigint,
    actions json,
    action_values json,
    extra json
);
comment on table raw_meta.insights_totals is
'One row per load, day and campaign, or account, as the platform adds them up itself: what the ads are compared with, and reach.';
create index insights_totals_load_idx on raw_meta.insights_totals (load_id, account_id, day);

grant select on all tables in schema raw_meta to aegis_transformer;
