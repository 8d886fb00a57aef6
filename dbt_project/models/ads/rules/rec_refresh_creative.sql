with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        configured.legacy_rules,
        {{ threshold('rec_refresh_creative', 'max_ctr_ratio', 0.78) }} as max_ctr_ratio,
        {{ threshold('rec_refresh_creative', 'max_z', -3) }} as max_z,
        {{ threshold('rec_refresh_creative', 'min_frequency_rise', 1.25) }} as min_frequency_rise
    from {{ ref('int_config__effective') }} as configured
),

adsets as (
    select * from {{ ref('int_recommendations__adsets') }}
),

judged as (
    select
        a.*,
        -- A click rate that fell with a flat frequency is no fatigue.
        a.ctr_ratio < t.max_ctr_ratio and a.ctr_z < t.max_z
        and a.frequency >= t.min_frequency_rise * a.early_frequency as is_tired,
        a.frequency_7 > 3 and a.ctr_ratio < 1 as meets_label,
        t.legacy_rules,
        sqrt(1 / nullif(a.clicks, 0)::numeric + 1 / nullif(a.early_clicks, 0)::numeric + 0.02) as se
    from adsets as a
    inner join thresholds as t on a.tenant_id = t.tenant_id and a.platform = t.platform
    where a.is_running and not a.is_learning and a.clicks > 0 and a.early_clicks > 0
),

advised as (
    select
        j.tenant_id,
        j.as_of,
        j.platform,
        j.account_id,
        'adset' as level,
        j.adset_id as platform_id,
        'rec_refresh_creative' as rule_id,
        'creative' as recommendation_type,
        format('Give ad set "%s" in "%s" new ads.', j.name, j.campaign_name) as description,
        format(
            'In the last 14 days people clicked %s less often than when its ads were new (from %s), and each sees them %s'
            || ' times a day instead of %s.',
            {{ percent('1 - j.ctr_ratio') }}, to_char(j.creatives_since, 'YYYY-MM-DD'),
            to_char(round(j.frequency, 1), 'FM990.0'), to_char(round(j.early_frequency, 1), 'FM990.0')
        ) as rationale,
        jsonb_build_object('field', 'creative', 'from', 'current ads', 'to', 'new ads') as action,
        jsonb_build_object(
            'measure', round(j.ctr_ratio, 4),
            'window_days', 14,
            'click', 'link_clicks, else clicks',
            'n', j.clicks,
            'at', round(j.expected_clicks, 2),
            'ratio', round(j.ctr_ratio, 4),
            'lo', round((j.ctr_ratio * exp(-1.645 * j.se))::numeric, 4),
            'hi', round((j.ctr_ratio * exp(1.645 * j.se))::numeric, 4),
            'z', round(j.ctr_z, 2),
            'creatives_since', j.creatives_since,
            'frequency', j.frequency,
            'early_frequency', j.early_frequency,
            'frequency_7_days', j.frequency_7,
            'frequency_of', case j.frequency_of
                when 'adset' then 'impression-weighted mean of the ad set''s daily frequency'
                else 'impression-weighted mean of its ads'' daily frequencies'
            end,
            'named_rules', case when j.meets_label then '["refresh_creative"]'::jsonb else '[]'::jsonb end,
            'by_label_alone', not coalesce(j.is_tired, false)
        ) as evidence,
        j.spend_30 * (1 - j.ctr_ratio) as estimated_impact,
        j.spend_30 * (1 - j.ctr_ratio * exp(1.645 * j.se)) as estimated_impact_low,
        j.spend_30 * (1 - j.ctr_ratio * exp(-1.645 * j.se)) as estimated_impact_high,
        j.currency,
        {{ normal_cdf('-ln(j.ctr_ratio / 0.9) / sqrt(j.se ^ 2 + 0.15 ^ 2)') }} as confidence
    from judged as j
    where j.is_tired or (j.legacy_rules and j.meets_label)
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
