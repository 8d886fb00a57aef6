-- depends_on: {{ ref('entity_snapshots') }}
{{ config(
    incremental_strategy='versions',
    pre_hook=[
        "set transaction isolation level repeatable read",
        "set local work_mem = '128MB'",
        "set local enable_nestloop = off",
    ],
    post_hook="{{ mark_versioned() }}",
) }}
-- Freshly loaded tables have no statistics and belong to others, so the planner guesses one row and loops over
-- 150,000: nested loops are off, except the lateral one below, which reads only the account-days that arrived.

with

new_coverage as materialized (
    select coverage_id, load_id, tenant_id, platform, account_id, day, source, covered_at
    from {{ source('ops', 'coverage') }}
    where versioned_at is null and state in ('accepted', 'provisional')
),

done_runs as (
    select tenant_id, max(as_of) as as_of
    from {{ source('ops', 'daily_runs') }}
    where status = 'done'
    group by tenant_id
),

file_rows as (
    select performance.*, covered.coverage_id
    from {{ ref('stg_manual__performance_daily') }} as performance
    inner join new_coverage as covered
        on
            performance.load_id = covered.load_id
            and performance.tenant_id = covered.tenant_id
            and performance.platform = covered.platform
            and performance.account_id = covered.account_id
            and performance.day = covered.day
    where
        performance.load_id = any(array(select n.load_id from new_coverage as n))
        and covered.source = 'file'
),

-- A report that repeats the one before is not stored. One that arrives late, between those two, would then be taken
-- for the newest: so what earlier files said of the days after it is read again.
late_account_days as (
    select tenant_id, platform, account_id, day, min(known_on) as earliest
    from file_rows
    where known_on is not null
    group by tenant_id, platform, account_id, day
),

earlier_coverage as materialized (
    select
        covered.coverage_id, covered.load_id, covered.tenant_id, covered.platform, covered.account_id, covered.day,
        late.earliest
    from {{ source('ops', 'coverage') }} as covered
    inner join late_account_days as late
        on
            covered.tenant_id = late.tenant_id
            and covered.platform = late.platform
            and covered.account_id = late.account_id
            and covered.day = late.day
    where
        covered.versioned_at is not null
        and covered.state in ('accepted', 'provisional')
        and covered.source = 'file'
),

earlier_rows as (
    select performance.*, covered.coverage_id
    from {{ ref('stg_manual__performance_daily') }} as performance
    inner join earlier_coverage as covered
        on
            performance.load_id = covered.load_id
            and performance.tenant_id = covered.tenant_id
            and performance.platform = covered.platform
            and performance.account_id = covered.account_id
            and performance.day = covered.day
    where
        performance.load_id = any(array(select e.load_id from earlier_coverage as e))
        and performance.known_on > covered.earliest
),

hand_rows as (
    select entered.*, covered.coverage_id
    from {{ ref('stg_manual__hand_rows') }} as entered
    inner join new_coverage as covered
        on
            entered.load_id = covered.load_id
            and entered.tenant_id = covered.tenant_id
            and entered.platform = covered.platform
            and entered.account_id = covered.account_id
            and entered.day = covered.day
    where
        entered.load_id = any(array(select n.load_id from new_coverage as n))
        and covered.source = 'manual'
),

touched_account_days as materialized (
    select distinct tenant_id, platform, account_id, day from new_coverage      -- several loads may cover one
),

stored as (
    select versions.*, coalesce(covered.coverage_id, 0) as coverage_id
    from touched_account_days as touched
    cross join
        lateral (
            select
                v.tenant_id, v.platform, v.account_id, v.level, v.platform_id, v.day, v.known_on, v.source, v.reported_on,
                v.campaign_id, v.adset_id, v.currency, v.spend, v.impressions, v.clicks, v.link_clicks, v.conversions,
                v.conversion_value, v.view_through_conversions, v.reach, v.frequency, v.events, v.is_withdrawn, v.load_id
            from {{ this }} as v
            where
                v.tenant_id = touched.tenant_id and v.platform = touched.platform
                and v.account_id = touched.account_id and v.day = touched.day
            offset 0     -- noqa: AM09
        ) as versions
    left join {{ source('ops', 'coverage') }} as covered
        on
            versions.load_id = covered.load_id
            and versions.tenant_id = covered.tenant_id
            and versions.platform = covered.platform
            and versions.account_id = covered.account_id
            and versions.day = covered.day
),

