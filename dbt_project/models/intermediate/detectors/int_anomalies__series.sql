{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'platform', 'platform_id', 'chain', 'day']}],
    post_hook='analyze {{ this }}',
    meta={'replay_keeps': {'days': 132, 'setting': 'judged_from', 'back': 3}},
) }}

-- One chain is one conditional quantity, so that one cause raises one alarm: spend; clicks given impressions (ctr);
-- price of a click (cpc); conversions given clicks (cvr); value of a conversion (aov).
-- Logarithms are double precision: they are statistics, not money.
with

campaign_days as (
    select
        d.*,
        d.delivery = 'delivered' and d.impressions > 0 as is_delivered,
        coalesce(d.maturity, 1) as known_share
    from {{ ref('int_metrics__entity_days') }} as d
    -- The oldest residual, 67 days back, rests on weekday factors 10 days older, each of 8 weeks and 3 days.
    where d.level = 'campaign' and d.day > d.as_of - 132
),

campaigns as (              -- delivered late enough to be judged or to be the company others are compared with
    select
        tenant_id,
        platform,
        platform_id,
        min(account_id) as account_id,
        min(currency) as currency,
        min(as_of) as as_of,
        min(day) as first_day
    from campaign_days
    group by tenant_id, platform, platform_id
    having bool_or(is_delivered and day > as_of - 68)
),

spine as (                  -- every day, so that a frame of rows is a frame of days
    select
        c.*,
        g.day::date as day
    from campaigns as c
    cross join lateral generate_series(c.first_day, c.as_of, interval '1 day') as g (day)
    where {{ judged_from('g.day', back=55) }}
),

chain_days as (
    select
        s.tenant_id,
        s.platform,
        s.platform_id,
        s.account_id,
        s.currency,
        s.as_of,
        s.day,
        v.chain,
        v.is_count,
        v.y,
        v.x,
        v.b,
        case when v.is_judged then v.v end as v,
        coalesce(v.is_judged, false) as is_tested,
        coalesce(v.is_judged and v.enters_baseline and v.v is not null, false) as is_base,
        d.delivery is null or d.delivery = 'missing' as is_missing,
        coalesce(d.delivery = 'paused', false) as is_paused,
        coalesce(d.delivery = 'zero', false) as is_zero
    from spine as s
    left join campaign_days as d
        on s.tenant_id = d.tenant_id and s.platform = d.platform and s.platform_id = d.platform_id and s.day = d.day
    cross join
        lateral (
            values
            (
                'spend', false, d.spend::float8, 1::float8,
                ln(nullif(greatest(d.spend, 0), 0)::float8), ln(nullif(greatest(d.daily_budget, 0), 0)::float8),
                d.is_delivered and d.spend > 0, true
            ),
            (
                'cpc', false, d.spend::float8, d.decision_clicks::float8,
                ln(nullif(greatest(d.spend, 0), 0)::float8 / nullif(d.decision_clicks, 0)), null,
                d.is_delivered and d.spend > 0 and d.decision_clicks > 0, true
            ),
            (
                'ctr', true, d.decision_clicks::float8, d.impressions::float8,
                ln((d.decision_clicks + 0.25)::float8 / nullif(d.impressions, 0)), null,
                d.is_delivered and d.decision_clicks is not null, true
            ),
            (
                'cvr', true, d.conversions::float8, (d.decision_clicks * d.known_share)::float8,
                ln((d.conversions + 0.25)::float8 / nullif(d.decision_clicks * d.known_share, 0)::float8), null,
                d.is_delivered and d.conversions is not null and d.decision_clicks > 0 and d.known_share >= 0.35,
                d.known_share > 0.8
            ),
            (
                'aov', false, d.conversion_value::float8, d.conversions::float8,
                ln(nullif(greatest(d.conversion_value, 0), 0)::float8 / nullif(d.conversions, 0)::float8), null,
                d.is_delivered and d.conversion_value > 0 and d.conversions > 0 and d.known_share >= 0.35,
                d.known_share > 0.8
            )
        ) as v (chain, is_count, y, x, v, b, is_judged, enters_baseline)
    where {{ judged_from('s.day', back=55, chain='v.chain') }}
),

