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

effects as materialized (   -- or the logarithm of a numeric would be taken for each day of each campaign
    select e.test, e.chain, e.m::float8 as m, e.longest, ln(e.m)::float8 as ln_m
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

-- The memory of a window is older than the window: otherwise the first days of an incident would explain the others.
remembered as (
    select
        t.*,
        1 / t.phi as shape,
        case when t.is_count then 1 / nullif(t.expected_y, 0) + t.phi else t.variance end as day_variance,
        {%- for back in (0, 2, 6) %}
        -- It may take evidence away, never add to it: the end of a drop is no spike.
        greatest(coalesce(lag(t.memory, {{ back }}) over days, 0), 0) as high_{{ back }},
        least(coalesce(lag(t.memory, {{ back }}) over days, 0), 0) as low_{{ back }},
        t.expected_y * exp(
            least(coalesce(lag(t.memory, {{ back }}) over days, 0), 0) - coalesce(t.memory, 0)
        ) as expected_{{ back }},
        {%- endfor %}
        t.residual + coalesce(t.memory, 0) as unremembered
    from tests as t
    where {{ judged_from('t.day', back=12, setting='priced_from') }}
    window days as (partition by t.tenant_id, t.platform, t.level, t.platform_id, t.chain order by t.day)
),

ratios as materialized (   -- or each of the sums below would take the logarithms again
    select
        r.tenant_id,
        r.platform,
        r.level,
        r.platform_id,
        r.day,
        e.chain,
        e.test,
        e.m,
        e.longest,
        {%- for back in (0, 2, 6) %}
        case
            when not r.is_tested then 0
            when r.is_zero then case when e.test = 'spend_down' then coalesce(r.zero_llr, 0) else 0 end
            when r.is_count
                then
                    r.y * e.ln_m
                    + (r.y + r.shape) * ln((r.shape + r.expected_{{ back }}) / (r.shape + e.m * r.expected_{{ back }}))
            else
                (2 * (r.unremembered - case when e.m > 1 then r.high_{{ back }} else r.low_{{ back }} end) * e.ln_m - e.ln_m ^ 2)
                / (2 * r.variance)
                / (
                    1 + 0.15 * abs(r.unremembered - case when e.m > 1 then r.high_{{ back }} else r.low_{{ back }} end)
                    / sqrt(r.variance)
                )
        end as llr_{{ back }},
        {%- endfor %}
        r.day_variance
    from remembered as r
    inner join effects as e on r.chain = e.chain
    where {{ judged_from('r.day', back=6, setting='priced_from') }}
),

-- Sums of the last days by lags, oldest first: they share one pass, where each frame of a sum takes a pass of its own.
lagged as (
    select
        r.*
        {%- for back, longest in ((2, 2), (6, 6)) %}
        {%- for ago in range(1, longest + 1) %},
        coalesce(lag(r.llr_{{ back }}, {{ ago }}) over days, 0) as llr_{{ back }}_ago_{{ ago }}
        {%- endfor %}
        {%- endfor %}
    from ratios as r
    window days as (partition by r.tenant_id, r.platform, r.level, r.platform_id, r.test, r.m order by r.day)
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
        greatest(
            r.llr_0,
            {%- for days, back in ((2, 2), (3, 2), (4, 6), (5, 6), (7, 6)) %}
            case
                when
                    r.llr_{{ back }} > 0 and r.longest >= {{ days }}
                    {%- if days > 2 %}
                    -- What was is no evidence that it still is: the last two days must say so by themselves.
                    and r.llr_{{ back }}_ago_1 + r.llr_{{ back }} > 0
                    {%- endif %}
                    then
                        (
                            {% for ago in range(days - 1, 0, -1) %}r.llr_{{ back }}_ago_{{ ago }}
                            + {% endfor %}r.llr_{{ back }}
                        )
                        -- What the level is off by is the same on all days of a window: it does not average out.
                        * coalesce(r.day_variance / (r.day_variance + {{ days - 1 }} * 0.0025), 1)
            end,
            {%- endfor %}
            0
        ) as evidence
    from lagged as r
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
