-- The named rule scale_high_roas by itself: only for tenants that set legacy_rules.
with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_scale_high_roas', 'min_roas', 3) }} as min_roas,
        {{ threshold('rec_scale_high_roas', 'min_budget_use', 0.8) }} as min_budget_use,
        least({{ threshold('rec_scale_high_roas', 'step', 0.2) }}, 0.3) as step
    from {{ ref('int_config__effective') }} as configured
    where configured.legacy_rules
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

labelled as (
    select
        c.*,
        t.min_roas,
        c.week_roas / t.min_roas * c.marginal_slope as marginal_ratio,
        {{ budget_amount('c.daily_budget * (1 + t.step)', 'c.currency') }} as new_budget
    from campaigns as c
    inner join thresholds as t on c.tenant_id = t.tenant_id and c.platform = t.platform
    where
        c.is_running and c.is_rested and c.daily_budget > 0
        and c.week_roas > t.min_roas and c.week_budget_use >= t.min_budget_use
),

moved as (
    select
        l.*,
        (l.new_budget - l.daily_budget) * least(l.week_budget_use, 1) * 30 as extra_spend
    from labelled as l
),

advised as (
    select
        m.tenant_id,
        m.as_of,
        m.platform,
        m.account_id,
        'campaign' as level,
        m.campaign_id as platform_id,
        'rec_scale_high_roas' as rule_id,
        'budget_increase' as recommendation_type,
        format(
            'Raise the daily budget of "%s" from %s to %s (+%s).',
            m.name, {{ money('m.daily_budget', 'm.currency') }}, {{ money('m.new_budget', 'm.currency') }},
            {{ percent('m.new_budget / m.daily_budget - 1') }}
        ) as description,
        format(
            'On its last 7 mature days it brought a ROAS of %s and spent %s of its budget: your rule raises above %s. This'
            || ' rests on the rule alone, not on a test against a target.',
            to_char(round(m.week_roas, 1), 'FM990.0'), {{ percent('m.week_budget_use') }}, to_char(m.min_roas, 'FM990.0')
        ) as rationale,
        jsonb_build_object('field', 'daily_budget', 'from', trim_scale(round(m.daily_budget, 2)), 'to', m.new_budget) as action,
        jsonb_build_object(
            'measure', round(m.week_roas, 4), 'window_days', 7, 'roas', m.week_roas, 'spend', round(m.week_spend, 2),
            'budget_use', m.week_budget_use, 'named_rules', '["scale_high_roas"]'::jsonb, 'by_label_alone', true
        ) as evidence,
        m.extra_spend * (m.marginal_ratio - 1) as estimated_impact,
        m.extra_spend * (m.marginal_ratio * exp(-1.645 * m.se) - 1) as estimated_impact_low,
        m.extra_spend * (m.marginal_ratio * exp(1.645 * m.se) - 1) as estimated_impact_high,
        m.currency,
        {{ normal_cdf('ln(m.marginal_ratio) / sqrt(4 * m.se ^ 2 + 2 * 0.15 ^ 2)') }} as confidence
    from moved as m
),

final as (
    select
        tenant_id,
        as_of,
        platform,
        account_id,
        level,
        platform_id,
        rule_id,
        recommendation_type,
        description,
        rationale,
        action,
        evidence,
        round(estimated_impact::numeric, 2)::numeric(20, 6) as estimated_impact,
        round(estimated_impact_low::numeric, 2)::numeric(20, 6) as estimated_impact_low,
        round(estimated_impact_high::numeric, 2)::numeric(20, 6) as estimated_impact_high,
        currency,
        round(least(greatest(confidence, 0.01), 0.99)::numeric, 4) as confidence
    from advised
)

select * from final
