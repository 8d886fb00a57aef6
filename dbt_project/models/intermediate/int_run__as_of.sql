with

newest_days as (
    select covered.tenant_id, max(covered.day) as newest_day
    from {{ source('ops', 'coverage') }} as covered
    inner join {{ source('tenancy', 'tenants') }} as owners on covered.tenant_id = owners.tenant_id
    left join {{ source('tenancy', 'ad_accounts') }} as accounts
        on
            covered.tenant_id = accounts.tenant_id
            and covered.platform = accounts.platform
            and covered.account_id = accounts.account_id
    where
        covered.state in ('accepted', 'provisional')
        -- a platform asked while the day was not over has told a part of it
        and not (
            covered.source = 'api'
            and (covered.covered_at at time zone coalesce(accounts.timezone, owners.timezone))::date <= covered.day
        )
    group by covered.tenant_id
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
        tenants.timezone,
        -- the demo's days stand still; everybody else's go on, whether a load came or not
        case when not tenants.is_demo then now() end as clock
    from newest_days as newest
    inner join tenants on newest.tenant_id = tenants.tenant_id
    left join chosen on newest.tenant_id = chosen.tenant_id
)

select * from final
