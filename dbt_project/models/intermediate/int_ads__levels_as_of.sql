{{ config(materialized='view', unlogged=none) }}

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

as_they_are as (
    select
        metrics.tenant_id, metrics.platform, metrics.level, metrics.platform_id, metrics.day, metrics.account_id,
        metrics.campaign_id, metrics.adset_id, metrics.source, metrics.currency, metrics.spend, metrics.impressions,
        metrics.clicks, metrics.link_clicks, metrics.conversions, metrics.conversion_value,
        metrics.view_through_conversions, metrics.reach, metrics.frequency
    from {{ ref('metrics_daily') }} as metrics
    inner join as_of on metrics.tenant_id = as_of.tenant_id
    where
        metrics.day <= as_of.as_of
        and not exists (
            select from {{ ref('int_ads__as_of_account_days') }} as other
            where
                metrics.tenant_id = other.tenant_id and metrics.platform = other.platform
                and metrics.account_id = other.account_id and metrics.day = other.day
        )
),

as_they_were as (
    select
        tenant_id, platform, level, platform_id, day, account_id, campaign_id, adset_id, source, currency, spend,
        impressions, clicks, link_clicks, conversions, conversion_value, view_through_conversions, reach, frequency
    from {{ ref('int_ads__as_of_levels') }}
)

select * from as_they_are
union all
select * from as_they_were
