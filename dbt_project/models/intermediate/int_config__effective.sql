with

tenants as (
    select tenant_id from {{ ref('int_run__as_of') }}
),

platforms as (
    select unnest(array['meta', 'tiktok', 'google', 'pinterest', 'shopify']) as platform
),

final as (
    select
        tenants.tenant_id,
        platforms.platform,
        configured.*
    from tenants
    cross join platforms
    cross join lateral tenancy.effective_config(tenants.tenant_id, platforms.platform) as configured
)

select * from final
