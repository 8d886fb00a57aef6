with

performance as (
    select * from {{ source('raw_manual', 'performance') }}
),

judged as (
    select
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        day,
        load_id,
        source_name,
        line,
        {{ performance_refusal() }} as reason
    from performance
),

final as (
    select * from judged
    where reason is not null
)

select * from final
