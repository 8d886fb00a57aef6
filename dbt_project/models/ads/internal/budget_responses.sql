-- What a campaign returns when it spends more or less: V(s) = V0 s / (b s0 + (1 - b) s), a curve that saturates, through
-- what the campaign spends (s0) and returns (V0) a day, with elasticity b there. b is the slope of log conversions over
-- log spend of 60 days, pulled to 0.85, as the rules do; days spend more because they sell more, so it is seldom lower.
with

budgets as (
    select * from {{ ref('budget_pacing') }}
),

days as (
    select
        d.*,
        runs.currency as reporting_currency
    from {{ ref('int_recommendations__days') }} as d
    inner join {{ ref('int_run__as_of') }} as runs on d.tenant_id = runs.tenant_id
),

learning as (
    select * from {{ ref('int_entities__as_of') }}
    where level = 'campaign' and learning_state = 'learning'
),

budget_days as (
    select
        b.tenant_id,
        b.id,
        b.as_of,
        d.day,
        d.is_usable,
        d.is_delivered,
        d.conversions,
        d.known_share,
        d.spend,
        d.conversion_value,
        case when d.currency = b.currency then 1 when d.reporting_currency = b.currency then d.fx_rate end as factor
    from budgets as b
    inner join days as d
        on b.tenant_id = d.tenant_id and b.platform = d.platform and b.campaign_id = d.campaign_id
    where d.day > b.as_of - 60 and d.known_share > 0
),

priced as (                 -- in the budget's currency
    select
        tenant_id,
        id,
        as_of,
        day,
        is_usable,
        is_delivered,
        conversions / known_share as conversions,
        spend * factor as spend,
        conversion_value / known_share * factor as value
    from budget_days
    where factor is not null
),

weeks as (                  -- what a week has spent a day, on average; gaps count as nothing spent
    select
        tenant_id,
        id,
        sum(case when is_delivered then spend else 0 end) over (
            partition by tenant_id, id order by day range between interval '6 days' preceding and current row
        ) / 7 as spend
    from priced
),

most as (
    select
        tenant_id,
        id,
        max(spend) as most_spent
    from weeks
    group by tenant_id, id
),

fits as (
    select
        tenant_id,
        id,
        count(*) as n_days,
        sum(conversions) as n,
        avg(spend) filter (where day > as_of - 28) as s0,
        avg(value) filter (where day > as_of - 28) as v0,
        var_samp(value) filter (where day > as_of - 28) / nullif(count(value) filter (where day > as_of - 28), 0) as v0_variance,
        case
            when regr_sxx(ln((conversions + 0.5)::float8), ln(spend::float8)) > 0 and count(*) >= 14
                then regr_slope(ln((conversions + 0.5)::float8), ln(spend::float8))
        end as slope,
        greatest(
            regr_syy(ln((conversions + 0.5)::float8), ln(spend::float8))
            - regr_sxy(ln((conversions + 0.5)::float8), ln(spend::float8)) ^ 2
            / nullif(regr_sxx(ln((conversions + 0.5)::float8), ln(spend::float8)), 0),
            0.000001
        ) / nullif(count(*) - 2, 0) / nullif(regr_sxx(ln((conversions + 0.5)::float8), ln(spend::float8)), 0)
            as slope_variance
    from priced
    where is_usable and spend > 0
    group by tenant_id, id
),

posterior as (              -- the prior: 0.85, give or take 0.15
    select
        f.*,
        1 / (1 / 0.0225 + coalesce(case when f.slope is not null then 1 / f.slope_variance end, 0)) as b_variance,
        coalesce(f.slope / f.slope_variance, 0) as pull
    from fits as f
),

final as (
    select
        b.tenant_id,
        b.id,
        coalesce(p.n_days, 0) as n_days,
        coalesce(p.n, 0) as n,
        p.s0::float8 as s0,
        p.v0::float8 as v0,
        p.v0_variance::float8 as v0_variance,
        least(greatest(p.b_variance * (0.85 / 0.0225 + p.pull), 0.1), 0.95) as b,
        p.b_variance,
        m.most_spent::float8 as most_spent,
        l.tenant_id is not null as is_learning
    from budgets as b
    left join posterior as p on b.tenant_id = p.tenant_id and b.id = p.id
    left join most as m on b.tenant_id = m.tenant_id and b.id = m.id
    left join learning as l
        on b.tenant_id = l.tenant_id and b.platform = l.platform and b.campaign_id = l.platform_id
)

select * from final