framed as (
    select
        c.*,
        row_number() over (
            partition by c.tenant_id, c.platform, c.platform_id, c.chain order by c.day
        )::integer as place,
        -- all values once, to be cut from: an array for each frame took ten times as long
        array_agg(case when c.is_base then c.v end) over (
            partition by c.tenant_id, c.platform, c.platform_id, c.chain order by c.day
            rows between unbounded preceding and unbounded following
        ) as base_v,
        case
            when c.is_base and c.chain <> 'aov' and count(case when c.is_base then c.v end) over week >= 6
                then c.v - avg(case when c.is_base then c.v end) over week
        end as weekday_residual
    from chain_days as c
    window
        week as (
            partition by c.tenant_id, c.platform, c.platform_id, c.chain order by c.day
            rows between 3 preceding and 3 following
        )
),

first_pass as (             -- odd days by a plain median and quartile spread of the 28 days before, the same in every replay
    select
        f.tenant_id,
        f.platform,
        f.platform_id,
        f.account_id,
        f.currency,
        f.as_of,
        f.day,
        f.chain,
        f.is_count,
        f.y,
        f.x,
        f.b,
        f.v,
        f.is_tested,
        f.is_base,
        f.is_missing,
        f.is_paused,
        f.is_zero,
        f.weekday_residual,
        coalesce(
            f.is_base and q.n >= 10
            and abs(f.v - q.quartiles[2]) > 4 * greatest((q.quartiles[3] - q.quartiles[1]) / 1.349, 0.02)
            and (
                not f.is_count
                or abs(2 * (sqrt(f.y + 0.375) - sqrt(f.x * exp(q.quartiles[2]) + 0.375))) > 4
            ),
            false
        ) as is_odd
    from framed as f
    left join lateral (
        select
            count(u.v) as n,
            percentile_cont(array[0.25, 0.5, 0.75]) within group (order by u.v) as quartiles
        from unnest(f.base_v[f.place - 28:f.place - 1]) as u (v)
        -- in here: as a condition of the join it is looked at after the work
        where f.is_base and f.day > f.as_of - 104 and {{ judged_from('f.day', back=9, chain='f.chain') }}
    ) as q on true
),

shifts as (                 -- six odd days within seven are a new level, no longer odd
    select
        p.*,
        p.is_odd
        and count(case when p.is_odd then 1 end) over (
            partition by p.tenant_id, p.platform, p.platform_id, p.chain order by p.day
            rows between 6 preceding and current row
        ) < 6 as is_dropped,
        array_agg(p.weekday_residual) over (
            partition by p.tenant_id, p.platform, p.platform_id, p.chain, extract(isodow from p.day) order by p.day
            rows between 7 preceding and current row
        ) as same_weekdays,
        avg(case when p.is_base then p.y end) over (
            partition by p.tenant_id, p.platform, p.platform_id, p.chain order by p.day
            rows between 51 preceding and current row
        ) as usual_count
    from first_pass as p
),

own_weekdays as (
    select
        s.*,
        coalesce(o.n, 0) as n_weekdays,
        o.factor as own_factor,
        -- A rate's weekday is as well known as its counts are large: noise of one day against a spread of 0.17 between
        -- campaigns.
        case when s.is_count then 1.57 * (1 / (coalesce(s.usual_count, 0) + 0.1) + 0.05) / 0.03 else 8 end as pool_weight
    from shifts as s
    left join lateral (
        select
            count(u.r) as n,
            percentile_cont(0.5) within group (order by u.r) as factor
        from unnest(s.same_weekdays) as u (r)
        where s.chain <> 'aov' and s.day > s.as_of - 79
    ) as o on true
    where {{ judged_from('s.day', back=3, chain='s.chain') }}
),

pooled_weekdays as (
    select
        tenant_id,
        platform,
        chain,
        day,
        percentile_cont(0.5) within group (order by own_factor) as factor
    from own_weekdays
    where n_weekdays >= 3
    group by tenant_id, platform, chain, day
),

final as (
    select
        o.tenant_id,
        o.platform,
        o.account_id,
        o.platform_id,
        o.chain,
        o.is_count,
        o.day,
        o.as_of,
        o.currency,
        o.y,
        o.x,
        o.v,
        o.b,
        o.is_tested,
        o.is_base,
        o.is_dropped,
        o.is_missing,
        o.is_paused,
        o.is_zero,
        (o.n_weekdays * coalesce(o.own_factor, 0) + o.pool_weight * coalesce(p.factor, 0))
        / (o.n_weekdays + o.pool_weight) as weekday_factor
    from own_weekdays as o
    left join pooled_weekdays as p
        on o.tenant_id = p.tenant_id and o.platform = p.platform and o.chain = p.chain and o.day = p.day
)

select * from final
