-- How what is left of budgets of one period would earn most: between campaigns of one tenant, currency and period, each
-- by a bounded step, none far beyond what it ever spent in a week, the total unchanged. With mu = 1 / sqrt(marginal
-- return) every campaign's best spend is a straight line, mu a - h, cut off at its bounds: so the total is a chain of
-- straight pieces, and the mu that meets it is found between two of its corners.
with

budgets as (
    select * from {{ ref('budget_pacing') }}
),

responses as (
    select * from {{ ref('budget_responses') }}
),

configured as (
    select * from {{ ref('int_config__effective') }}
),

candidates as (
    select
        b.tenant_id,
        b.id,
        b.currency,
        b.period_start,
        b.period_end,
        b.budget,
        b.spend_to_date,
        (b.period_end - b.last_day)::float8 as days_left,
        ((b.budget - b.spend_to_date) / nullif(b.period_end - b.last_day, 0))::float8 as daily,
        r.s0,
        r.v0,
        r.v0_variance,
        r.b,
        r.b_variance,
        r.most_spent,
        least({{ threshold('budget_reallocation', 'max_move', 0.2) }}, 0.3)::float8 as max_move,
        case
            when b.as_of is null or b.n_elapsed = 0 then 'its period has not begun'
            when b.period_end <= b.last_day then 'its period is over'
            when b.spend_to_date is null then 'its spend is unknown'
            when b.is_stopped then 'the campaign is stopped'
            when b.budget <= b.spend_to_date then 'nothing is left of it'
            when r.is_learning then 'the campaign is still learning'
            when r.n_days < {{ threshold('budget_reallocation', 'min_days', 14) }} then 'too few usable days'
            when r.n < {{ threshold('budget_reallocation', 'min_conversions', 30) }} then 'too few conversions'
            when coalesce(r.v0, 0) <= 0 or coalesce(r.s0, 0) <= 0 then 'no conversion value is reported'
        end as hindrance
    from budgets as b
    inner join responses as r on b.tenant_id = r.tenant_id and b.id = r.id
    left join configured on b.tenant_id = configured.tenant_id and b.platform = configured.platform
),

movable as (
    select
        *,
        s0 * b / (1 - b) as h,
        sqrt(v0 * s0 * b) / (1 - b) as a,
        least(daily * (1 + max_move), most_spent * 1.2) as most,
        least(daily * (1 - max_move), most_spent * 1.2) as least_daily
    from candidates
    where hindrance is null
),

pools as (
    select
        tenant_id,
        currency,
        period_start,
        period_end,
        count(*) as n_campaigns,
        sum(daily) as total,
        sum(most) as most_total,
        sum(least_daily) as least_total
    from movable
    group by tenant_id, currency, period_start, period_end
),

corners as (
    select m.tenant_id, m.currency, m.period_start, m.period_end, (m.least_daily + m.h) / m.a as mu
    from movable as m
    union
    select m.tenant_id, m.currency, m.period_start, m.period_end, (m.most + m.h) / m.a as mu
    from movable as m
),

totals as (
    select
        c.tenant_id,
        c.currency,
        c.period_start,
        c.period_end,
        c.mu,
        sum(greatest(least(c.mu * m.a - m.h, m.most), m.least_daily)) as total
    from corners as c
    inner join movable as m
        on
            c.tenant_id = m.tenant_id and c.currency = m.currency and c.period_start = m.period_start
            and c.period_end = m.period_end
    group by c.tenant_id, c.currency, c.period_start, c.period_end, c.mu
),

brackets as (
    select
        p.*,
        (array_agg(t.mu order by t.mu desc) filter (where t.total <= p.total))[1] as mu_below,
        (array_agg(t.total order by t.mu desc) filter (where t.total <= p.total))[1] as total_below,
        (array_agg(t.mu order by t.mu asc) filter (where t.total > p.total))[1] as mu_above,
        (array_agg(t.total order by t.mu asc) filter (where t.total > p.total))[1] as total_above
    from pools as p
    inner join totals as t
        on
            p.tenant_id = t.tenant_id and p.currency = t.currency and p.period_start = t.period_start
            and p.period_end = t.period_end
    where p.n_campaigns > 1 and p.least_total <= p.total and p.total <= p.most_total
    group by
        p.tenant_id, p.currency, p.period_start, p.period_end, p.n_campaigns, p.total, p.most_total, p.least_total
),

