with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('anomaly_conversion_drop', 'floor', 7.5) }} as floor,
        {{ threshold('anomaly_conversion_drop', 'member_floor', 2.0) }} as member_floor,
        {{ threshold('anomaly_conversion_drop', 'outage_share', 0.15) }} as outage_share
    from {{ ref('int_anomalies__configured') }} as configured
),

scores as (
    select * from {{ ref('int_anomalies__scores') }}
    where test = 'outage'
),

flagged as (                -- "almost none arrive" explains the days better than "fewer convert", which is a cost spike
    select
        s.*,
        s.observed_sum <= t.outage_share * s.expected_sum as is_tracking_outage
    from scores as s
    inner join thresholds as t on s.tenant_id = t.tenant_id and s.platform = t.platform
    where
        s.score > s.cvr_score
        and (
            (s.level <> 'account' and s.score >= greatest(t.floor, s.bar))
            -- An account as a whole, and what has little evidence of its own in it: only where almost nothing is left.
            or (
                s.observed_sum <= t.outage_share * s.expected_sum
                and s.account_outage_score >= t.floor
                and s.score >= case s.level when 'account' then greatest(t.floor, s.bar) else t.member_floor end
                and s.level in ('account', 'campaign')
            )
        )
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        'conversion_drop' as anomaly_type,
        'conversions' as metric,
        day,
        observed_sum,
        expected_sum,
        lower_sum,
        upper_sum,
        weight,
        score,
        loss,
        loss_share,
        currency,
        is_tracking_outage,
        movement_share,
        as_of as known_as_of
    from flagged
)

select * from final
