with

days as (
    select * from {{ source('ads', 'metrics_daily') }}
    where level = 'account'
),

final as (
    select
        days.tenant_id,
        days.platform,
        days.account_id,
        entities.name as account_name,
        date_trunc('week', days.day)::date as week,
        sum(days.spend) as spend,
        sum(days.conversions) as conversions
    from days
    left join {{ source('ads', 'entities') }} as entities
        on days.tenant_id = entities.tenant_id
        and days.platform = entities.platform
        and entities.level = 'account'
        and days.account_id = entities.platform_id
    group by days.tenant_id, days.platform, days.account_id, entities.name, date_trunc('week', days.day)::date
)

select * from final
