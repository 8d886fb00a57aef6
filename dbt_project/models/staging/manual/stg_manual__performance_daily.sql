with

performance as (
    select * from {{ source('raw_manual', 'performance') }}
),

usable as (     -- the others are in stg_manual__performance_daily__refused
    select * from performance
    where {{ performance_refusal() }} is null
),

final as (
    select
        -- keys
        tenant_id::uuid as tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        case level when 'campaign' then platform_id when 'account' then null else campaign_id end as campaign_id,
        case level when 'adset' then platform_id when 'ad' then adset_id end as adset_id,
        -- dates
        day,
        known_on,
        reported_on,
        -- attributes
        currency,
        campaign_name,
        adset_name,
        ad_name,
        -- measures
        spend,
        impressions,
        clicks,
        link_clicks,
        conversions,
        conversion_value,
        view_through_conversions,
        reach,
        frequency,
        -- load
        load_id,
        loaded_at,
        line
    from usable
)

select * from final
