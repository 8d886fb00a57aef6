with

insights as (
    select * from {{ source('raw_meta', 'insights_totals') }}
),

shaped as (
    select
        insights.tenant_id,
        'meta' as platform,
        insights.account_id,
        insights.level,
        insights.platform_id,
        case insights.level when 'campaign' then insights.platform_id end as campaign_id,
        null::text as adset_id,
        insights.day,
        insights.currency,
        insights.spend,
        insights.impressions,
        insights.clicks,
        insights.inline_link_clicks as link_clicks,
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

usable as (     -- the others are in stg_meta__performance_totals__refused
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
        -- measures, money in major units of the account's currency
        spend,
        impressions,
        clicks,
        link_clicks,
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
