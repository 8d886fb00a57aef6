with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('rec_shift_timing', 'max_ratio', 0.5) }} as max_ratio,
        {{ threshold('rec_shift_timing', 'max_z', -4.0) }} as max_z,
        {{ threshold('rec_shift_timing', 'min_weeks', 6) }} as min_weeks,
        {{ threshold('rec_shift_timing', 'min_worse_share', 0.75) }} as min_worse_share
    from {{ ref('int_config__effective') }} as configured
),

weekdays as (
    select * from {{ ref('int_recommendations__weekdays') }}
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

weak_days as (
    select
        c.*,
        w.weekdays,
        w.n as group_n,
        w.expected as group_expected,
        w.ratio as group_ratio,
        w.z as group_z,
        w.n_weeks,
        w.n_worse_weeks,
        w.mature_spend as group_spend,
        w.spend * 30 / 56 as group_spend_30,
        case when c.has_own_target then c.ratio else 1 end as worth,
        sqrt(1 / (w.n + 1) + 1 / w.rest_n + 0.02) as group_se
    from weekdays as w
    inner join campaigns as c
        on w.tenant_id = c.tenant_id and w.platform = c.platform and w.campaign_id = c.campaign_id
    inner join thresholds as t on w.tenant_id = t.tenant_id and w.platform = t.platform
    where
        c.is_running and not c.is_learning and not c.had_outage_lately
        and w.rest_n > 0
        and w.ratio < t.max_ratio
        and w.z < t.max_z
        -- Not one bad week: most weeks say the same.
        and w.n_weeks >= t.min_weeks
        and w.n_worse_weeks >= t.min_worse_share * w.n_weeks
),

advised as (
    select
        d.tenant_id,
        d.as_of,
        d.platform,
        d.account_id,
        'campaign' as level,
        d.campaign_id as platform_id,
        'rec_shift_timing' as rule_id,
        'timing' as recommendation_type,
        format(
            'Let "%s" spend less %s.', d.name,
            case d.weekdays when 'weekend' then 'on Saturdays and Sundays' else 'from Monday to Friday' end
        ) as description,
        format(
            'Over eight weeks those days brought %s conversions; at the rate of the other days the same money would have'
            || ' brought about %s. It was so in %s of %s weeks.',
            to_char(round(d.group_n), 'FM999,990'), to_char(round(d.group_expected), 'FM999,990'), d.n_worse_weeks, d.n_weeks
        ) as rationale,
        jsonb_build_object(
            'field', 'ad_schedule', 'from', 'all days alike',
            'to', case d.weekdays when 'weekend' then 'less on weekends' else 'less on workdays' end
        ) as action,
        jsonb_build_object(
            'measure', round(d.group_ratio, 4),
            'window_days', 56,
            'n', round(d.group_n, 2),
            'at', round(d.group_expected, 2),
            'ratio', round(d.group_ratio, 4),
            'lo', round((d.group_ratio * exp(-1.645 * d.group_se))::numeric, 4),
            'hi', round((d.group_ratio * exp(1.645 * d.group_se))::numeric, 4),
            'z', round(d.group_z, 2),
            'mature_spend', round(d.group_spend, 2),
            'weekdays', d.weekdays,
            'weeks', d.n_weeks,
            'worse_weeks', d.n_worse_weeks,
            'named_rules', '[]'::jsonb
        ) as evidence,
        d.group_spend_30 * 0.5 * d.worth * (1 - d.group_ratio) as estimated_impact,
        d.group_spend_30 * 0.5 * d.worth * (1 - d.group_ratio * exp(1.645 * d.group_se)) as estimated_impact_low,
        d.group_spend_30 * 0.5 * d.worth * (1 - d.group_ratio * exp(-1.645 * d.group_se)) as estimated_impact_high,
        d.currency,
        {{ normal_cdf('-0.5 * ln(greatest(d.group_ratio, 0.02)) / sqrt(d.group_se ^ 2 + 0.15 ^ 2)') }} as confidence
    from weak_days as d
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
