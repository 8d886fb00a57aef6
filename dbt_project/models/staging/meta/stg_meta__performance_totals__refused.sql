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

final as (
    select
        tenant_id::uuid as tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        day,
        load_id,
        {{ meta_refusal() }} as reason
    from shaped
    where {{ meta_refusal() }} is not null
)

select * from final
