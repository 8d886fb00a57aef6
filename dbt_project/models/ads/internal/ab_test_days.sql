-- What each variant brought on each day that counts: numerator and denominator of the test's metric. Parallel variants
-- are compared on the days that are complete for all of them; a time split on each one's own days.
with

variants as (
    select * from {{ ref('ab_test_variants') }}
    where defect is null and start_date <= last_day
),

figures as (
    select
        v.tenant_id,
        v.id,
        v.place,
        v.metric,
        v.assignment,
        v.n_variants,
        m.day,
        m.currency,
        m.spend,
        m.spend_reporting,
        m.impressions,
        coalesce(m.link_clicks, m.clicks) as clicks,
        m.conversions,
        m.conversion_value,
        m.conversion_value_reporting,
        m.reach
    from variants as v
    cross join lateral (
        select * from {{ ref('metrics_daily') }} as f
        where
            f.tenant_id = v.tenant_id and f.platform = v.platform and f.level = v.level
            and f.platform_id = v.platform_id and f.day between v.start_date and v.last_day
            and f.data_status in ('final', 'provisional')
            -- conversions that are still to come would be held against the newest days
            and (v.metric in ('ctr', 'cpc') or coalesce(f.maturity, 1) >= v.min_maturity)
            and (v.days is null or v.days ? f.day::text)
        offset 0     -- noqa: AM09
    ) as m
),

currencies as (
    select
        tenant_id,
        id,
        count(distinct currency) = 1 as is_one_currency
    from figures
    group by tenant_id, id
),

measured as (
    select
        f.tenant_id,
        f.id,
        f.place,
        f.day,
        f.assignment,
        f.n_variants,
        f.reach,
        f.impressions,
        f.clicks,
        f.conversions,
        case when c.is_one_currency then f.spend else f.spend_reporting end as spend,
        case when c.is_one_currency then f.conversion_value else f.conversion_value_reporting end as conversion_value,
        case f.metric
            when 'ctr' then f.clicks
            when 'cvr' then f.conversions
            when 'roas' then case when c.is_one_currency then f.conversion_value else f.conversion_value_reporting end
            else case when c.is_one_currency then f.spend else f.spend_reporting end
        end::float8 as x,
        case f.metric
            when 'ctr' then f.impressions
            when 'cvr' then f.clicks
            when 'cpc' then f.clicks
            when 'cpa' then f.conversions
            else case when c.is_one_currency then f.spend else f.spend_reporting end
        end::float8 as y,
        case when f.metric in ('ctr', 'cpc') then f.clicks else f.conversions end as events
    from figures as f
    inner join currencies as c on f.tenant_id = c.tenant_id and f.id = c.id
),

counted as (
    select
        *,
        count(*) over (partition by tenant_id, id, day) as n_reporting
    from measured
    where x is not null and y is not null
),

final as (
    select
        tenant_id,
        id,
        place,
        day,
        x,
        y,
        events,
        spend,
        impressions,
        clicks,
        conversions,
        conversion_value,
        reach
    from counted
    where assignment = 'time_split' or n_reporting = n_variants
)

select * from final
