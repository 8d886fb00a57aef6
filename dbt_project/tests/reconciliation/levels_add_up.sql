{{ config(severity='error') }}
-- Account = sum of campaigns, and nothing appears on the way down. Only our own cascade can break it, on account-days
-- of one source; a person's row above level ad is the one exception.

with

account_days as (
    select touched.tenant_id, touched.platform, touched.account_id, touched.day
    from {{ ref('int_ads__touched_account_days') }} as touched
    inner join {{ ref('int_coverage__account_days') }} as covered
        on touched.tenant_id = covered.tenant_id and touched.platform = covered.platform
        and touched.account_id = covered.account_id and touched.day = covered.day
    where covered.source = covered.weakest_source and covered.source <> 'manual'
),

sums as (
    select
        metrics.tenant_id, metrics.platform, metrics.account_id, metrics.day
        {%- for column in ['spend', 'conversions'] %}
        {%- for level in ['account', 'campaign', 'adset', 'ad'] %},
        coalesce(sum(metrics.{{ column }}) filter (where metrics.level = '{{ level }}'), 0) as {{ level }}_{{ column }}
        {%- endfor %}
        {%- endfor %}
    from {{ ref('metrics_daily') }} as metrics
    inner join account_days
        on metrics.tenant_id = account_days.tenant_id and metrics.platform = account_days.platform
        and metrics.account_id = account_days.account_id and metrics.day = account_days.day
    where metrics.source <> 'manual'
    group by metrics.tenant_id, metrics.platform, metrics.account_id, metrics.day
)

select * from sums
where
    account_spend < campaign_spend or campaign_spend < adset_spend or adset_spend < ad_spend
    or account_conversions < campaign_conversions or campaign_conversions < adset_conversions
    or adset_conversions < ad_conversions
    or (campaign_spend > 0 and account_spend <> campaign_spend)
    or (campaign_spend > 0 and account_conversions <> campaign_conversions)