-- A platform's load is known from the as-of day that it first serves: the newest day that was over in the account when
-- it was asked for, or the day after the daily run that can no longer see it. A day that was not over is known on
-- itself. Of several loads of one known day the newest counts.
dated_coverage as (
    select
        covered.coverage_id, covered.load_id, covered.tenant_id, covered.platform, covered.account_id, covered.day,
        accounts.currency,
        greatest(
            covered.day,
            (covered.covered_at at time zone coalesce(accounts.timezone, tenants.timezone))::date - 1,
            done_runs.as_of + 1
        ) as known_on
    from new_coverage as covered
    inner join {{ source('tenancy', 'tenants') }} as tenants on covered.tenant_id = tenants.tenant_id
    left join {{ source('tenancy', 'ad_accounts') }} as accounts
        on
            covered.tenant_id = accounts.tenant_id
            and covered.platform = accounts.platform
            and covered.account_id = accounts.account_id
    left join done_runs on covered.tenant_id = done_runs.tenant_id
    where
        covered.source = 'api'
        -- a load that was accepted only after a newer one had been taken in comes too late
        and not exists (
            select from {{ source('ops', 'coverage') }} as newer
            where
                newer.tenant_id = covered.tenant_id and newer.platform = covered.platform
                and newer.account_id = covered.account_id and newer.day = covered.day
                and newer.source = 'api' and newer.coverage_id > covered.coverage_id
                and newer.versioned_at is not null and newer.state in ('accepted', 'provisional')
        )
),

platform_coverage as materialized (
    select distinct on (tenant_id, platform, account_id, day, known_on)
        coverage_id, load_id, tenant_id, platform, account_id, day, currency, known_on
    from dated_coverage
    order by tenant_id asc, platform asc, account_id asc, day asc, known_on asc, coverage_id desc
),

platform_rows as materialized (
    select
        performance.tenant_id, performance.platform, performance.account_id, performance.level,
        performance.platform_id, performance.day, covered.known_on, performance.campaign_id, performance.adset_id,
        coalesce(performance.currency, covered.currency) as currency, performance.spend, performance.impressions,
        performance.clicks, performance.link_clicks, performance.reach, performance.frequency, performance.events,
        performance.load_id, covered.coverage_id
    from ({{ of_platforms('performance') }}) as performance
    inner join platform_coverage as covered
        on
            performance.load_id = covered.load_id
            and performance.tenant_id = covered.tenant_id
            and performance.platform = covered.platform
            and performance.account_id = covered.account_id
            and performance.day = covered.day
    where performance.load_id = any(array(select p.load_id from platform_coverage as p))
),

-- Rows that a load brought and that could not be used: the platform has not taken them back.
refused_keys as (
    select tenant_id, load_id, day::text as day, platform_id
    from ({{ of_platforms('refused') }}) as refused
    where load_id = any(array(select p.load_id from platform_coverage as p))
    union all
    select quarantine.tenant_id, quarantine.load_id, of_day.value as day, of_id.value as platform_id
    from {{ source('ops', 'quarantine') }} as quarantine
    cross join lateral jsonb_each_text(quarantine.payload) as of_day
    cross join lateral jsonb_each_text(quarantine.payload) as of_id
    where
        quarantine.load_id = any(array(select p.load_id from platform_coverage as p))
        and of_day.value ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
),

appearances as (
    select
        tenant_id, platform, account_id, level, platform_id, day, known_on, campaign_id, adset_id, currency
    from stored
    where source = 'api'
    union all
    select
        tenant_id, platform, account_id, level, platform_id, day, known_on, campaign_id, adset_id, currency
    from platform_rows
),

-- A day that was covered again without a row it had: the platform took the row back.
absent as (
    select distinct on (covered.coverage_id, known.level, known.platform_id)
        covered.tenant_id, covered.platform, covered.account_id, known.level, known.platform_id, covered.day,
        covered.known_on, known.campaign_id, known.adset_id, known.currency, covered.load_id, covered.coverage_id
    from platform_coverage as covered
    inner join appearances as known
        on
            covered.tenant_id = known.tenant_id
            and covered.platform = known.platform
            and covered.account_id = known.account_id
            and covered.day = known.day
    where
        known.known_on <= covered.known_on
        and not exists (
            select from platform_rows as present
            where
                present.coverage_id = covered.coverage_id and present.level = known.level
                and present.platform_id = known.platform_id
        )
        and not exists (
            select from refused_keys as refused
            where
                refused.tenant_id = covered.tenant_id and refused.load_id = covered.load_id
                and refused.day = covered.day::text and refused.platform_id = known.platform_id
        )
    order by covered.coverage_id asc, known.level asc, known.platform_id asc, known.known_on desc
),

arrived as (
    select
        tenant_id, platform, account_id, level, platform_id, day, known_on, 'api' as source,
        null::date as reported_on,
        campaign_id, adset_id, currency, spend, impressions, clicks, link_clicks,
        {{ chosen_figure('platform_rows', 'conversions') }} as conversions,
        {{ chosen_figure('platform_rows', 'conversion_value') }} as conversion_value,
        {{ chosen_figure('platform_rows', 'view_through_conversions') }} as view_through_conversions,
        reach, frequency, events, false as is_withdrawn, load_id, coverage_id, 0 as line
    from platform_rows
    union all
    select
        tenant_id, platform, account_id, level, platform_id, day, known_on, 'api' as source,
        null::date as reported_on,
        campaign_id, adset_id, currency, null as spend, null as impressions, null as clicks, null as link_clicks,
        null as conversions, null as conversion_value, null as view_through_conversions, null as reach,
        null as frequency, null as events, true as is_withdrawn, load_id, coverage_id, 0 as line
    from absent
    union all
    select
        tenant_id, platform, account_id, level, platform_id, day, known_on, 'file' as source, reported_on,
        campaign_id, adset_id, currency, spend, impressions, clicks, link_clicks, conversions, conversion_value,
        view_through_conversions, reach, frequency, null::jsonb as events, false as is_withdrawn, load_id,
        coverage_id, line
    from (
        select * from file_rows
        union all
        select * from earlier_rows
    ) as files
    union all
    select
        tenant_id, platform, account_id, level, platform_id, day, null::date as known_on, 'manual' as source,
        null::date as reported_on,
        campaign_id, adset_id, currency, spend, impressions, clicks, link_clicks, conversions, conversion_value,
        view_through_conversions, reach, frequency, null::jsonb as events, is_withdrawn, load_id, coverage_id,
        hand_id as line
    from hand_rows
),

