{{ config(
    pre_hook="set local work_mem = '128MB'",
    indexes=[{'columns': ['tenant_id', 'platform', 'level', 'platform_id', 'day']}],
    post_hook="analyze {{ this }}",
) }}
{%- set window_days = 132 %}

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

figures as materialized (
    select
        levels.*,
        as_of.as_of,
        as_of.currency as reporting_currency,
        (levels.spend > 0 or levels.impressions > 0 or levels.clicks > 0 or levels.conversions > 0) is true
            as is_delivered
    from {{ ref('int_ads__levels_as_of') }} as levels
    inner join as_of on levels.tenant_id = as_of.tenant_id
    where
        levels.day > as_of.as_of - {{ window_days }}
    {%- if target.name == 'replay' %}
        -- Three of four rows are an ad's; of those the two lists read the last days, and frequencies.
        and (levels.level <> 'ad' or levels.day > as_of.as_of - 14 or levels.frequency is not null)
        {%- endif %}
),

entities as (
    select
        figures.tenant_id, figures.platform, figures.level, figures.platform_id,
        min(figures.account_id) as account_id,
        min(figures.campaign_id) as campaign_id,
        min(figures.adset_id) as adset_id,
        min(figures.currency) as currency,
        min(figures.reporting_currency) as reporting_currency,
        min(figures.as_of) as as_of,
        min(figures.day) filter (where figures.is_delivered) as first_in_window,
        max(figures.day) filter (where figures.is_delivered) as last_in_window
    from figures
    group by figures.tenant_id, figures.platform, figures.level, figures.platform_id
),

lifetimes as (
    select
        entities.*,
        -- from the window's first day where it delivered before, and to the as-of day for what is watched daily
        coalesce(least(seen.first_day, entities.first_in_window), entities.first_in_window) as first_day,
        case when entities.level in ('account', 'campaign') then entities.as_of else entities.last_in_window end
            as last_day
    from entities
    left join {{ ref('int_entities__seen') }} as seen
        on
            entities.tenant_id = seen.tenant_id and entities.platform = seen.platform
            and entities.level = seen.level and entities.platform_id = seen.platform_id
    where entities.first_in_window is not null
),

spine as (
    select
        lifetimes.*,
        spine.day::date as day
    from lifetimes
    cross join lateral generate_series(
        case
            when lifetimes.level in ('account', 'campaign')
                then greatest(lifetimes.first_day, lifetimes.as_of - {{ window_days - 1 }})
            else lifetimes.first_in_window
        end,
        lifetimes.last_day,
        interval '1 day'
    ) as spine (day)
),

account_days as (
    select * from {{ ref('int_ads__account_days') }}
),

states as (         -- status and budget on each day of the window
    select
        s.tenant_id, s.platform, s.level, s.platform_id, held.day::date as day,
        max(s.value) filter (where s.field = 'status') as status,
        max(s.value) filter (where s.field = 'daily_budget') as daily_budget
    from {{ ref('int_entities__states') }} as s
    inner join as_of on s.tenant_id = as_of.tenant_id
    cross join
        lateral generate_series(
            greatest(s.from_day, as_of.as_of - {{ window_days - 1 }}), least(s.to_day, as_of.as_of), interval '1 day'
        ) as held (day)
    where s.field in ('status', 'daily_budget')
    group by s.tenant_id, s.platform, s.level, s.platform_id, held.day
),

rates as (
    select * from {{ ref('int_fx__rates_daily') }}
),

joined as (
    select
        spine.tenant_id, spine.platform, spine.account_id, spine.level, spine.platform_id, spine.campaign_id,
        spine.adset_id, spine.day, spine.as_of, spine.currency, spine.first_day,
        figures.spend, figures.impressions, figures.clicks, figures.link_clicks, figures.conversions,
        figures.conversion_value, figures.reach, figures.frequency, figures.source,
        case
            when figures.is_delivered then 'delivered'
            when
                coalesce(nullif(campaign_states.status, 'active'), own_states.status) in ('paused', 'ended', 'removed')
                then 'paused'
            when figures.tenant_id is not null or account_days.is_complete then 'zero'
            else 'missing'
        end as delivery,
        coalesce(
            case when campaign_states.status in ('paused', 'ended', 'removed') then campaign_states.status end,
            own_states.status
        ) as status,
        own_states.daily_budget::numeric(20, 6) as daily_budget,
        account_days.maturity_as_of,
        case
            when spine.currency = spine.reporting_currency then 1
            else round(to_rate.rate / from_rate.rate, 10)
        end as fx_rate
    from spine
    left join figures
        on
            spine.tenant_id = figures.tenant_id and spine.platform = figures.platform
            and spine.level = figures.level and spine.platform_id = figures.platform_id
            and spine.day = figures.day
    left join account_days
        on
            spine.tenant_id = account_days.tenant_id and spine.platform = account_days.platform
            and spine.account_id = account_days.account_id and spine.day = account_days.day
    left join states as own_states
        on
            spine.tenant_id = own_states.tenant_id and spine.platform = own_states.platform
            and spine.level = own_states.level and spine.platform_id = own_states.platform_id
            and spine.day = own_states.day
    left join states as campaign_states
        on
            spine.tenant_id = campaign_states.tenant_id and spine.platform = campaign_states.platform
            and campaign_states.level = 'campaign' and spine.campaign_id = campaign_states.platform_id
            and spine.day = campaign_states.day
    left join rates as from_rate on spine.currency = from_rate.currency and spine.day = from_rate.day
    left join rates as to_rate on spine.reporting_currency = to_rate.currency and spine.day = to_rate.day
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        campaign_id,
        adset_id,
        day,
        as_of,
        currency,
        case when delivery <> 'missing' then coalesce(spend, 0) end as spend,
        case when delivery <> 'missing' then coalesce(impressions, 0)::bigint end as impressions,
        case when delivery <> 'missing' then coalesce(clicks, 0)::bigint end as clicks,
        case when delivery = 'delivered' then link_clicks::bigint when delivery <> 'missing' then 0 end as link_clicks,
        case when delivery <> 'missing' then coalesce(link_clicks, clicks, 0)::bigint end as decision_clicks,
        case when delivery <> 'missing' then coalesce(conversions, 0) end as conversions,
        case
            when delivery = 'delivered' then conversion_value
            when delivery <> 'missing' then 0
        end as conversion_value,
        reach,
        frequency,
        case when source = 'manual' then 1 else maturity_as_of end as maturity,
        delivery,
        status,
        daily_budget,
        day - first_day as age_days,
        fx_rate,
        first_day
    from joined
)

select * from final
