-- depends_on: {{ ref('int_ads__account_days') }}
-- depends_on: {{ ref('int_ads__touched_account_days') }}
{{ config(
    materialized='incremental',
    incremental_strategy='account_days',
    keeps_hand_keys=false,
    full_refresh=false,
    on_schema_change='fail',
    pre_hook="set local work_mem = '128MB'",
) }}
-- The cascade of metrics_daily, an event and a window at a time: sums of the ads, and a residual ad set where the
-- platform's own campaign report says more. Files and hand rows state no events.

with

account_days as (
    {%- if is_incremental() %}
    select * from {{ ref('int_ads__touched_account_days') }}
    {%- else %}
    select * from {{ ref('int_ads__account_days') }} where is_served
    {%- endif %}
),

versions as (
    select v.*
    from account_days
    cross join lateral (
        select * from {{ ref('int_history__performance_versions') }} as version
        where
            version.tenant_id = account_days.tenant_id and version.platform = account_days.platform
            and version.account_id = account_days.account_id and version.day = account_days.day
            and version.source = 'api'
        offset 0     -- noqa: AM09
    ) as v
),

newest as (
    select distinct on (tenant_id, platform, level, platform_id, day)
        tenant_id, platform, level, platform_id, day, account_id, currency, is_withdrawn, events,
        coalesce(campaign_id, account_id || '~unattributed') as campaign_id,
        coalesce(adset_id, coalesce(campaign_id, account_id || '~unattributed') || '~unattributed') as adset_id
    from versions
    order by tenant_id, platform, level, platform_id, day, known_on desc, load_id desc
),

listed as (
    select
        newest.tenant_id, newest.platform, newest.level, newest.platform_id, newest.day, newest.account_id,
        newest.campaign_id, newest.adset_id, newest.currency,
        event.key as event,
        windows.key as attribution_window,
        (windows.value ->> 0)::numeric as conversions,
        (windows.value ->> 1)::numeric as conversion_value
    from newest
    cross join lateral jsonb_each(newest.events) as event
    cross join lateral jsonb_each(event.value) as windows
    where not newest.is_withdrawn
),

ads as (
    select * from listed
    where level = 'ad'
),

adset_sums as (
    select
        tenant_id, platform, adset_id, day, event, attribution_window,
        min(account_id) as account_id,
        coalesce(min(campaign_id) filter (where campaign_id not like '%~unattributed'), min(campaign_id))
            as campaign_id,
        min(currency) as currency,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from ads
    group by tenant_id, platform, adset_id, day, event, attribution_window
),

campaign_sums_of_adsets as (
    select
        tenant_id, platform, campaign_id, day, event, attribution_window,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from adset_sums
    group by tenant_id, platform, campaign_id, day, event, attribution_window
),

residuals as (
    select * from (
        select
            given.tenant_id, given.platform, given.account_id, given.platform_id as campaign_id,
            given.platform_id || '~unattributed' as adset_id, given.day, given.event, given.attribution_window,
            given.currency,
            case when given.conversions is not null
                then greatest(given.conversions - coalesce(sums.conversions, 0), 0) end as conversions,
            case when given.conversion_value is not null
                then greatest(given.conversion_value - coalesce(sums.conversion_value, 0), 0) end as conversion_value
        from listed as given
        left join campaign_sums_of_adsets as sums
            on
                given.tenant_id = sums.tenant_id and given.platform = sums.platform
                and given.platform_id = sums.campaign_id and given.day = sums.day and given.event = sums.event
                and given.attribution_window = sums.attribution_window
        where given.level = 'campaign'
    ) as differences
    where conversions > 0 or conversion_value > 0
),

adset_levels as (       -- an unattributed ad set may hold both ads without a parent and a residual
    select
        tenant_id, platform, adset_id, day, event, attribution_window,
        min(account_id) as account_id,
        min(campaign_id) as campaign_id,
        min(currency) as currency,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from (
        select
            tenant_id, platform, adset_id, day, event, attribution_window, account_id, campaign_id, currency,
            conversions, conversion_value
        from adset_sums
        union all
        select
            tenant_id, platform, adset_id, day, event, attribution_window, account_id, campaign_id, currency,
            conversions, conversion_value
        from residuals
    ) as both_kinds
    group by tenant_id, platform, adset_id, day, event, attribution_window
),

campaign_levels as (
    select
        tenant_id, platform, campaign_id, day, event, attribution_window,
        min(account_id) as account_id,
        min(currency) as currency,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from adset_levels
    group by tenant_id, platform, campaign_id, day, event, attribution_window
),

account_levels as (
    select
        tenant_id, platform, account_id, day, event, attribution_window,
        min(currency) as currency,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from campaign_levels
    group by tenant_id, platform, account_id, day, event, attribution_window
),

levels as (
    select
        tenant_id, platform, level, platform_id, day, event, attribution_window, account_id, campaign_id, adset_id,
        conversions, conversion_value, currency
    from ads
    union all
    select
        tenant_id, platform, 'adset', adset_id, day, event, attribution_window, account_id, campaign_id, adset_id,
        conversions, conversion_value, currency
    from adset_levels
    union all
    select
        tenant_id, platform, 'campaign', campaign_id, day, event, attribution_window, account_id, campaign_id, null,
        conversions, conversion_value, currency
    from campaign_levels
    union all
    select
        tenant_id, platform, 'account', account_id, day, event, attribution_window, account_id, null, null,
        conversions, conversion_value, currency
    from account_levels
),

final as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        day,
        event,
        attribution_window,
        account_id,
        campaign_id,
        adset_id,
        conversions::numeric(20, 6) as conversions,
        conversion_value::numeric(20, 6) as conversion_value,
        currency
    from levels
)

select * from final
