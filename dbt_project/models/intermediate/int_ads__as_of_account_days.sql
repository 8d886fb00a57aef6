-- Account-days of which something became known only after the as-of day: their figures are taken from the versions
-- of that day. All others are as metrics_daily has them.

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

known_later as (
    select distinct v.tenant_id, v.platform, v.day      -- one row per version
    from {{ ref('int_history__performance_versions') }} as v
    inner join as_of on v.tenant_id = as_of.tenant_id and v.known_on > as_of.as_of
    where v.day <= as_of.as_of
),

final as (
    select account_days.tenant_id, account_days.platform, account_days.account_id, account_days.day, as_of.as_of
    from {{ ref('int_ads__account_days') }} as account_days
    inner join as_of on account_days.tenant_id = as_of.tenant_id
    inner join known_later
        on
            account_days.tenant_id = known_later.tenant_id
            and account_days.platform = known_later.platform
            and account_days.day = known_later.day
    where account_days.is_served
)

select * from final
