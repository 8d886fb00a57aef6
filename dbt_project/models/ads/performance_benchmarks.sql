with

published as (
    select * from {{ ref('published_benchmarks') }}
),

peers as (
    select * from {{ ref('int_benchmarks__peers') }}
),

together as (
    select * from published
    union all
    select * from peers
),

final as (
    select
        tenant_id,
        platform,
        industry,
        objective,
        geography,
        metric,
        statistic,
        source,
        period_start,
        value,
        p10,
        p50,
        p90,
        unit,
        currency,
        sample_size,
        period_end,
        source_url,
        retrieved_on,
        quality
    from together
)

select * from final
