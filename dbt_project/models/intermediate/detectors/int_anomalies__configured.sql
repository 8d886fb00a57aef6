{{ config(materialized='view') }}

-- Where anomalies are looked for, with the numbers that configuration overrides. Platform `all` stands for the tenant
-- as a whole, which is watched as long as one platform is; it knows the files' defaults only.
with

configured as (
    select * from {{ ref('int_config__effective') }}
),

platforms as (
    select
        tenant_id,
        platform,
        thresholds
    from configured
    where anomaly_detection_enabled
),

final as (
    select
        tenant_id,
        platform,
        thresholds
    from platforms
    union all
    select
        tenant_id,
        'all' as platform,
        '{}'::jsonb as thresholds
    from platforms
    group by tenant_id
)

select * from final
