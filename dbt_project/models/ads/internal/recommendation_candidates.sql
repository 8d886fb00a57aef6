-- What the rules advise for the as-of day after conflicts: one line per entity and type, one action per entity, and no
-- cut of a budget where something more specific explains the result.
with

runs as (
    select
        tenant_id,
        as_of,
        (as_of + 1)::timestamp at time zone timezone as ends_at
    from {{ ref('int_run__as_of') }}
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

placed as (
    select * from {{ ref('recommendations_advised') }}
),

without_masked as (         -- tired ads, a weak audience or weak days are what to mend first
    select p.*
    from placed as p
    where
        p.recommendation_type not in ('budget_decrease', 'pause')
        or p.is_by_label
        or not exists (
            select
            from placed as cause
            where
                cause.tenant_id = p.tenant_id and cause.platform = p.platform
                and cause.campaign_id = p.campaign_id
                and cause.recommendation_type in ('creative', 'audience', 'timing') and not cause.is_by_label
        )
),

one_per_type as (           -- the method before a named rule
    select distinct on (w.tenant_id, w.platform, w.level, w.platform_id, w.recommendation_type) w.*
    from without_masked as w
    order by
        w.tenant_id, w.platform, w.level, w.platform_id, w.recommendation_type, w.is_by_label, w.rule_id
),

one_money_action as (       -- a stop before a price, a price before an amount
    select distinct on (
        o.tenant_id, o.platform, o.level, o.platform_id,
        case when o.moves_money then 'money' else o.recommendation_type end
    ) o.*
    from one_per_type as o
    order by
        o.tenant_id, o.platform, o.level, o.platform_id,
        case when o.moves_money then 'money' else o.recommendation_type end,
        o.is_by_label,
        array_position(
            array['pause', 'resume', 'bid_adjustment', 'budget_decrease', 'budget_increase'], o.recommendation_type
        )
),

one_action as (
    select distinct on (m.tenant_id, m.platform, m.level, m.platform_id) m.*
    from one_money_action as m
    order by
        m.tenant_id asc, m.platform asc, m.level asc, m.platform_id asc, m.is_by_label asc, m.expected_gain desc,
        m.rule_id asc
),

staked as (                 -- expected gain times the chance to be right, as a share of what the tenant spends
    select
        o.*,
        coalesce(
            o.expected_gain * c.fx_rate / nullif(c.tenant_spend_30, 0),
            o.expected_gain / nullif(c.account_daily_spend * 30, 0),
            0
        ) as stake
    from one_action as o
    left join campaigns as c
        on o.tenant_id = c.tenant_id and o.platform = c.platform and o.campaign_id = c.campaign_id
),

final as (
    select
        s.tenant_id,
        md5(concat_ws('|', s.tenant_id, s.platform, s.level, s.platform_id, s.recommendation_type, s.rule_id))
            as recommendation_key,
        s.as_of,
        s.platform,
        s.account_id,
        s.level,
        s.platform_id,
        s.rule_id,
        s.recommendation_type,
        s.description,
        s.rationale,
        s.action,
        s.evidence,
        s.estimated_impact,
        s.estimated_impact_low,
        s.estimated_impact_high,
        s.currency,
        s.confidence,
        case
            when s.stake >= 0.1 then 'critical'
            when s.stake >= 0.03 then 'high'
            when s.stake >= 0.01 then 'medium'
            else 'low'
        end as priority,
        s.moves_money,
        r.ends_at,
        r.ends_at + case
            when s.recommendation_type in ('creative', 'audience', 'timing') then interval '7 days'
            else interval '48 hours'
        end as expires_at
    from staked as s
    inner join runs as r on s.tenant_id = r.tenant_id
)

select * from final
