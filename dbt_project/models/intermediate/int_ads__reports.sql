with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

accounts as (
    select tenant_id, platform, account_id, max(day) as newest_day, max(day) filter (where is_as_of) as newest_day_as_of
    from (
        select covered.tenant_id, covered.platform, covered.account_id, covered.day, covered.day <= as_of.as_of as is_as_of
        from {{ ref('int_coverage__account_days') }} as covered
        inner join as_of on covered.tenant_id = as_of.tenant_id
        where covered.is_served
    ) as covered
    group by tenant_id, platform, account_id
),

final as (
    select
        accounts.tenant_id,
        accounts.platform,
        accounts.account_id,
        newest.reported_on,
        as_of.reported_on_as_of
    from accounts
    inner join as_of as run on accounts.tenant_id = run.tenant_id
    cross join
        lateral (    -- the newest report speaks of a recent day, so the index by day finds it
            select max(v.reported_on) as reported_on
            from {{ ref('int_history__performance_versions') }} as v
            where
                v.tenant_id = accounts.tenant_id and v.platform = accounts.platform
                and v.account_id = accounts.account_id and v.day > accounts.newest_day - 35 and v.source <> 'manual'
        ) as newest
    cross join lateral (
        select max(v.reported_on) as reported_on_as_of
        from {{ ref('int_history__performance_versions') }} as v
        where
            v.tenant_id = accounts.tenant_id and v.platform = accounts.platform
            and v.account_id = accounts.account_id and v.day > accounts.newest_day_as_of - 35
            and v.day <= run.as_of and v.known_on <= run.as_of and v.source <> 'manual'
    ) as as_of
)

select * from final
