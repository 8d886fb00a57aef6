-- Whole months, and two digits: from figures that move daily, or exactly, one could work out who joined and what a
-- single tenant pays.
with

months as (
    select * from {{ ref('int_benchmarks__tenant_months') }}
),

cohorts as (        -- all tenants of a platform, and those of one industry
    select 'all' as cohort, months.* from months
    union all
    select months.industry as cohort, months.* from months
    where months.industry <> 'all'
),

figures as (
    select
        cohorts.cohort, cohorts.tenant_id, cohorts.platform, cohorts.month, cohorts.spend,
        metrics.metric, metrics.unit, metrics.value
    from cohorts
    cross join
        lateral (
            values
            ('ctr', 'ratio', {{ safe_ratio('cohorts.clicks', 'cohorts.impressions') }}),
            ('cvr', 'ratio', {{ safe_ratio('cohorts.conversions', 'cohorts.clicks') }}),
            ('roas', 'ratio', {{ safe_ratio('cohorts.conversion_value', 'cohorts.spend') }}),
            ('cpa', 'money', {{ safe_ratio('cohorts.spend', 'cohorts.conversions') }}),
            ('cpc', 'money', {{ safe_ratio('cohorts.spend', 'cohorts.clicks') }}),
            ('cpm', 'money', {{ safe_ratio('cohorts.spend', 'cohorts.impressions', 1000) }})
        ) as metrics (metric, unit, value)
    where metrics.value is not null
),

percentiles as (
    select
        cohort, platform, month, metric, unit,
        percentile_cont(array[0.1, 0.5, 0.9]) within group (order by value) as at_shares,
        count(*) as n_tenants
    from figures
    group by cohort, platform, month, metric, unit
    having count(*) >= 5 and max(spend) <= 0.5 * sum(spend)
),

final as (
    select
        '00000000-0000-0000-0000-000000000000'::uuid as tenant_id,
        platform,
        cohort as industry,
        'all' as objective,
        'all' as geography,
        metric,
        'median' as statistic,
        'Tenants who share' as source,
        month as period_start,
        {{ two_digits('at_shares[2]') }} as value,
        {{ two_digits('at_shares[1]') }} as p10,
        {{ two_digits('at_shares[2]') }} as p50,
        {{ two_digits('at_shares[3]') }} as p90,
        unit,
        case unit when 'money' then 'USD' end as currency,
        n_tenants as sample_size,
        (month + interval '1 month - 1 day')::date as period_end,
        null::text as source_url,
        null::date as retrieved_on,
        'primary' as quality
    from percentiles
)

select * from final
