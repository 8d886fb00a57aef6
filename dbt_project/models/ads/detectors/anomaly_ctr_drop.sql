with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('anomaly_ctr_drop', 'floor', 8.5) }} as floor
    from {{ ref('int_anomalies__configured') }} as configured
),

scores as (
    select * from {{ ref('int_anomalies__scores') }}
    where test = 'ctr'
),

flagged as (
    select s.*
    from scores as s
    inner join thresholds as t on s.tenant_id = t.tenant_id and s.platform = t.platform
    where s.score >= greatest(t.floor, s.bar)
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        'ctr_drop' as anomaly_type,
        'ctr' as metric,
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
        false as is_tracking_outage,
        movement_share,
        as_of as known_as_of
    from flagged
)

select * from final
