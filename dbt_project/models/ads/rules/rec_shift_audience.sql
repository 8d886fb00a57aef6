with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_shift_audience', 'min_spend_share', 0.12) }} as min_spend_share,
        {{ threshold('rec_shift_audience', 'max_ratio', 0.5) }} as max_ratio,
        {{ threshold('rec_shift_audience', 'max_z', -3) }} as max_z
    from {{ ref('int_config__effective') }} as configured
),

adsets as (
    select * from {{ ref('int_recommendations__adsets') }}
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

laggards as (
    select
        a.*,
        -- What a unit of the campaign's spend is worth against its target; 1 where it has none of its own.
        case when c.has_own_target then c.ratio else 1 end as worth,
        sqrt(1 / (a.n + 1) + 1 / a.siblings_n + 0.02) as se,
        round(round(a.spend_share * 20) / 20, 2) as share_from,
        round(greatest(round(a.spend_share * 10) / 20, 0.05), 2) as share_to
    from adsets as a
    inner join thresholds as t on a.tenant_id = t.tenant_id and a.platform = t.platform
    left join campaigns as c
        on a.tenant_id = c.tenant_id and a.platform = c.platform and a.campaign_id = c.campaign_id
    where
        a.is_running and not a.is_learning
        and coalesce(c.is_running, false) and not c.had_outage_lately
        and a.spend_share >= t.min_spend_share
        and a.siblings_n > 0
        and a.siblings_ratio < t.max_ratio
        and a.siblings_z < t.max_z
),

advised as (
    select
        l.tenant_id,
        l.as_of,
        l.platform,
        l.account_id,
        'adset' as level,
        l.adset_id as platform_id,
        'rec_shift_audience' as rule_id,
        'audience' as recommendation_type,
        format(
            'Move about half of the spend of ad set "%s" in "%s" to its siblings, or change whom it targets.',
            l.name, l.campaign_name
        ) as description,
        format(
            'Over 60 days it took %s of the campaign''s spend and brought %s conversions; at its siblings'' rate the same'
            || ' money would have brought about %s.',
            {{ percent('l.spend_share') }}, to_char(round(l.n), 'FM999,990'),
            to_char(round(l.siblings_expected), 'FM999,990')
        ) as rationale,
        jsonb_build_object('field', 'adset_spend_share', 'from', l.share_from, 'to', l.share_to) as action,
        jsonb_build_object(
            'measure', round(l.siblings_ratio, 4),
            'window_days', 60,
            'n', round(l.n, 2),
            'at', round(l.siblings_expected, 2),
            'ratio', round(l.siblings_ratio, 4),
            'lo', round((l.siblings_ratio * exp(-1.645 * l.se))::numeric, 4),
            'hi', round((l.siblings_ratio * exp(1.645 * l.se))::numeric, 4),
            'z', round(l.siblings_z, 2),
            'spend_share', l.spend_share,
            'mature_spend', round(l.mature_spend, 2),
            'siblings_conversions', round(l.siblings_n, 2),
            'siblings_spend', round(l.siblings_spend, 2),
            'named_rules', '[]'::jsonb
        ) as evidence,
        l.spend_30 * 0.5 * l.worth * (1 - l.siblings_ratio) as estimated_impact,
        l.spend_30 * 0.5 * l.worth * (1 - l.siblings_ratio * exp(1.645 * l.se)) as estimated_impact_low,
        l.spend_30 * 0.5 * l.worth * (1 - l.siblings_ratio * exp(-1.645 * l.se)) as estimated_impact_high,
        l.currency,
        -- Half of what sets a laggard apart is expected to stay when its money moves.
        {{ normal_cdf('-0.5 * ln(greatest(l.siblings_ratio, 0.02)) / sqrt(l.se ^ 2 + 0.15 ^ 2)') }} as confidence
    from laggards as l
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
