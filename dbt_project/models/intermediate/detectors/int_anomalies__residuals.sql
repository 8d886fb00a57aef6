{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'platform', 'platform_id', 'chain', 'day']}],
    post_hook='analyze {{ this }}',
    meta={'replay_keeps': {'days': 68, 'setting': 'judged_from', 'back': 0}},
) }}

-- What each day was expected to be from the days before it, and how far it was off. 68 days: the 40 that evidence is
-- summed over and the 28 before them, whose residuals say how far this campaign usually is off.
with

series as (
    select
        *,
        is_zero and not coalesce(
            lag(is_zero) over (partition by tenant_id, platform, platform_id, chain order by day), false
        ) as begins_zero
    from {{ ref('int_anomalies__series') }}
    where {{ judged_from('day', back=57, chain='chain') }}
),

packed as (                 -- all days of a chain once, to be cut from: an array for each frame took ten times as long
    select
        tenant_id,
        platform,
        platform_id,
        chain,
        array_agg(case when is_base and not is_dropped then v end order by day) as kept_v,
        array_agg(case when is_base then v end order by day) as all_v,
        array_agg(b order by day) as all_b,
        array_agg(case when is_base and not is_dropped then y end order by day) as kept_y,
        array_agg(case when is_base and not is_dropped then x end order by day) as kept_x,
        array_agg(case when is_base then y end order by day) as all_y,
        array_agg(case when is_base then x end order by day) as all_x,
        array_agg(weekday_factor order by day) as factors
    from series
    group by tenant_id, platform, platform_id, chain
),

windows as (
    select
        s.*,
        row_number() over (partition by s.tenant_id, s.platform, s.platform_id, s.chain order by s.day)::integer as place,
        count(case when s.is_base then 1 end) over before_28 as n_base,
        count(case when s.is_base and not s.is_dropped then 1 end) over before_28 as n_kept,
        -- Counts leave a gap of two days: it keeps a running incident out of its own baseline.
        count(case when s.is_base and not s.is_dropped then 1 end) over before_28_gap as n_kept_gap,
        sum(case when s.is_base and not s.is_dropped then s.y end) over before_28 as sum_y,
        sum(case when s.is_base and not s.is_dropped then s.x end) over before_28 as sum_x,
        count(case when s.is_zero then 1 end) over before_56 as zero_days,
        count(case when s.begins_zero then 1 end) over before_56 as zero_spells,
        count(case when not s.is_paused and not s.is_missing then 1 end) over before_56 as enabled_days
    from series as s
    window
        before_28 as (
            partition by s.tenant_id, s.platform, s.platform_id, s.chain order by s.day
            rows between 28 preceding and 1 preceding
        ),
        before_28_gap as (
            partition by s.tenant_id, s.platform, s.platform_id, s.chain order by s.day
            rows between 28 preceding and 3 preceding
        ),
        before_56 as (
            partition by s.tenant_id, s.platform, s.platform_id, s.chain order by s.day
            rows between 56 preceding and 1 preceding
        )
),

cut as (
    select
        w.*,
        p.all_v[w.place - 28:w.place - 1] as before_v,
        p.all_b[w.place - 28:w.place - 1] as before_b,
        -- A weekday residual looks three days ahead, so the newest that was known the day before is four days old.
        p.factors[w.place - 10:w.place - 4] as factors,
        case
            when w.n_kept >= 10 then p.kept_v[w.place - 28:w.place - 1] else p.all_v[w.place - 28:w.place - 1]
        end as window_v,
        case
            when w.n_kept_gap >= 10 then p.kept_y[w.place - 28:w.place - 3] else p.all_y[w.place - 28:w.place - 3]
        end as window_y,
        case
            when w.n_kept_gap >= 10 then p.kept_x[w.place - 28:w.place - 3] else p.all_x[w.place - 28:w.place - 3]
        end as window_x
    from windows as w
    inner join packed as p
        on
            w.tenant_id = p.tenant_id and w.platform = p.platform and w.platform_id = p.platform_id
            and w.chain = p.chain
    where w.day > w.as_of - 68 and {{ judged_from('w.day', chain='w.chain') }}
    -- a fence: without it each element of a window would cut the window anew
    offset 0     -- noqa: AM09
),

judged as (
    select
        w.tenant_id,
        w.platform,
        w.account_id,
        w.platform_id,
        w.chain,
        w.is_count,
        w.day,
        w.as_of,
        w.currency,
        w.y,
        w.x,
        w.v,
        w.b,
        w.is_base,
        w.is_dropped,
        w.is_missing,
        w.is_paused,
        w.is_zero,
        w.n_base,
        w.n_kept,
        w.sum_y,
        w.sum_x,
        w.zero_days,
        w.zero_spells,
        w.enabled_days,
        w.before_b,
        case when cardinality(w.factors) = 7 then w.factors end as factors,
        w.window_v,
        w.window_y,
        w.window_x,
        w.is_tested and w.n_base >= 10 as is_tested,
        -- Spend of a campaign that lives at its budget follows the budget.
        w.chain = 'spend' and w.b is not null and coalesce(limited.n >= 10 and limited.ratio >= ln(0.85), false)
            as is_limited
    from cut as w
    left join lateral (
        select
            count(u.v - u.b) as n,
            percentile_cont(0.5) within group (order by u.v - u.b) as ratio
        from unnest(w.before_v, w.before_b) as u (v, b)
        -- in here: as a condition of the join it is looked at after the work
        where w.chain = 'spend' and w.n_base >= 10
    ) as limited on true
),

