{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'test', 'score']}],
    post_hook='analyze {{ this }}',
    meta={'replay_keeps': {'days': 28, 'setting': 'priced_from', 'back': 0}},
) }}

-- Evidence in nats: the log-likelihood ratio of "m times what was expected" against "as expected", for a few material
-- effects m, summed over the last days. exp(score) is an e-value up to plug-in error.
with

tests as (
    select * from {{ ref('int_anomalies__tests') }}
),

entity_days as (
    select * from {{ ref('int_metrics__entity_days') }}
),

effects as (
    select e.*, ln(e.m)::float8 as ln_m
    from (
        values
        ('spend_up', 'spend', 1.5, 2), ('spend_up', 'spend', 2, 2), ('spend_up', 'spend', 3, 2),
        ('spend_down', 'spend', 0.15, 2), ('spend_down', 'spend', 0.3, 2), ('spend_down', 'spend', 0.5, 2),
        ('cpc', 'cpc', 1.5, 2), ('cpc', 'cpc', 2, 2), ('cpc', 'cpc', 3, 2),
        ('ctr', 'ctr', 0.35, 7), ('ctr', 'ctr', 0.5, 7), ('ctr', 'ctr', 0.65, 7),
        ('cvr', 'cvr', 0.35, 7), ('cvr', 'cvr', 0.5, 7), ('cvr', 'cvr', 0.65, 7),
        ('outage', 'cvr', 0.02, 7), ('outage', 'cvr', 0.1, 7),
        ('aov', 'aov', 0.3, 7), ('aov', 'aov', 0.45, 7), ('aov', 'aov', 0.6, 7)
    ) as e (test, chain, m, longest)
),

ratios as materialized (   -- or each of six frames would take the logarithms again
    select
        t.tenant_id,
        t.platform,
        t.level,
        t.platform_id,
        t.day,
        e.chain,
        e.test,
        e.m,
        e.longest,
        case
            when not t.is_tested then 0
            when t.is_zero then case when e.test = 'spend_down' then coalesce(t.zero_llr, 0) else 0 end
            when t.is_count
                then t.y * e.ln_m + (t.y + 1 / t.phi) * ln((1 / t.phi + t.expected_y) / (1 / t.phi + e.m * t.expected_y))
            else
                (2 * t.residual * e.ln_m - e.ln_m ^ 2) / (2 * t.variance)
                / (1 + 0.15 * abs(t.residual) / sqrt(t.variance))
        end as llr
    from tests as t
    inner join effects as e on t.chain = e.chain
    where {{ judged_from('t.day', back=6, setting='priced_from') }}
),

running as (                -- slow and small incidents show only over several days
    select
        r.tenant_id,
        r.platform,
        r.level,
        r.platform_id,
        r.day,
        r.chain,
        r.test,
        case
            when r.llr <= 0 then 0
            when r.longest = 2 then greatest(r.llr, sum(r.llr) over (w rows 1 preceding))
            else greatest(
                r.llr,
                sum(r.llr) over (w rows 1 preceding),
                sum(r.llr) over (w rows 2 preceding),
                sum(r.llr) over (w rows 3 preceding),
                sum(r.llr) over (w rows 4 preceding),
                sum(r.llr) over (w rows 6 preceding)
            )
        end as evidence
    from ratios as r
    window w as (partition by r.tenant_id, r.platform, r.level, r.platform_id, r.test, r.m order by r.day)
),

evidence as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        day,
        chain,
        test,
        round(coalesce(ln(avg(exp(least(evidence, 300)))), 0)::numeric, 6) as score
    from running
    group by tenant_id, platform, level, platform_id, day, chain, test
),

account_spend as (
    select
        d.tenant_id,
        d.platform,
        d.account_id,
        d.day,
        sum(d.spend) as spend,
        sum(d.spend * d.fx_rate) as spend_reporting
    from entity_days as d
    where d.level = 'account' and d.day > d.as_of - 58
    group by d.tenant_id, d.platform, d.account_id, d.day
),

usual_account_spend as (
    select
        tenant_id,
        platform,
        account_id,
        day,
        (avg(spend) over (
            partition by tenant_id, platform, account_id order by day rows between 28 preceding and 1 preceding
        ))::float8 as spend
    from account_spend
),

tenant_spend as (
    select
        tenant_id,
        day,
        sum(spend_reporting) as spend
    from account_spend
    group by tenant_id, day
),

usual_tenant_spend as (
    select
        tenant_id,
        day,
        (avg(spend) over (partition by tenant_id order by day rows between 28 preceding and 1 preceding))::float8 as spend
    from tenant_spend
),

