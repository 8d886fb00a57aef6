{{ config(
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'platform', 'level', 'platform_id', 'snapshot_day'],
    pre_hook=["set local enable_nestloop = off"],
    post_hook="{{ choose_conversion_events() }}",
) }}
-- A connected platform's description counts as of the day its figures do: see performance_versions.

with

finished_loads as (         -- a load that broke off left rows that nobody reads
    select load_id from {{ source('ops', 'import_log') }}
    where status in ('completed', 'partial')
),

new_loads as materialized (
    select distinct load_id     -- one row per account-day in coverage
    from {{ source('ops', 'coverage') }}
    where versioned_at is null and state in ('accepted', 'provisional') and source = 'file'
),

done_runs as (
    select tenant_id, max(as_of) as as_of
    from {{ source('ops', 'daily_runs') }}
    where status = 'done'
    group by tenant_id
),

platform_loads as materialized (
    select
        covered.load_id, covered.tenant_id, covered.platform, covered.account_id,
        coalesce(accounts.timezone, tenants.timezone) as timezone,
        greatest(
            (max(covered.covered_at) at time zone coalesce(accounts.timezone, tenants.timezone))::date - 1,
            done_runs.as_of + 1
        ) as known_on
    from {{ source('ops', 'coverage') }} as covered
    inner join {{ source('tenancy', 'tenants') }} as tenants on covered.tenant_id = tenants.tenant_id
    left join {{ source('tenancy', 'ad_accounts') }} as accounts
        on
            covered.tenant_id = accounts.tenant_id
            and covered.platform = accounts.platform
            and covered.account_id = accounts.account_id
    left join done_runs on covered.tenant_id = done_runs.tenant_id
    where
        covered.versioned_at is null and covered.state in ('accepted', 'provisional') and covered.source = 'api'
    group by
        covered.load_id, covered.tenant_id, covered.platform, covered.account_id, accounts.timezone,
        tenants.timezone, done_runs.as_of
),

descriptions as (
    select
        tenant_id, platform, 'campaign' as level, campaign_id as platform_id, snapshot_day, account_id,
        campaign_id, null::text as adset_id, name, status, objective, start_day, daily_budget,
        null::numeric as lifetime_budget, 'campaign' as budget_level, target_roas, target_cpa,
        null::text as learning_state, null::text as url, load_id, loaded_at, line
    from {{ ref('stg_manual__campaigns') }}
    where load_id in (select finished_loads.load_id from finished_loads)
    union all
    select
        entities.tenant_id, entities.platform, entities.level, entities.platform_id, loads.known_on as snapshot_day,
        entities.account_id, entities.campaign_id, entities.adset_id, entities.name, entities.status,
        entities.objective, (entities.started_at at time zone loads.timezone)::date as start_day,
        entities.daily_budget, entities.lifetime_budget, entities.budget_level, entities.target_roas,
        entities.target_cpa, entities.learning_state, entities.url, entities.load_id, entities.loaded_at, 0 as line
    from ({{ of_platforms('entities') }}) as entities
    inner join platform_loads as loads
        on
            entities.load_id = loads.load_id
            and entities.tenant_id = loads.tenant_id
            and entities.platform = loads.platform
            and entities.account_id = loads.account_id
    where entities.load_id = any(array(select p.load_id from platform_loads as p))
),

described as (          -- the newest load's description of an entity on a day
    select distinct on (tenant_id, platform, level, platform_id, snapshot_day)
        tenant_id, platform, level, platform_id, snapshot_day, account_id, campaign_id, adset_id, name, status,
        objective, start_day, daily_budget, lifetime_budget, budget_level, target_roas, target_cpa, learning_state,
        url, load_id
    from descriptions
    order by
        tenant_id asc, platform asc, level asc, platform_id asc, snapshot_day asc, loaded_at desc, load_id desc,
        line desc
),

performance as materialized (
    select
        tenant_id, platform, account_id, level, platform_id, campaign_id, adset_id, day, campaign_name, adset_name,
        ad_name, load_id, loaded_at
    from {{ ref('stg_manual__performance_daily') }}
    where
        load_id = any(array(select n.load_id from new_loads as n))
        and (campaign_name is not null or adset_name is not null or ad_name is not null)
),

names as (
    select
        tenant_id, platform, account_id, 'campaign' as level, campaign_id as platform_id, campaign_id,
        null::text as adset_id, campaign_name as name, day, load_id, loaded_at
    from performance
    where campaign_id is not null and campaign_name is not null
    union all
    select
        tenant_id, platform, account_id, 'adset' as level, adset_id as platform_id, campaign_id, adset_id,
        adset_name as name, day, load_id, loaded_at
    from performance
    where adset_id is not null and adset_name is not null
    union all
    select
        tenant_id, platform, account_id, level, platform_id, campaign_id, adset_id, ad_name as name, day, load_id,
        loaded_at
    from performance
    where level = 'ad' and ad_name is not null
),

named as (              -- the name on the newest day of the newest load
    select distinct on (tenant_id, platform, level, platform_id)
        tenant_id, platform, level, platform_id, day as snapshot_day, account_id, campaign_id, adset_id, name, load_id
    from names
    order by tenant_id asc, platform asc, level asc, platform_id asc, loaded_at desc, load_id desc, day desc, name asc
),

