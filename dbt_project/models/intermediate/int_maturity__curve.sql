{{ config(
    pre_hook="set local work_mem = '64MB'",
    indexes=[{'columns': ['tenant_id', 'platform', 'age'], 'unique': true}],
) }}

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

versions as (
    select
        v.tenant_id, v.platform, v.account_id, v.level, v.platform_id, v.day, v.known_on,
        v.day <= as_of.as_of - 28 as is_final,
        case when v.is_withdrawn then 0 else coalesce(v.conversions, 0) end as conversions
    from {{ ref('int_history__performance_versions') }} as v
    inner join as_of on v.tenant_id = as_of.tenant_id
    where
        v.day between as_of.as_of - 90 and as_of.as_of
        and v.known_on <= as_of.as_of
        and v.source <> 'manual'
        -- a snapshot file says what was known on its last day, not what was known when
        and v.reported_on = v.known_on
),

-- Only changes are stored: where an account reported anything, it had nothing new to say about its other days. A day
-- of which it reported nothing at all is no observation: the growth until its next report came at an unknown age.
reports as (
    select distinct tenant_id, platform, account_id, known_on
    from versions
),

added as (          -- what each version added to the version before
    select
        tenant_id, platform, account_id, day, known_on,
        conversions - coalesce(
            lag(conversions) over (
                partition by tenant_id, platform, account_id, level, platform_id, day
                order by known_on
            ), 0
        ) as conversions
    from versions
    where is_final
),

changes as (
    select tenant_id, platform, account_id, day, known_on, sum(conversions) as conversions
    from added
    group by tenant_id, platform, account_id, day, known_on
),

-- An account-day first told about late says nothing about the ages before; one told about once says nothing at all.
account_days as (
    select
        tenant_id, platform, account_id, day,
        min(known_on) as first_known_on,
        sum(conversions) as conversions
    from changes
    group by tenant_id, platform, account_id, day
    having count(*) > 1 and min(known_on) < day + 28
),

observed as (       -- each account-day at every age at which its account reported
    select
        days.tenant_id, days.platform, days.account_id, days.day, reports.known_on,
        days.conversions as final_conversions,
        sum(coalesce(changes.conversions, 0)) over (
            partition by days.tenant_id, days.platform, days.account_id, days.day order by reports.known_on
        ) as conversions
    from account_days as days
    inner join reports
        on
            days.tenant_id = reports.tenant_id and days.platform = reports.platform
            and days.account_id = reports.account_id
            and reports.known_on between days.first_known_on and days.day + 27
    left join changes
        on
            days.tenant_id = changes.tenant_id and days.platform = changes.platform
            and days.account_id = changes.account_id and days.day = changes.day
            and reports.known_on = changes.known_on
),

by_age as (
    select
        tenant_id, platform, known_on - day as age,
        sum(conversions) as conversions,
        sum(final_conversions) as final_conversions
    from observed
    group by tenant_id, platform, known_on - day
    having sum(final_conversions) > 0
),

learned as (        -- fewer than 20 conversions say nothing about a share, nor does a curve that begins late
    select
        days.tenant_id, days.platform, sum(days.conversions) as conversions
    from account_days as days
    inner join by_age as youngest
        on days.tenant_id = youngest.tenant_id and days.platform = youngest.platform and youngest.age = 0
    group by days.tenant_id, days.platform
    having sum(days.conversions) >= 20
),

-- Other ages rest on other days, so the plain shares waver; what is known never shrinks. The rising curve that is
-- nearest to them (weighted by conversions) is, at each age, the greatest over all beginnings of the least mean of a
-- stretch around it.
stretches as (
    select
        first.tenant_id, first.platform, first.age as first_age, last.age as last_age,
        sum(last.conversions) over upwards / sum(last.final_conversions) over upwards as share
    from by_age as first
    inner join by_age as last
        on first.tenant_id = last.tenant_id and first.platform = last.platform and first.age <= last.age
    window upwards as (partition by first.tenant_id, first.platform, first.age order by last.age)
),

least_shares as (
    select
        ages.tenant_id, ages.platform, ages.age, stretches.first_age, min(stretches.share) as share
    from by_age as ages
    inner join stretches
        on
            ages.tenant_id = stretches.tenant_id and ages.platform = stretches.platform
            and ages.age between stretches.first_age and stretches.last_age
    group by ages.tenant_id, ages.platform, ages.age, stretches.first_age
),

shares as (
    select tenant_id, platform, age, least(greatest(max(share), 0.000001), 1) as share
    from least_shares
    group by tenant_id, platform, age
    union all
    select tenant_id, platform, 28 as age, 1 as share
    from learned
),

steps as (          -- an age that nobody reported at lies between its neighbours, growing evenly from one to the other
    select
        tenant_id, platform, age, share,
        lead(age) over (partition by tenant_id, platform order by age) as next_age,
        lead(share) over (partition by tenant_id, platform order by age) as next_share
    from shares
),

final as (
    select
        learned.tenant_id,
        learned.platform,
        ages.age,
        round(
            case
                when ages.age = steps.age then steps.share
                else exp(
                    ln(steps.share)
                    + (ages.age - steps.age)::numeric / (steps.next_age - steps.age)
                    * ln(steps.next_share / steps.share)
                )
            end, 6
        ) as maturity,
        learned.conversions
    from learned
    inner join steps on learned.tenant_id = steps.tenant_id and learned.platform = steps.platform
    cross join lateral generate_series(steps.age, coalesce(steps.next_age, 29) - 1) as ages (age)
)

select * from final
