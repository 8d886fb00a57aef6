{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'platform', 'campaign_id', 'day']}],
    post_hook='analyze {{ this }}',
) }}

-- Campaign-days that advice may rest on: delivered, at least half of the conversions known, tracking not broken.
with

campaign_days as (
    select * from {{ ref('int_metrics__entity_days') }}
    where level = 'campaign'
),

broken as (                 -- by the evidence of the conversion drop detector and its default floor
    select
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        day
    from {{ ref('int_anomalies__scores') }}
    where
        test = 'outage' and score >= greatest(7.5, bar) and score > cvr_score
        and observed_sum <= 0.15 * expected_sum
),

broken_accounts as (
    select
        tenant_id,
        platform,
        account_id,
        day
    from broken
    where level = 'campaign'
    group by tenant_id, platform, account_id, day
    having count(*) >= 2
    union
    select
        tenant_id,
        platform,
        account_id,
        day
    from broken
    where level = 'account'
),

outages as (                -- a campaign's own, its account's, the tenant's; and the two days after
    select d.tenant_id, d.platform, d.platform_id, d.day
    from campaign_days as d
    where exists (
        select
        from broken as b
        where
            b.tenant_id = d.tenant_id and b.platform = d.platform and b.level = 'campaign'
            and b.platform_id = d.platform_id and d.day between b.day and b.day + 2
    )
    or exists (
        select
        from broken_accounts as b
        where
            b.tenant_id = d.tenant_id and b.platform = d.platform
            and b.account_id = d.account_id and d.day between b.day and b.day + 2
    )
    or exists (
        select
        from broken as b
        where b.tenant_id = d.tenant_id and b.level = 'tenant' and d.day between b.day and b.day + 2
    )
),

final as (
    select
        d.tenant_id,
        d.platform,
        d.account_id,
        d.platform_id as campaign_id,
        d.day,
        d.as_of,
        d.currency,
        d.fx_rate,
        coalesce(d.maturity, 1) as known_share,
        d.spend,
        d.impressions,
        d.decision_clicks,
        d.conversions,
        d.conversion_value,
        d.daily_budget,
        d.age_days,
        d.delivery = 'delivered' as is_delivered,
        o.day is not null as is_outage,
        d.delivery = 'delivered' and coalesce(d.maturity, 1) >= 0.5 and o.day is null as is_usable
    from campaign_days as d
    left join outages as o
        on d.tenant_id = o.tenant_id and d.platform = o.platform and d.platform_id = o.platform_id and d.day = o.day
)

select * from final