candidates as (
    select
        coalesce(described.tenant_id, named.tenant_id) as tenant_id,
        coalesce(described.platform, named.platform) as platform,
        coalesce(described.level, named.level) as level,
        coalesce(described.platform_id, named.platform_id) as platform_id,
        coalesce(described.snapshot_day, named.snapshot_day) as snapshot_day,
        coalesce(described.account_id, named.account_id) as account_id,
        coalesce(described.campaign_id, named.campaign_id) as campaign_id,
        coalesce(described.adset_id, named.adset_id) as adset_id,
        coalesce(described.name, named.name) as name,
        described.status,
        described.objective,
        described.start_day,
        described.daily_budget,
        described.lifetime_budget,
        described.budget_level,
        described.target_roas,
        described.target_cpa,
        described.learning_state,
        described.url,
        coalesce(described.load_id, named.load_id) as load_id,
        described.tenant_id is not null as is_described
    from described
    full outer join named
        on
            described.tenant_id = named.tenant_id
            and described.platform = named.platform
            and described.level = named.level
            and described.platform_id = named.platform_id
            and described.snapshot_day = named.snapshot_day
),

all_rows as (
    select
        tenant_id, platform, level, platform_id, snapshot_day, account_id, campaign_id, adset_id, name, status,
        objective, start_day, daily_budget, lifetime_budget, budget_level, target_roas, target_cpa, learning_state,
        url, load_id, true as is_stored, budget_level is not null or status is not null as is_described
    from {{ this }}
    union all
    select
        tenant_id, platform, level, platform_id, snapshot_day, account_id, campaign_id, adset_id, name, status,
        objective, start_day, daily_budget, lifetime_budget, budget_level, target_roas, target_cpa, learning_state,
        url, load_id, false as is_stored, is_described
    from candidates
),

-- A description beats a bare name on the same day; else the newer load wins. The unsaid falls back to what was said.
one_a_day as (
    select distinct on (tenant_id, platform, level, platform_id, snapshot_day)
        tenant_id, platform, level, platform_id, snapshot_day, account_id, campaign_id, adset_id,
        coalesce(name, max(name) over same_day) as name,
        status, objective, start_day, daily_budget, lifetime_budget, budget_level, target_roas, target_cpa,
        learning_state, url, load_id, is_stored, is_described,
        bool_or(is_stored) over same_day as has_stored
    from all_rows
    window same_day as (partition by tenant_id, platform, level, platform_id, snapshot_day)
    order by tenant_id asc, platform asc, level asc, platform_id asc, snapshot_day asc, is_described desc, is_stored asc, load_id asc
),

compared as (
    select
        one_a_day.*,
        hash_record_extended(
            row(
                name, account_id, campaign_id, adset_id, status, objective, start_day, daily_budget, lifetime_budget,
                budget_level, target_roas, target_cpa, learning_state, url
            ), 0
        ) as description_hash,
        lag(name) over same_entity as previous_name
    from one_a_day
    window same_entity as (partition by tenant_id, platform, level, platform_id order by snapshot_day)
),

changed as (
    select
        compared.*,
        lag(description_hash) over (
            partition by tenant_id, platform, level, platform_id, is_described order by snapshot_day
        ) as previous_hash
    from compared
),

final as (
    select
        changed.tenant_id,
        changed.platform,
        changed.level,
        changed.platform_id,
        changed.snapshot_day,
        changed.account_id,
        changed.campaign_id,
        changed.adset_id,
        changed.name,
        changed.status,
        changed.objective,
        changed.start_day,
        changed.daily_budget::numeric(20, 6) as daily_budget,
        changed.lifetime_budget::numeric(20, 6) as lifetime_budget,
        changed.budget_level,
        changed.target_roas::numeric as target_roas,
        changed.target_cpa::numeric(20, 6) as target_cpa,
        changed.learning_state,
        changed.url,
        changed.load_id
    from changed
    left join {{ this }} as stored
        on
            changed.tenant_id = stored.tenant_id
            and changed.platform = stored.platform
            and changed.level = stored.level
            and changed.platform_id = stored.platform_id
            and changed.snapshot_day = stored.snapshot_day
    where
        not changed.is_stored
        and case
            when stored.tenant_id is not null
                then (
                    stored.name, stored.status, stored.objective, stored.start_day, stored.daily_budget,
                    stored.lifetime_budget, stored.budget_level, stored.target_roas, stored.target_cpa,
                    stored.learning_state, stored.url, stored.account_id, stored.campaign_id, stored.adset_id
                )
                is distinct from (
                    changed.name, changed.status, changed.objective, changed.start_day, changed.daily_budget,
                    changed.lifetime_budget, changed.budget_level, changed.target_roas, changed.target_cpa,
                    changed.learning_state, changed.url, changed.account_id, changed.campaign_id, changed.adset_id
                )
            when changed.is_described then changed.description_hash is distinct from changed.previous_hash
            else changed.name is distinct from changed.previous_name
        end
)

select * from final