-- Sorting by one integer first is several times faster than by five texts; the texts decide where integers collide.
all_rows as (
    select
        *,
        hash_record_extended(row(tenant_id, platform, account_id, level, platform_id, day), 0) as key_hash,
        hash_record_extended(
            row(
                campaign_id, adset_id, currency, spend, impressions, clicks, link_clicks,
                -- a platform's conversions are those of `events`, whichever event its account is judged by
                case when source <> 'api' then conversions end,
                case when source <> 'api' then conversion_value end,
                case when source <> 'api' then view_through_conversions end,
                events, reach, frequency, is_withdrawn
            ), 0
        ) as figures_hash
    from (
        select
            tenant_id, platform, account_id, level, platform_id, day, known_on, source, reported_on, campaign_id,
            adset_id, currency, spend, impressions, clicks, link_clicks, conversions, conversion_value,
            view_through_conversions, reach, frequency, events, is_withdrawn, load_id, coverage_id,
            0::bigint as line, true as is_stored
        from stored
        union all
        select
            tenant_id, platform, account_id, level, platform_id, day, known_on, source, reported_on, campaign_id,
            adset_id, currency, spend, impressions, clicks, link_clicks, conversions, conversion_value,
            view_through_conversions, reach, frequency, events, is_withdrawn, load_id, coverage_id, line,
            false as is_stored
        from arrived
    ) as both_kinds
),

counted as (
    select
        *,
        max(known_on) filter (where is_stored) over same_key as newest_stored,
        count(*) filter (where not is_stored and known_on is null) over (
            same_key order by coverage_id, line rows unbounded preceding
        ) as arrival
    from all_rows
    window same_key as (
        partition by key_hash, tenant_id, platform, account_id, level, platform_id, day, source
    )
),

-- Without a known day of its own, a first figure counts as known at the end of its day (a replay sees it), a later
-- one from the first daily run that can still see it.
dated as (
    select
        counted.tenant_id, counted.platform, counted.account_id, counted.level, counted.platform_id, counted.day,
        case
            when counted.known_on is not null then counted.known_on
            when counted.arrival = 1 and counted.newest_stored is null and counted.source = 'file' then counted.day
            else greatest(counted.day, done_runs.as_of + 1, counted.newest_stored)
        end as known_on,
        counted.source, counted.reported_on, counted.campaign_id, counted.adset_id, counted.currency, counted.spend,
        counted.impressions, counted.clicks, counted.link_clicks, counted.conversions, counted.conversion_value,
        counted.view_through_conversions, counted.reach, counted.frequency, counted.events, counted.is_withdrawn,
        counted.load_id,
        counted.key_hash, counted.figures_hash, counted.is_stored, counted.coverage_id, counted.line
    from counted
    left join done_runs on counted.tenant_id = done_runs.tenant_id
),

latest_load as (        -- one row per key and known day: the newest load's, and what was stored under it
    select
        *,
        row_number() over (same_version order by coverage_id desc, line desc) as recency,
        max(figures_hash) filter (where is_stored) over same_version as stored_hash,
        bool_or(is_stored) over same_version as has_stored
    from dated
    window same_version as (
        partition by key_hash, tenant_id, platform, account_id, level, platform_id, day, source, known_on
    )
),

against_previous as (
    select
        *,
        lag(figures_hash) over (
            partition by key_hash, tenant_id, platform, account_id, level, platform_id, day, source order by known_on
        ) as previous_hash
    from latest_load
    where recency = 1
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        day,
        known_on,
        source,
        coalesce(reported_on, known_on) as reported_on,
        campaign_id,
        adset_id,
        currency,
        spend::numeric(20, 6) as spend,
        impressions,
        clicks,
        link_clicks,
        conversions::numeric(20, 6) as conversions,
        conversion_value::numeric(20, 6) as conversion_value,
        view_through_conversions::numeric(20, 6) as view_through_conversions,
        reach,
        frequency::numeric as frequency,
        events,
        is_withdrawn,
        case when (figures_hash is distinct from previous_hash) then load_id end as load_id
    from against_previous
    where
        -- new figures, or other figures under the same known day
        (figures_hash is distinct from previous_hash and not is_stored and figures_hash is distinct from stored_hash)
        -- a stored row that says nothing new any more
        or (figures_hash is not distinct from previous_hash and has_stored)
)

select * from final
