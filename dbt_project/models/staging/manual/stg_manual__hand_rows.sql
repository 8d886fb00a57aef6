with

hand_rows as (
    select * from {{ source('raw_manual', 'hand_rows') }}
),

final as (
    select
        -- keys
        hand_id,
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        campaign_id,
        adset_id,
        -- dates
        day,
        entered_at,
        -- attributes
        currency,
        operation = 'delete' as is_withdrawn,
        entered_by,
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
        load_id
    from hand_rows
)

select * from final
