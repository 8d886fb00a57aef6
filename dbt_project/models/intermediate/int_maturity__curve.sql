{{ config(
    pre_hook="set local work_mem = '64MB'",
    indexes=[{'columns': ['tenant_id', 'platform', 'age'], 'unique': true}],
) }}

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

versions as (       -- days whose conversions are final, as they became known by the as-of day
    select
        v.tenant_id, v.platform, v.account_id, v.level, v.platform_id, v.day, v.known_on,
        greatest(v.reported_on - v.day, 0) as age,
        case when v.is_withdrawn then 0 else coalesce(v.conversions, 0) end as conversions
    from {{ ref('int_history__performance_versions') }} as v
    inner join as_of on v.tenant_id = as_of.tenant_id
    where
        v.day between as_of.as_of - 90 and as_of.as_of - 28
        and v.known_on <= as_of.as_of
        and v.source <> 'manual'
        -- a snapshot file says what was known on its last day, not what was known when
        and v.reported_on = v.known_on
),

-- An account-day first told about late says nothing about the ages before; one told about once says nothing at all.
first_reports as (
    select tenant_id, platform, account_id, day, least(min(age), 28) as first_age
    from versions
    group by tenant_id, platform, account_id, day
    having count(distinct known_on) > 1
),

steps as (          -- what each version added to the version before
    select
        versions.tenant_id, versions.platform, first_reports.first_age, least(versions.age, 28) as age,
        versions.conversions - coalesce(
            lag(versions.conversions) over (
                partition by
                    versions.tenant_id, versions.platform, versions.account_id, versions.level,
                    versions.platform_id, versions.day
                order by versions.known_on
            ), 0
        ) as added
    from versions
    inner join first_reports
        on
            versions.tenant_id = first_reports.tenant_id and versions.platform = first_reports.platform
            and versions.account_id = first_reports.account_id and versions.day = first_reports.day
),

cohorts as (        -- account-days by the age at which they were first told about
    select tenant_id, platform, first_age, sum(added) as conversions
    from steps
    where first_age < 28
    group by tenant_id, platform, first_age
),

added_by_age as (
    select tenant_id, platform, first_age, age, sum(added) as conversions
    from steps
    group by tenant_id, platform, first_age, age
),

known as (          -- what each cohort knew at each age from its first on
    select
        cohorts.tenant_id, cohorts.platform, cohorts.first_age, ages.age,
        sum(coalesce(added.conversions, 0)) over (
            partition by cohorts.tenant_id, cohorts.platform, cohorts.first_age order by ages.age
        ) as conversions
    from cohorts
    cross join lateral generate_series(cohorts.first_age, 28) as ages (age)
    left join added_by_age as added
        on
            cohorts.tenant_id = added.tenant_id and cohorts.platform = added.platform
            and cohorts.first_age = added.first_age and ages.age = added.age
),

growth as (         -- from one age to the next, over the cohorts that know both
    select
        later.tenant_id, later.platform, later.age,
        sum(later.conversions) as conversions,
        greatest(sum(later.conversions) / nullif(sum(earlier.conversions), 0), 1) as factor
    from known as later
    inner join known as earlier
        on
            later.tenant_id = earlier.tenant_id and later.platform = earlier.platform
            and later.first_age = earlier.first_age and later.age - 1 = earlier.age
    group by later.tenant_id, later.platform, later.age
),

learned as (        -- fewer than 20 conversions say nothing about a share, nor does a curve that begins late
    select tenant_id, platform, max(conversions) as conversions
    from growth
    group by tenant_id, platform
    having count(factor) = 28 and max(conversions) >= 20
),

still_to_come as (  -- by how much what is known at an age will grow
    select
        learned.tenant_id, learned.platform, ages.age, learned.conversions,
        coalesce(sum(ln(growth.factor)), 0) as log_growth
    from learned
    cross join generate_series(0, 28) as ages (age)
    left join growth
        on
            learned.tenant_id = growth.tenant_id
            and learned.platform = growth.platform
            and ages.age < growth.age
    group by learned.tenant_id, learned.platform, ages.age, learned.conversions
),

final as (
    select
        tenant_id,
        platform,
        age,
        round(exp(-log_growth), 6) as maturity,
        conversions
    from still_to_come
)

select * from final
