with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        configured.max_daily_budget,
        configured.currency,
        {{ threshold('rec_increase_budget', 'min_conversions', 20) }} as min_conversions,
        {{ threshold('rec_increase_budget', 'min_ratio', 1.3) }} as min_ratio,
        {{ threshold('rec_increase_budget', 'min_ratio_low', 1.15) }} as min_ratio_low,
        {{ threshold('rec_increase_budget', 'min_ratio_60', 1.2) }} as min_ratio_60,
        {{ threshold('rec_increase_budget', 'min_ratio_before', 1.15) }} as min_ratio_before,
        {{ threshold('rec_increase_budget', 'min_marginal_ratio', 1.1) }} as min_marginal_ratio,
        {{ threshold('rec_increase_budget', 'min_chance', 0.8) }} as min_chance,
        {{ threshold('rec_increase_budget', 'min_budget_use', 0.8) }} as min_budget_use,
        least({{ threshold('rec_increase_budget', 'step', 0.2) }}, 0.3) as step,
        {{ threshold('rec_increase_budget', 'max_account_share', 0.1) }} as max_account_share
    from {{ ref('int_config__effective') }} as configured
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

chances as (                -- that the extra money beats the target: doubt about the ratio, the slope and the days to come
    select
        *,
        {{ normal_cdf(
            'ln(greatest(ratio / greatest(season_ratio, 1) * marginal_slope, 0.001)) / sqrt(se ^ 2 + 0.15 ^ 2 + 0.3 ^ 2)'
        ) }} as chance
    from campaigns
),

winners as (
    select
        c.*,
        t.min_marginal_ratio,
        t.min_chance,
        -- What a season lifts everywhere is no campaign's own.
        greatest(c.season_ratio, 1) as season_lift,
        c.ratio / greatest(c.season_ratio, 1) * c.marginal_slope as marginal_ratio,
        -- In steps of 5 %, so that the advice does not change with every day's spend.
        floor(least(t.step, t.max_account_share * c.account_daily_spend / c.daily_budget) * 20) / 20 as step,
        case t.currency
            when c.currency then t.max_daily_budget
            else t.max_daily_budget / c.fx_rate
        end as budget_cap
    from chances as c
    inner join thresholds as t on c.tenant_id = t.tenant_id and c.platform = t.platform
    where
        c.is_running and c.is_settled and not c.is_learning and c.has_own_target
        and c.daily_budget > 0
        and c.n >= t.min_conversions
        and c.ratio / greatest(c.season_ratio, 1) > t.min_ratio
        and c.ratio_low / greatest(c.season_ratio, 1) > t.min_ratio_low
        -- One good month may be luck: two of them rarely are.
        and coalesce(c.ratio_60, c.ratio) > t.min_ratio_60
        and coalesce(c.ratio_before > t.min_ratio_before, true)
        and c.budget_use >= t.min_budget_use
),

stepped as (
    select
        w.*,
        least({{ budget_amount('w.daily_budget * (1 + w.step)', 'w.currency') }}, w.budget_cap) as new_budget
    from winners as w
    where
        w.marginal_ratio >= w.min_marginal_ratio
        -- Looked at every morning, what is barely likelier than not comes up by luck sooner or later.
        and w.chance >= w.min_chance
),

moved as (
    select
        s.*,
        (s.new_budget - s.daily_budget) * least(s.budget_use, 1) * 30 as extra_spend
    from stepped as s
    where s.new_budget >= s.daily_budget * 1.04
),

advised as (
    select
        m.tenant_id,
        m.as_of,
        m.platform,
        m.account_id,
        'campaign' as level,
        m.campaign_id as platform_id,
        'rec_increase_budget' as rule_id,
        'budget_increase' as recommendation_type,
        format(
            'Raise the daily budget of "%s" from %s to %s (+%s).',
            m.name, {{ money('m.daily_budget', 'm.currency') }}, {{ money('m.new_budget', 'm.currency') }},
            {{ percent('m.new_budget / m.daily_budget - 1') }}
        ) as description,
        format(
            '%s It spends %s of its budget, and the next %s should still bring %s times what the target asks for.%s',
            m.finding, {{ percent('m.budget_use') }}, m.currency, to_char(round(m.marginal_ratio, 1), 'FM990.0'),
            case when m.is_slope_known then '' else ' How much more it can take is only roughly known: go in steps.' end
        ) as rationale,
        jsonb_build_object('field', 'daily_budget', 'from', trim_scale(round(m.daily_budget, 2)), 'to', m.new_budget) as action,
        m.evidence || jsonb_build_object(
            'measure', round(m.ratio, 4),
            'marginal_ratio', round(m.marginal_ratio, 4),
            'marginal_slope', m.marginal_slope,
            'is_slope_known', m.is_slope_known,
            'named_rules', case
                when m.week_roas > 3 and m.week_budget_use >= 0.8 then '["scale_high_roas"]'::jsonb else '[]'::jsonb
            end
        ) as evidence,
        m.extra_spend * (m.marginal_ratio - 1) as estimated_impact,
        m.extra_spend * (m.ratio_low / m.season_lift * m.marginal_slope - 1) as estimated_impact_low,
        m.extra_spend * (m.ratio_high / m.season_lift * m.marginal_slope - 1) as estimated_impact_high,
        m.currency,
        m.chance as confidence
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
