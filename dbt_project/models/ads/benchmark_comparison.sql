-- The last 30 complete days of a tenant on a platform, in each benchmark's own currency.
with

as_of as (
    select as_of.*, lower(btrim(tenants.industry)) as industry
    from {{ ref('int_run__as_of') }} as as_of
    inner join {{ source('tenancy', 'tenants') }} as tenants on as_of.tenant_id = tenants.tenant_id
),

newest_benchmarks as (
    select distinct on (platform, industry, objective, geography, metric, statistic, source) *
    from {{ ref('performance_benchmarks') }}
    order by platform asc, industry asc, objective asc, geography asc, metric asc, statistic asc, source asc, period_start desc
),

currencies as (         -- of benchmarks; USD where only ratios are published
    select distinct coalesce(currency, 'USD') as currency from newest_benchmarks
),

rates as (
    select * from {{ ref('int_fx__rates_daily') }}
),

account_days as (
    select
        metrics.*, as_of.as_of, currencies.currency as target_currency,
        {{ in_currency('metrics.spend', 'metrics.currency', 'currencies.currency', 'own_rate.rate', 'target_rate.rate') }}
            as spend_in_target,
        {{ in_currency('metrics.conversion_value', 'metrics.currency', 'currencies.currency', 'own_rate.rate', 'target_rate.rate') }}
            as value_in_target
    from {{ ref('metrics_daily') }} as metrics
    inner join as_of on metrics.tenant_id = as_of.tenant_id
    cross join currencies
    left join rates as own_rate on metrics.currency = own_rate.currency and metrics.day = own_rate.day
    left join rates as target_rate on currencies.currency = target_rate.currency and metrics.day = target_rate.day
    where metrics.level = 'account' and metrics.day > as_of.as_of - 30 and metrics.day <= as_of.as_of
),

sums as (
    select
        tenant_id, platform, as_of, target_currency,
        -- one day without a rate and the sum would be too small: then there is none
        case when bool_and(spend_in_target is not null or spend is null) then sum(spend_in_target) end as spend,
        case when bool_and(value_in_target is not null or conversion_value is null) then sum(value_in_target) end
            as conversion_value,
        count(distinct currency) as n_currencies,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(conversions) as conversions,
        {{ safe_ratio('sum(maturity * spend)', 'sum(spend) filter (where maturity is not null)') }} as maturity
    from account_days
    group by tenant_id, platform, as_of, target_currency
),

own as (
    select
        sums.tenant_id, sums.platform, sums.as_of, sums.target_currency, sums.maturity,
        metrics.metric, metrics.value, metrics.better, metrics.n_events >= metrics.min_events as is_sufficient
    from sums
    cross join lateral (
        values
        ('ctr', {{ safe_ratio('sums.clicks', 'sums.impressions') }}, 1, sums.clicks, 100),
        ('cvr', {{ safe_ratio('sums.conversions', 'sums.clicks') }}, 1, sums.conversions, 30),
        ('roas', {{ safe_ratio('sums.conversion_value', 'sums.spend') }}, 1, sums.conversions, 30),
        ('cpa', {{ safe_ratio('sums.spend', 'sums.conversions') }}, -1, sums.conversions, 30),
        ('cpc', {{ safe_ratio('sums.spend', 'sums.clicks') }}, -1, sums.clicks, 100),
        ('cpm', {{ safe_ratio('sums.spend', 'sums.impressions', 1000) }}, -1, sums.impressions, 10000)
    ) as metrics (metric, value, better, n_events, min_events)
),

compared as (
    select
        own.*, benchmarks.industry, benchmarks.objective, benchmarks.geography, benchmarks.statistic, benchmarks.source,
        benchmarks.period_start, benchmarks.period_end, benchmarks.value as benchmark_value, benchmarks.p10,
        benchmarks.p50, benchmarks.p90, benchmarks.unit, benchmarks.currency, benchmarks.sample_size,
        benchmarks.quality,
        {{ safe_ratio('own.value', 'benchmarks.value') }} - 1 as difference
    from own
    inner join as_of on own.tenant_id = as_of.tenant_id
    inner join newest_benchmarks as benchmarks
        on
            own.platform = benchmarks.platform
            and own.metric = benchmarks.metric
            and own.target_currency = coalesce(benchmarks.currency, 'USD')
            and (benchmarks.industry = 'all' or lower(benchmarks.industry) = as_of.industry)
),

final as (
    select
        tenant_id,
        platform,
        industry,
        objective,
        geography,
        metric,
        statistic,
        source,
        period_start,
        period_end,
        as_of,
        30 as window_days,
        value as own_value,
        benchmark_value,
        p10,
        p50,
        p90,
        difference,
        case
            when value is null or benchmark_value is null or not coalesce(is_sufficient, false) then 'insufficient_data'
            when better * value >= better * (case better when 1 then p90 else p10 end) then 'top_10'
            when better * value <= better * (case better when 1 then p10 else p90 end) then 'bottom_10'
            when abs(difference) < 0.1 then 'similar'
            when better * difference > 0 then 'better'
            else 'worse'
        end as standing,
        maturity,
        unit,
        currency,
        sample_size,
        quality
    from compared
)

select * from final
