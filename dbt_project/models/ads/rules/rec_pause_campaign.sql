with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_pause_campaign', 'min_called_for', 10) }} as min_called_for,
        {{ threshold('rec_pause_campaign', 'max_ratio', 0.38) }} as max_ratio,
        {{ threshold('rec_pause_campaign', 'max_ratio_high', 0.85) }} as max_ratio_high
    from {{ ref('int_config__effective') }} as configured
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

losers as (                 -- a stop-loss: the learning phase does not hold it back
    select c.*
    from campaigns as c
    inner join thresholds as t on c.tenant_id = t.tenant_id and c.platform = t.platform
    where
        c.is_running and c.is_rested and c.has_own_target and not c.had_outage_lately
        and c.at >= t.min_called_for
        and c.ratio_high / least(c.season_ratio, 1) < t.max_ratio_high
        and c.ratio < t.max_ratio
),

advised as (
    select
        l.tenant_id,
        l.as_of,
        l.platform,
        l.account_id,
        'campaign' as level,
        l.campaign_id as platform_id,
        'rec_pause_campaign' as rule_id,
        'pause' as recommendation_type,
        format('Pause "%s"; it spends about %s a day.', l.name, {{ money('l.daily_spend', 'l.currency') }}) as description,
        format(
            '%s At %s of what the target asks for, a smaller budget would not bring it there.',
            l.finding, {{ percent('l.ratio') }}
        ) as rationale,
        jsonb_build_object('field', 'status', 'from', 'active', 'to', 'paused') as action,
        l.evidence || jsonb_build_object(
            'measure', round(l.ratio, 4),
            'named_rules', case
                when l.week_roas < 1 and l.week_spend_reporting > 100 then '["pause_low_roas"]'::jsonb else '[]'::jsonb
            end
        ) as evidence,
        l.daily_spend * 30 * (1 - l.ratio) as estimated_impact,
        l.daily_spend * 30 * (1 - l.ratio_high) as estimated_impact_low,
        l.daily_spend * 30 * (1 - l.ratio_low) as estimated_impact_high,
        l.currency,
        {{ normal_cdf('-l.theta / sqrt(l.se ^ 2 + 0.15 ^ 2)') }} as confidence
    from losers as l
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
