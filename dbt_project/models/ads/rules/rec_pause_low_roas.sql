-- The named rule pause_low_roas by itself: only for tenants that set legacy_rules.
with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_pause_low_roas', 'max_roas', 1) }} as max_roas,
        {{ threshold('rec_pause_low_roas', 'min_spend', 100) }} as min_spend
    from {{ ref('int_config__effective') }} as configured
    where configured.legacy_rules
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

labelled as (
    select
        c.*,
        t.max_roas
    from campaigns as c
    inner join thresholds as t on c.tenant_id = t.tenant_id and c.platform = t.platform
    where
        c.is_running and c.daily_spend > 0
        and c.week_roas < t.max_roas and c.week_spend_reporting > t.min_spend
),

advised as (
    select
        l.tenant_id,
        l.as_of,
        l.platform,
        l.account_id,
        'campaign' as level,
        l.campaign_id as platform_id,
        'rec_pause_low_roas' as rule_id,
        'pause' as recommendation_type,
        format('Pause "%s"; it spends about %s a day.', l.name, {{ money('l.daily_spend', 'l.currency') }}) as description,
        format(
            'On its last 7 mature days it spent %s at a ROAS of %s: your rule pauses below %s. This rests on the rule'
            || ' alone, not on a test against a target.',
            {{ money('l.week_spend', 'l.currency') }}, to_char(round(l.week_roas, 2), 'FM990.00'),
            to_char(l.max_roas, 'FM990.0')
        ) as rationale,
        jsonb_build_object('field', 'status', 'from', 'active', 'to', 'paused') as action,
        jsonb_build_object(
            'measure', round(l.week_roas, 4), 'window_days', 7, 'roas', l.week_roas, 'spend', round(l.week_spend, 2),
            'named_rules', '["pause_low_roas"]'::jsonb, 'by_label_alone', true
        ) as evidence,
        l.daily_spend * 30 * (1 - l.week_roas / l.max_roas) as estimated_impact,
        l.daily_spend * 30 * (1 - l.week_roas / l.max_roas * exp(1.645 * l.se)) as estimated_impact_low,
        l.daily_spend * 30 * (1 - l.week_roas / l.max_roas * exp(-1.645 * l.se)) as estimated_impact_high,
        l.currency,
        {{ normal_cdf('-ln(greatest(l.week_roas / l.max_roas, 0.02)) / sqrt(4 * l.se ^ 2 + 0.15 ^ 2)') }} as confidence
    from labelled as l
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
