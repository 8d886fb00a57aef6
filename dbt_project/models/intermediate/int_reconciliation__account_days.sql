-- depends_on: {{ ref('int_ads__account_days') }}
-- depends_on: {{ ref('int_ads__touched_account_days') }}
{{ config(
    materialized='incremental',
    incremental_strategy='account_days',
    keeps_hand_keys=false,
    on_schema_change='fail',
    indexes=[{'columns': ['tenant_id', 'platform', 'account_id', 'day'], 'unique': true}],
    pre_hook="set local work_mem = '64MB'",
) }}

with

account_days as (
    {%- if is_incremental() %}
    select * from {{ ref('int_ads__touched_account_days') }}
    {%- else %}
    select * from {{ ref('int_ads__account_days') }}
    where is_served
    {%- endif %}
),

metrics as (
    select served.*
    from account_days
    cross join lateral (
        select m.* from {{ ref('metrics_daily') }} as m
        where
            m.tenant_id = account_days.tenant_id and m.platform = account_days.platform
            and m.account_id = account_days.account_id and m.day = account_days.day
        offset 0     -- noqa: AM09
    ) as served
),

sums as (
    select
        tenant_id, platform, account_id, day,
        min(currency) as currency,
        min(currency) <> max(currency) as has_two_currencies,
        bool_or(level = 'account' and fx_rate is null) as has_no_rate,
        -- an unattributed ad set may hold a residual beside its ads, so there the ads themselves are counted
        coalesce(
            sum(spend) filter (
                where (level = 'adset' and platform_id not like '%~unattributed')
                or (level = 'ad' and adset_id like '%~unattributed')
            ),
            case when min(source) = 'api' then 0 end        -- a platform's report of a day without ads says zero
        ) as ad_sum,
        sum(spend) filter (where level = 'campaign') as campaign_level,
        sum(spend) filter (where level = 'account') as account_level,
        max(array_position(array['account', 'campaign', 'adset', 'ad'], level)) as finest
    from metrics
    group by tenant_id, platform, account_id, day
),

row_scores as (
    select
        metrics.tenant_id, metrics.platform, metrics.account_id, metrics.day,
        least(greatest(
            100
            - case when metrics.impressions is null then 20 else 0 end
            - case when metrics.spend is null then 10 else 0 end
            - case when metrics.clicks is null then 5 else 0 end
            + case when metrics.conversions is not null then 5 else 0 end
            + case when metrics.reach is not null then 5 else 0 end,
            0
        ), 100) as score
    from metrics
    inner join sums
        on
            metrics.tenant_id = sums.tenant_id
            and metrics.platform = sums.platform
            and metrics.account_id = sums.account_id
            and metrics.day = sums.day
    where array_position(array['account', 'campaign', 'adset', 'ad'], metrics.level) = sums.finest
),

scores as (
    select tenant_id, platform, account_id, day, round(avg(score), 2) as quality_score
    from row_scores
    group by tenant_id, platform, account_id, day
),

given_versions as (     -- totals that were reported, not summed
    select
        v.tenant_id, v.platform, v.account_id, v.day, v.level, v.platform_id, v.spend, v.is_withdrawn,
        row_number() over (
            partition by v.tenant_id, v.platform, v.account_id, v.day, v.level, v.platform_id
            order by v.source asc, v.known_on desc
        ) as recency
    from sums
    cross join lateral (
        select version.* from {{ ref('int_history__performance_versions') }} as version
        where
            version.tenant_id = sums.tenant_id and version.platform = sums.platform
            and version.account_id = sums.account_id and version.day = sums.day
            and version.level in ('campaign', 'account')
        offset 0     -- noqa: AM09
    ) as v
),

totals as (
    select
        tenant_id, platform, account_id, day,
        sum(spend) filter (where level = 'campaign') as campaign_total,
        sum(spend) filter (where level = 'account') as account_total
    from given_versions
    where recency = 1 and not is_withdrawn
    group by tenant_id, platform, account_id, day
),

final as (
    select
        sums.tenant_id,
        sums.platform,
        sums.account_id,
        sums.day,
        sums.currency,
        sums.has_two_currencies,
        sums.has_no_rate,
        sums.ad_sum,
        totals.campaign_total,
        totals.account_total,
        greatest(totals.campaign_total, totals.account_total) - sums.ad_sum as difference,
        sums.campaign_level,
        sums.account_level,
        scores.quality_score
    from sums
    left join totals
        on
            sums.tenant_id = totals.tenant_id
            and sums.platform = totals.platform
            and sums.account_id = totals.account_id
            and sums.day = totals.day
    left join scores
        on
            sums.tenant_id = scores.tenant_id
            and sums.platform = scores.platform
            and sums.account_id = scores.account_id
            and sums.day = scores.day
)

select * from final