measured as (
    select
        t.tenant_id,
        t.platform,
        t.account_id,
        t.level,
        t.platform_id,
        e.test,
        t.day,
        t.as_of,
        t.currency,
        e.score,
        t.movement,
        t.residual,
        t.y as observed,
        case when t.is_count or t.level = 'tenant' then t.expected_y else exp(t.expected_v) * t.x end as expected,
        case
            when t.is_count then 1.96 * sqrt(1 / nullif(t.expected_y, 0) + t.phi)
            else 1.96 * sqrt(t.variance)
        end as margin,
        t.is_count,
        case e.test
            when 'cpc' then t.x
            when 'ctr' then t.x
            when 'cvr' then t.spend
            when 'aov' then t.spend
            else 1
        end as weight,
        t.spend,
        t.fx_rate,
        coalesce(exp(t.aov_level), target.target::float8, t.spend / nullif(t.expected_y, 0)) as worth,
        account.spend as account_spend,
        tenant.spend as tenant_spend
    from tests as t
    inner join evidence as e
        on
            t.tenant_id = e.tenant_id and t.platform = e.platform and t.level = e.level
            and t.platform_id = e.platform_id and t.chain = e.chain and t.day = e.day
    left join {{ ref('int_entities__targets') }} as target
        on
            t.chain = 'cvr' and target.level = 'campaign' and target.target_metric = 'cpa'
            and target.target_source <> 'default'
            and t.tenant_id = target.tenant_id and t.platform = target.platform
            and t.platform_id = target.platform_id
    left join usual_account_spend as account
        on
            t.tenant_id = account.tenant_id and t.platform = account.platform
            and t.account_id = account.account_id and t.day = account.day
    left join usual_tenant_spend as tenant on t.tenant_id = tenant.tenant_id and t.day = tenant.day
    where t.is_tested and t.day > t.as_of - 28 and {{ judged_from('t.day', setting='priced_from') }}
),

priced as (
    select
        m.*,
        greatest(
            case
                when m.test in ('spend_up', 'spend_down') then abs(m.observed - m.expected)
                when m.test = 'cpc' then m.observed - m.expected
                when m.test = 'ctr' then m.spend * (1 - m.observed / nullif(m.expected, 0))
                when m.test = 'aov' then m.expected - m.observed
                else (m.expected - m.observed) * m.worth
            end, 0
        ) as loss,
        count(*) over (partition by m.tenant_id, m.level, m.day) as n_tests,
        row_number() over (
            partition by m.tenant_id, m.level, m.day order by m.score desc, m.platform asc, m.platform_id asc, m.test asc
        ) as place
    from measured as m
),

bars as (                   -- e-BH: of the scores that reach ln(tests / (0.05 * place)), the last one in order
    select
        tenant_id,
        level,
        day,
        min(score) as bar
    from priced
    where score >= ln(n_tests / (0.05 * place))
    group by tenant_id, level, day
),

final as (
    select
        p.tenant_id,
        p.platform,
        p.account_id,
        p.level,
        p.platform_id,
        p.test,
        p.day,
        p.as_of,
        p.currency,
        p.score,
        case when p.level = 'tenant' then 0 else b.bar end as bar,
        max(case when p.test = 'ctr' then p.score end) over same_day as ctr_score,
        max(case when p.test = 'cvr' then p.score end) over same_day as cvr_score,
        max(case when p.test = 'outage' then p.score end) over same_day as outage_score,
        round(p.observed::numeric, 6) as observed_sum,
        round(p.expected::numeric, 6) as expected_sum,
        round((p.expected * case when p.is_count then greatest(1 - p.margin, 0) else exp(-p.margin) end)::numeric, 6)
            as lower_sum,
        round((p.expected * case when p.is_count then 1 + p.margin else exp(p.margin) end)::numeric, 6) as upper_sum,
        round(p.weight::numeric, 6) as weight,
        round(p.loss::numeric, 6) as loss,
        round(
            case
                when p.level = 'tenant' then p.loss / nullif(p.tenant_spend, 0)
                else coalesce(p.loss * p.fx_rate / nullif(p.tenant_spend, 0), p.loss / nullif(p.account_spend, 0))
            end::numeric, 6
        ) as loss_share,
        case
            when sign(p.movement) = sign(p.residual) and p.movement <> 0
                then round((p.movement / (p.movement + p.residual))::numeric, 6)
            else 0
        end as movement_share
    from priced as p
    left join bars as b on p.tenant_id = b.tenant_id and p.level = b.level and p.day = b.day
    window same_day as (partition by p.tenant_id, p.platform, p.level, p.platform_id, p.day)
)

select * from final
