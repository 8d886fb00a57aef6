-- depends_on: {{ ref('int_ads__touched_account_days') }}
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'platform', 'level', 'platform_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['tenant_id', 'platform', 'level', 'platform_id'], 'unique': true}],
    pre_hook="set local work_mem = '64MB'",
) }}
-- First and last day on which an entity delivered, over all days: the window of int_metrics__entity_days is shorter.

with

metrics as (
    select * from {{ ref('metrics_daily') }}
),

{% if is_incremental() and not var('rebuild') %}

entities as (
    select
        metrics.tenant_id, metrics.platform, metrics.level, metrics.platform_id,
        min(metrics.account_id) as account_id, min(metrics.campaign_id) as campaign_id,
        min(metrics.adset_id) as adset_id, min(metrics.currency) as currency
    from metrics
    inner join {{ ref('int_ads__touched_account_days') }} as touched
        on
            metrics.tenant_id = touched.tenant_id
            and metrics.platform = touched.platform
            and metrics.account_id = touched.account_id
            and metrics.day = touched.day
    group by metrics.tenant_id, metrics.platform, metrics.level, metrics.platform_id
),

final as (      -- two probes of the primary key an entity, instead of a scan over all days
    select
        entities.tenant_id,
        entities.platform,
        entities.level,
        entities.platform_id,
        entities.account_id,
        entities.campaign_id,
        entities.adset_id,
        entities.currency,
        oldest.day as first_day,
        newest.day as last_day
    from entities
    left join lateral (
        select m.day from {{ ref('metrics_daily') }} as m
        where
            m.tenant_id = entities.tenant_id and m.platform = entities.platform and m.level = entities.level
            and m.platform_id = entities.platform_id
            and (m.spend > 0 or m.impressions > 0 or m.clicks > 0 or m.conversions > 0)
        order by m.day
        limit 1
    ) as oldest on true
    left join lateral (
        select m.day from {{ ref('metrics_daily') }} as m
        where
            m.tenant_id = entities.tenant_id and m.platform = entities.platform and m.level = entities.level
            and m.platform_id = entities.platform_id
            and (m.spend > 0 or m.impressions > 0 or m.clicks > 0 or m.conversions > 0)
        order by m.day desc
        limit 1
    ) as newest on true
)

{% else %}

final as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        min(account_id) as account_id,
        min(campaign_id) as campaign_id,
        min(adset_id) as adset_id,
        min(currency) as currency,
        min(day) filter (where spend > 0 or impressions > 0 or clicks > 0 or conversions > 0) as first_day,
        max(day) filter (where spend > 0 or impressions > 0 or clicks > 0 or conversions > 0) as last_day
    from metrics
    group by tenant_id, platform, level, platform_id
)

{% endif %}

select * from final
