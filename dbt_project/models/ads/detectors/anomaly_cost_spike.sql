with

thresholds as (
    select
        configured.tenant_id,
        configured.platform,
        {{ threshold('anomaly_cost_spike', 'floor', 8.0) }} as floor,
        -- What a click costs wanders little, and one odd price is damped: six nats are as rarely wrong as eight of a count.
        {{ threshold('anomaly_cost_spike', 'cpc_floor', 6.0) }} as cpc_floor,
        {{ threshold('anomaly_cost_spike', 'ctr_share', 0.6) }} as ctr_share
    from {{ ref('int_anomalies__configured') }} as configured
),

scores as (
    select * from {{ ref('int_anomalies__scores') }}
    where test in ('cpc', 'cvr')
),

flagged as (
    select s.*
    from scores as s
    inner join thresholds as t on s.tenant_id = t.tenant_id and s.platform = t.platform
    where
        s.score >= greatest(case s.test when 'cpc' then t.cpc_floor else t.floor end, s.bar)
        and (
            -- Fewer clicks for the same impressions make each dearer: that is the CTR's incident.
            (s.test = 'cpc' and coalesce(s.ctr_score, 0) <= t.ctr_share * s.score)
            -- Almost no conversions at all is a conversion drop.
            or (s.test = 'cvr' and s.level <> 'account' and s.score >= coalesce(s.outage_score, 0))
        )
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        'cost_spike' as anomaly_type,
        case test when 'cpc' then 'cpc' else 'cpa' end as metric,
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
