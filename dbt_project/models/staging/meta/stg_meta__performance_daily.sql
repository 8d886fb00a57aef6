with

insights as (
    select * from {{ source('raw_meta', 'insights') }}
),

shaped as (
    select
        insights.tenant_id,
        'meta' as platform,
        insights.account_id,
        'ad' as level,
        insights.ad_id as platform_id,
        insights.campaign_id,
        insights.adset_id,
        insights.day,
        insights.currency,
        insights.objective,
        insights.optimization_goal,
        insights.attribution_setting,
        insights.spend,
        insights.impressions,
        insights.clicks,
        insights.inline_link_clicks as link_clicks,
        insights.unique_clicks,
        insights.inline_post_engagement,
        insights.reach,
        insights.frequency,
        listed.events,
        listed.is_readable,
        insights.load_id,
        insights.loaded_at,
        insights.extra
    from insights
    cross join {{ meta_events('insights.actions', 'insights.action_values') }} as listed
),

usable as (     -- the others are in stg_meta__performance_daily__refused
    select * from shaped
    where {{ meta_refusal() }} is null
),

final as (
    select
        -- keys
        tenant_id::uuid as tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        campaign_id,
        adset_id,
        -- dates
        day,
        -- attributes
        nullif(upper(btrim(currency)), '') as currency,
        objective,
        optimization_goal,
        attribution_setting,
        -- measures, money in major units of the account's currency
        spend,
        impressions,
        clicks,
        link_clicks,
        unique_clicks,
        inline_post_engagement,
        reach,
        frequency,
        events,
        -- load
        load_id,
        loaded_at,
        extra
    from usable
)

select * from final
