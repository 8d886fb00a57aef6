with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_increase_budget', 'min_conversions', 20) }} as min_conversions,
        {{ threshold('rec_increase_budget', 'min_ratio', 1.3) }} as min_ratio,
        {{ threshold('rec_increase_budget', 'min_ratio_low', 1.15) }} as min_ratio_low,
        {{ threshold('rec_increase_budget', 'min_ratio_60', 1.2) }} as min_ratio_60,
        {{ threshold('rec_increase_budget', 'min_ratio_before', 1.15) }} as min_ratio_before,
        {{ threshold('rec_increase_budget', 'min_marginal_ratio', 1.1) }} as min_marginal_ratio,
        {{ threshold('rec_increase_budget', 'min_chance', 0.8) }} as min_chance,
        {{ threshold('rec_increase_budget', 'min_budget_use', 0.8) }} as min_budget_use,
        {{ threshold('rec_adjust_bid', 'step_up', 0.1) }} as step_up,
        {{ threshold('rec_adjust_bid', 'step_down', 0.15) }} as step_down,
        {{ threshold('rec_adjust_bid', 'min_cpc_rise', 0.35) }} as min_cpc_rise,
        {{ threshold('rec_adjust_bid', 'max_ctr_fall', 0.22) }} as max_ctr_fall,
        {{ threshold('rec_adjust_bid', 'min_clicks', 40) }} as min_clicks,
        {{ threshold('rec_adjust_bid', 'max_theta', -0.1) }} as max_theta
    from {{ ref('int_config__effective') }} as configured
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

chances as (                -- that bids one step higher still beat the target
    select
        *,
        {{ normal_cdf(
            'ln(greatest(ratio / greatest(season_ratio, 1) * marginal_slope, 0.001)) / sqrt(se ^ 2 + 0.15 ^ 2 + 0.3 ^ 2)'
        ) }} as chance
    from campaigns
),

judged as (
    select
        c.*,
        t.step_up,
        t.step_down,
        -- It earns more than it must and leaves budget unspent: more budget cannot help, higher bids can.
        c.n >= t.min_conversions
        and c.ratio / greatest(c.season_ratio, 1) > t.min_ratio
        and c.ratio_low / greatest(c.season_ratio, 1) > t.min_ratio_low
        and coalesce(c.ratio_60, c.ratio) > t.min_ratio_60
        and coalesce(c.ratio_before > t.min_ratio_before, true)
        and c.chance >= t.min_chance
        and c.ratio / greatest(c.season_ratio, 1) * c.marginal_slope >= t.min_marginal_ratio
        and c.budget_use < t.min_budget_use as is_held_back,
        -- Its clicks became dearer than the platform's, without the ads having lost their appeal.
        c.net_cpc_change >= t.min_cpc_rise and coalesce(c.net_cpc_change_low > 0.05, true) and c.ctr_change > -t.max_ctr_fall
        and c.clicks_14 >= t.min_clicks and c.theta < t.max_theta and not c.had_outage_lately as is_overpaying
    from chances as c
    inner join thresholds as t on c.tenant_id = t.tenant_id and c.platform = t.platform
    where c.is_running and c.is_settled and not c.is_learning and c.has_own_target
),

upward as (
    select
        j.tenant_id,
        j.as_of,
        j.platform,
        j.account_id,
        j.campaign_id,
        format('Raise the bids (or loosen the cost control) of "%s" by %s.', j.name, {{ percent('j.step_up') }})
            as description,
        format(
            '%s It leaves %s of its budget unspent, so a larger budget would not help.',
            j.finding, {{ percent('1 - j.budget_use') }}
        ) as rationale,
        1 + j.step_up as new_bid,
        j.evidence || jsonb_build_object(
            'measure', round(j.ratio, 4), 'marginal_slope', j.marginal_slope, 'is_slope_known', j.is_slope_known
        ) as evidence,
        j.daily_spend * 30 * j.step_up as moved_spend,
        j.ratio / greatest(j.season_ratio, 1) * j.marginal_slope - 1 as gain,
        j.ratio_low / greatest(j.season_ratio, 1) * j.marginal_slope - 1 as gain_low,
        j.ratio_high / greatest(j.season_ratio, 1) * j.marginal_slope - 1 as gain_high,
        j.currency,
        j.chance as confidence
    from judged as j
    where j.is_held_back
),

downward as (
    select
        j.tenant_id,
        j.as_of,
        j.platform,
        j.account_id,
        j.campaign_id,
        format('Lower the bids (or tighten the cost control) of "%s" by %s.', j.name, {{ percent('j.step_down') }})
            as description,
        format(
            'A click costs %s now and cost %s before (%s after the movement of the whole platform), while people click as'
            || ' often as they did. %s',
            {{ money('j.cpc_14', 'j.currency') }}, {{ money('j.cpc_first', 'j.currency') }},
            '+' || {{ percent('j.net_cpc_change') }}, j.finding
        ) as rationale,
        1 - j.step_down as new_bid,
        j.evidence || jsonb_build_object(
            'measure', round(1 + j.net_cpc_change, 4),
            'click', 'link_clicks, else clicks',
            'clicks', j.clicks_14,
            'cpc', round(j.cpc_14, 4),
            'cpc_before', round(j.cpc_first, 4),
            'cpc_change', round(j.cpc_change, 4),
            'platform_cpc_change', round(j.market_cpc_change, 4),
            'ctr_change', round(j.ctr_change, 4)
        ) as evidence,
        j.daily_spend * 30 * j.step_down as moved_spend,
        1 - j.ratio * j.marginal_slope as gain,
        1 - j.ratio_high * j.marginal_slope as gain_low,
        1 - j.ratio_low * j.marginal_slope as gain_high,
        j.currency,
        {{ normal_cdf('-j.theta / sqrt(j.se ^ 2 + 0.15 ^ 2)') }} as confidence
    from judged as j
    where j.is_overpaying and not j.is_held_back
),

advised as (
    select
        a.tenant_id,
        a.as_of,
        a.platform,
        a.account_id,
        'campaign' as level,
        a.campaign_id as platform_id,
        'rec_adjust_bid' as rule_id,
        'bid_adjustment' as recommendation_type,
        a.description,
        a.rationale,
        jsonb_build_object('field', 'bid_multiplier', 'from', 1, 'to', a.new_bid) as action,
        a.evidence || jsonb_build_object('named_rules', '[]'::jsonb) as evidence,
        a.moved_spend * a.gain as estimated_impact,
        a.moved_spend * a.gain_low as estimated_impact_low,
        a.moved_spend * a.gain_high as estimated_impact_high,
        a.currency,
        a.confidence
    from (
        select * from upward
        union all
        select * from downward
    ) as a
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