levels as (
    select
        j.*,
        coalesce(j.factors[4], 0) + case when j.is_limited then j.b else 0 end as offset_today,
        case
            when j.chain = 'aov' and j.n_base >= 10 then ln(nullif(j.sum_y, 0) / nullif(j.sum_x, 0))
            when not j.is_count then continuous.level
        end as level,
        case when not j.is_count then continuous.n end as n_level,
        case when j.is_count then (counted.sum_y + 0.5) / nullif(counted.exposure, 0) end as rate,
        counted.sum_y as sum_counted
    from judged as j
    -- The newest of the 7 factors is 4 days old; a window day d days back has the weekday of factor 7 - (d + 3) % 7.
    left join lateral (
        select
            nullif(count(u.v), 0) as n,
            percentile_cont(0.5) within group (
                order by
                    u.v
                    - case when j.is_limited then u.b else 0 end
                    - coalesce(j.factors[7 - (cardinality(j.window_v) - u.i + 4)::integer % 7], 0)
            ) as level
        from unnest(j.window_v, j.before_b) with ordinality as u (v, b, i)
        where u.v is not null and not j.is_count and j.n_base >= 10
    ) as continuous on true
    left join lateral (
        select
            sum(u.y) as sum_y,
            sum(u.x * exp(coalesce(j.factors[7 - (cardinality(j.window_y) - u.i + 6)::integer % 7], 0))) as exposure
        from unnest(j.window_y, j.window_x) with ordinality as u (y, x, i)
        where j.is_count and j.n_base >= 10
    ) as counted on true
),

expected as (
    select
        l.*,
        l.level + l.offset_today as expected_v,
        l.rate * l.x * exp(l.offset_today) as expected_y,
        case
            when not l.is_tested then null
            when l.is_count
                then case when l.rate * l.x * exp(l.offset_today) >= 5 then ln((l.y + 0.5) / (l.rate * l.x * exp(l.offset_today) + 0.5)) end
            else l.v - l.level - l.offset_today
        end as raw_residual
    from levels as l
),

common_movement as (        -- holidays, sales, auction pressure: what moves a whole tenant is no campaign's incident
    select
        tenant_id,
        chain,
        day,
        percentile_cont(0.5) within group (order by raw_residual) * count(*) / (count(*) + 4) as movement,
        count(*) as n_campaigns
    from expected
    where raw_residual is not null
    group by tenant_id, chain, day
    having count(*) >= 6
),

movement_by_limit as (      -- spend that lives at its budget cannot follow a market; the other spend does
    select
        tenant_id,
        chain,
        day,
        is_limited,
        percentile_cont(0.5) within group (order by raw_residual) * count(*) / (count(*) + 4) as movement
    from expected
    where raw_residual is not null and chain = 'spend'
    group by tenant_id, chain, day, is_limited
    having count(*) >= 6
),

moved as (
    select
        e.*,
        coalesce(l.movement, g.movement, 0) as movement,
        coalesce(g.movement, 0) as tenant_movement,
        coalesce(g.n_campaigns, 0) as n_campaigns
    from expected as e
    left join common_movement as g on e.tenant_id = g.tenant_id and e.chain = g.chain and e.day = g.day
    left join movement_by_limit as l
        on e.tenant_id = l.tenant_id and e.chain = l.chain and e.day = l.day and e.is_limited = l.is_limited
),

final as (
    select
        e.tenant_id,
        e.platform,
        e.account_id,
        e.platform_id,
        e.chain,
        e.is_count,
        e.day,
        e.as_of,
        e.currency,
        e.y,
        e.x,
        e.is_tested,
        e.is_base,
        e.is_dropped,
        e.is_missing,
        e.is_paused,
        e.is_zero,
        e.n_base,
        e.n_kept,
        e.n_level,
        e.level,
        e.sum_x,
        e.zero_days,
        e.zero_spells,
        e.enabled_days,
        coalesce(e.sum_counted, e.sum_y) as sum_y,
        e.movement,
        e.tenant_movement,
        e.n_campaigns,
        e.expected_v + e.movement as expected_v,
        e.expected_y * exp(e.movement) as expected_y,
        case when e.is_tested and not e.is_count then e.v - e.expected_v - e.movement end as residual
    from moved as e
)

select * from final
