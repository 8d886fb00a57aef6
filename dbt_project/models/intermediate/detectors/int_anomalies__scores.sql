{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'test', 'score']}],
    post_hook='analyze {{ this }}',
    meta={'replay_keeps': {'days': 28, 'setting': 'priced_from', 'back': 0}},
) }}

{%- set windows = [1, 2, 3, 4, 5, 7] %}
{%- set longest = 7 %}

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
        ('spend_up', 'spend', 1.5, 3), ('spend_up', 'spend', 2, 3), ('spend_up', 'spend', 3, 3),
        ('spend_down', 'spend', 0.15, 3), ('spend_down', 'spend', 0.3, 3), ('spend_down', 'spend', 0.5, 3),
        ('cpc', 'cpc', 1.5, 5), ('cpc', 'cpc', 2, 5), ('cpc', 'cpc', 3, 5),
        ('ctr', 'ctr', 0.35, 7), ('ctr', 'ctr', 0.5, 7), ('ctr', 'ctr', 0.65, 7),
        ('cvr', 'cvr', 0.35, 7), ('cvr', 'cvr', 0.5, 7), ('cvr', 'cvr', 0.65, 7),
        ('outage', 'cvr', 0.02, 7), ('outage', 'cvr', 0.1, 7),
        ('aov', 'aov', 0.3, 7), ('aov', 'aov', 0.45, 7), ('aov', 'aov', 0.6, 7)
    ) as e (test, chain, m, longest)
),

-- The memory of a window is that of its first day: otherwise the first days of an incident would explain the others.
remembered as (
    select
        t.*,
        {%- for lag in range(longest) %}
        coalesce(lag(t.memory, {{ lag }}) over days, t.memory, 0) as memory_{{ lag }}{{ ',' if not loop.last }}
        {%- endfor %}
    from tests as t
    where {{ judged_from('t.day', back=12, setting='priced_from') }}
    window days as (partition by t.tenant_id, t.platform, t.level, t.platform_id, t.chain order by t.day)
),

effect_days as (
    select
        t.*,
        e.test,
        e.m,
        e.ln_m,
        e.longest,
        1 / t.phi as shape,
        case when t.is_count then 1 / nullif(t.expected_y, 0) + t.phi else t.variance end as day_variance,
        coalesce(t.memory, 0) as own_memory,
        {%- for lag in range(longest) %}
        -- A memory may take evidence away, never add to it: the end of a drop is no spike.
        case when e.m > 1 then greatest(t.memory_{{ lag }}, 0) else least(t.memory_{{ lag }}, 0) end
            as memory_of_{{ lag }}{{ ',' if not loop.last }}
        {%- endfor %}
    from remembered as t
    inner join effects as e on t.chain = e.chain
    where {{ judged_from('t.day', back=6, setting='priced_from') }}
),

ratios as materialized (   -- or each of the sums below would take the logarithms again
    select
        d.tenant_id,
        d.platform,
        d.level,
        d.platform_id,
        d.day,
        d.chain,
        d.test,
        d.m,
        d.longest,
        d.day_variance,
        {%- for lag in range(longest) %}
        case
            when not d.is_tested then 0
            when d.is_zero then case when d.test = 'spend_down' then coalesce(d.zero_llr, 0) else 0 end
            when d.is_count
                then
                    d.y * d.ln_m
                    + (d.y + d.shape) * ln(
                        (d.shape + d.expected_y * exp(d.memory_of_{{ lag }} - d.own_memory))
                        / (d.shape + d.m * d.expected_y * exp(d.memory_of_{{ lag }} - d.own_memory))
                    )
            else
                (2 * (d.residual + d.own_memory - d.memory_of_{{ lag }}) * d.ln_m - d.ln_m ^ 2)
                / (2 * d.variance)
                / (1 + 0.15 * abs(d.residual + d.own_memory - d.memory_of_{{ lag }}) / sqrt(d.variance))
        end as llr_{{ lag }}{{ ',' if not loop.last }}
        {%- endfor %}
    from effect_days as d
),

sums as (                   -- slow and small incidents show only over several days
    select
        r.tenant_id,
        r.platform,
        r.level,
        r.platform_id,
        r.day,
        r.chain,
        r.test,
        {%- for days in windows %}
        case
            when r.llr_{{ days - 1 }} > 0 and r.longest >= {{ days }}
                then
                    (
                        r.llr_{{ days - 1 }}
                        {%- for back in range(1, days) %}
                        + coalesce(lag(r.llr_{{ days - 1 - back }}, {{ back }}) over days, 0)
                        {%- endfor %}
                    )
                    -- What the level itself may be off by is the same on all days of a window: it does not average out.
                    {%- if days > 1 %}
                    * coalesce(r.day_variance / (r.day_variance + {{ days - 1 }} * 0.0025), 1)
                    {%- endif %}
        end as sum_{{ days }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ratios as r
    window days as (partition by r.tenant_id, r.platform, r.level, r.platform_id, r.test, r.m order by r.day)
),

running as (
    select
        s.tenant_id,
        s.platform,
        s.level,
        s.platform_id,
        s.day,
        s.chain,
        s.test,
        greatest({% for days in windows %}s.sum_{{ days }}, {% endfor %}0) as evidence
    from sums as s
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
        max(case when p.test = 'outage' and p.level = 'account' then p.score end) over (
            partition by p.tenant_id, p.platform, p.account_id, p.day
        ) as account_outage_score,
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
