with

insights as (
    select * from {{ source('raw_meta', 'insights') }}
),

final as (
    select
        -- keys
        insights.tenant_id::uuid as tenant_id,
        'meta' as platform,
        insights.account_id,
        'ad' as level,
        insights.ad_id as platform_id,
        insights.campaign_id,
        insights.adset_id,
        -- dates
        insights.day,
        -- attributes
        event.key as event,
        windows.key as attribution_window,
        nullif(upper(btrim(insights.currency)), '') as currency,
        -- measures, money in major units of the account's currency
        (windows.value ->> 0)::numeric as conversions,
        (windows.value ->> 1)::numeric as conversion_value,
        -- load
        insights.load_id,
        insights.loaded_at
    from insights
    cross join {{ meta_events('insights.actions', 'insights.action_values') }} as listed
    cross join lateral jsonb_each(listed.events) as event
    cross join lateral jsonb_each(event.value) as windows
)

select * from final
