with

newest_days as (
    select tenant_id, max(day) as newest_day
    from {{ source('ops', 'coverage') }}
    where state in ('accepted', 'provisional')
    group by tenant_id
),

tenants as (
    select * from {{ source('tenancy', 'tenants') }}
),

chosen as (
    select * from {{ source('ops', 'as_of') }}
),

final as (
    select
        newest.tenant_id,
        coalesce(
            chosen.as_of,
            least(newest.newest_day, (now() at time zone tenants.timezone)::date - 1)
        ) as as_of,
        tenants.currency,
        tenants.timezone
    from newest_days as newest
    inner join tenants on newest.tenant_id = tenants.tenant_id
    left join chosen on newest.tenant_id = chosen.tenant_id
)

select * from final
