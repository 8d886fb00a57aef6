with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_decrease_budget', 'min_called_for', 10) }} as min_called_for,
        {{ threshold('rec_decrease_budget', 'max_ratio_high', 0.85) }} as max_ratio_high,
        {{ threshold('rec_decrease_budget', 'max_ratio_60', 0.95) }} as max_ratio_60,
        {{ threshold('rec_pause_campaign', 'max_ratio', 0.38) }} as pause_ratio,
        least({{ threshold('rec_decrease_budget', 'step', 0.2) }}, 0.5) as step
    from {{ ref('int_config__effective') }} as configured
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

losers as (
    select
        c.*,
        t.step,
        coalesce(c.daily_budget, c.daily_spend) as basis
    from campaigns as c
    inner join thresholds as t on c.tenant_id = t.tenant_id and c.platform = t.platform
    where
        c.is_running and c.is_settled and not c.is_learning and c.has_own_target and not c.had_outage_lately
        and c.at >= t.min_called_for
        and c.ratio_high / least(c.season_ratio, 1) < t.max_ratio_high
        and c.ratio >= t.pause_ratio
        -- One bad month may be bad luck.
        and coalesce(c.ratio_60, c.ratio) < t.max_ratio_60
        and coalesce(c.daily_budget, c.daily_spend) > 0
),

stepped as (
    select
        l.*,
        {{ budget_amount('l.basis * (1 - l.step)', 'l.currency') }} as new_budget,
        l.daily_spend * l.step * 30 as saved_spend
    from losers as l
),

advised as (
    select
        s.tenant_id,
        s.as_of,
        s.platform,
        s.account_id,
        'campaign' as level,
        s.campaign_id as platform_id,
        'rec_decrease_budget' as rule_id,
        'budget_decrease' as recommendation_type,
        case
            when s.daily_budget is null
                then format(
                    'Hold "%s" to %s a day; it spends about %s now.',
                    s.name, {{ money('s.new_budget', 's.currency') }}, {{ money('s.daily_spend', 's.currency') }}
                )
            else
                format(
                    'Lower the daily budget of "%s" from %s to %s (−%s).',
                    s.name, {{ money('s.daily_budget', 's.currency') }}, {{ money('s.new_budget', 's.currency') }},
                    {{ percent('s.step') }}
                )
        end as description,
        format(
            '%s It earns %s of what the target asks for, and even at the favourable end of the range it stays below it.',
            s.finding, {{ percent('s.ratio') }}
        ) as rationale,
        jsonb_build_object('field', 'daily_budget', 'from', trim_scale(round(s.daily_budget, 2)), 'to', s.new_budget) as action,
        s.evidence || jsonb_build_object(
            'measure', round(s.ratio, 4),
            'marginal_slope', s.marginal_slope,
            'named_rules', case
                when s.week_roas < 1 and s.week_spend_reporting > 100 then '["pause_low_roas"]'::jsonb else '[]'::jsonb
            end
        ) as evidence,
        s.saved_spend * (1 - s.ratio * s.marginal_slope) as estimated_impact,
        s.saved_spend * (1 - s.ratio_high * s.marginal_slope) as estimated_impact_low,
        s.saved_spend * (1 - s.ratio_low * s.marginal_slope) as estimated_impact_high,
        s.currency,
        {{ normal_cdf('-s.theta / sqrt(s.se ^ 2 + 0.15 ^ 2)') }} as confidence
    from stepped as s
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
