with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_resume_campaign', 'min_conversions', 20) }} as min_conversions,
        {{ threshold('rec_resume_campaign', 'min_ratio_low', 1.05) }} as min_ratio_low,
        {{ threshold('rec_resume_campaign', 'min_days', 3) }} as min_days,
        {{ threshold('rec_resume_campaign', 'max_days', 14) }} as max_days
    from {{ ref('int_config__effective') }} as configured
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

cleared as (                -- conversions that came after the pause have cleared its last days
    select
        c.*,
        c.as_of - coalesce(c.status_since, c.last_delivered + 1) as days_paused
    from campaigns as c
    inner join thresholds as t on c.tenant_id = t.tenant_id and c.platform = t.platform
    where
        c.status = 'paused' and c.age_days >= 21 and c.has_own_target
        and c.n >= t.min_conversions
        and c.ratio_low > t.min_ratio_low
        and c.as_of - coalesce(c.status_since, c.last_delivered + 1) between t.min_days and t.max_days
        and c.daily_spend > 0
),

advised as (
    select
        c.tenant_id,
        c.as_of,
        c.platform,
        c.account_id,
        'campaign' as level,
        c.campaign_id as platform_id,
        'rec_resume_campaign' as rule_id,
        'resume' as recommendation_type,
        format('Start "%s" again; it has been paused for %s days.', c.name, c.days_paused) as description,
        format(
            '%s If it was paused for its return, the late conversions have answered that.', c.finding
        ) as rationale,
        jsonb_build_object('field', 'status', 'from', 'paused', 'to', 'active') as action,
        c.evidence || jsonb_build_object(
            'measure', round(c.ratio, 4), 'days_paused', c.days_paused, 'named_rules', '[]'::jsonb
        ) as evidence,
        c.daily_spend * 30 * (c.ratio - 1) as estimated_impact,
        c.daily_spend * 30 * (c.ratio_low - 1) as estimated_impact_low,
        c.daily_spend * 30 * (c.ratio_high - 1) as estimated_impact_high,
        c.currency,
        -- A pause may have had another reason than the return.
        0.8 * {{ normal_cdf('c.theta / sqrt(c.se ^ 2 + 0.15 ^ 2)') }} as confidence
    from cleared as c
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