solved as (
    select
        m.*,
        greatest(least(
            (
                b.mu_below + coalesce(
                    (b.mu_above - b.mu_below) * (b.total - b.total_below) / nullif(b.total_above - b.total_below, 0), 0
                )
            ) * m.a - m.h, m.most
        ), m.least_daily) as best
    from movable as m
    inner join brackets as b
        on
            m.tenant_id = b.tenant_id and m.currency = b.currency and m.period_start = b.period_start
            and m.period_end = b.period_end
    where b.mu_below is not null
),

valued as (
    select
        *,
        days_left * v0 * (daily / s0) / (b + (1 - b) * daily / s0) as value_now,
        days_left * v0 * (best / s0) / (b + (1 - b) * best / s0) as value_best,
        -- the curve's slope in b at the new and the old spend
        days_left * v0 * (
            (best / s0) * (best / s0 - 1) / (b + (1 - b) * best / s0) ^ 2
            - (daily / s0) * (daily / s0 - 1) / (b + (1 - b) * daily / s0) ^ 2
        ) as gain_by_b
    from solved
),

gains as (
    select
        tenant_id,
        currency,
        period_start,
        period_end,
        sum(value_best - value_now) as gain,
        sqrt(sum(gain_by_b ^ 2 * b_variance + ((value_best - value_now) / v0) ^ 2 * coalesce(v0_variance, 0))) as gain_sd
    from valued
    group by tenant_id, currency, period_start, period_end
),

rounded as (
    select
        v.*,
        g.gain,
        g.gain_sd,
        g.gain - 1.645 * g.gain_sd > 0 as is_worth_it,
        round((v.days_left * (v.best - v.daily))::numeric, 2) as move
    from valued as v
    inner join gains as g
        on
            v.tenant_id = g.tenant_id and v.currency = g.currency and v.period_start = g.period_start
            and v.period_end = g.period_end
),

ranked as (
    select
        *,
        row_number() over (same_pool order by abs(move) desc, id asc) as rank_of_move,
        sum(move) over same_pool as lost_cents
    from rounded
    window same_pool as (partition by tenant_id, currency, period_start, period_end)
),

balanced as (               -- cents that rounding lost or won go to the campaign whose spend moves most
    select
        *,
        case when rank_of_move = 1 then move - lost_cents else move end as balanced_move
    from ranked
),

final as (
    select
        c.tenant_id,
        c.id,
        case
            when c.hindrance is not null or v.id is null then null
            when v.is_worth_it then c.budget + v.balanced_move
            else c.budget
        end::numeric(20, 6) as recommended_budget,
        round(case when v.is_worth_it then v.value_best else v.value_now end::numeric, 2)::numeric(20, 6) as expected_return,
        jsonb_build_object(
            'reallocation',
            case
                when c.hindrance is not null then format('None: %s.', c.hindrance)
                when v.id is null and p.n_campaigns < 2
                    then 'None: no other budget of this period and currency can be moved.'
                when v.id is null then 'None: what is left of these budgets is more than their campaigns ever spent.'
                when not v.is_worth_it then 'None: no move has a gain that is more than doubt.'
                when v.balanced_move > 0 then 'Raised: the next money earns more here.'
                when v.balanced_move < 0 then 'Cut: the next money earns more elsewhere.'
                else 'Kept: it is at its best.'
            end,
            'elasticity', round(v.b::numeric, 4),
            'elasticity_sd', round(sqrt(v.b_variance)::numeric, 4),
            'daily_spend', round(v.s0::numeric, 2),
            'daily_value', round(v.v0::numeric, 2),
            'most_spent_a_day', round(v.most_spent::numeric, 2),
            'gain_of_all_moves', case when v.is_worth_it then round(v.gain::numeric, 2) end,
            'gain_interval',
            case
                when v.is_worth_it
                    then jsonb_build_array(
                        round((v.gain - 1.645 * v.gain_sd)::numeric, 2), round((v.gain + 1.645 * v.gain_sd)::numeric, 2)
                    )
            end
        ) as results
    from candidates as c
    left join balanced as v on c.tenant_id = v.tenant_id and c.id = v.id
    left join pools as p
        on
            c.tenant_id = p.tenant_id and c.currency = p.currency and c.period_start = p.period_start
            and c.period_end = p.period_end
)

select * from final
