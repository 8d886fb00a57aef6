-- The newest state (what ads.entities shows) and the state of the as-of day (what is judged), by the same logic.

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

moments as (
    select tenant_id, 'as_of' as moment, as_of as moment_day from as_of
    union all
    select tenant_id, 'newest' as moment, '9999-12-31'::date as moment_day from as_of
),

snapshots as (
    select * from {{ ref('int_history__entity_snapshots') }}
),

seen as (
    select * from {{ ref('int_entities__seen') }}
),

accounts as (
    select * from {{ source('tenancy', 'ad_accounts') }}
),

descriptions as (       -- newest by the moment; before the first one, the first one
    select distinct on (m.tenant_id, m.moment, s.platform, s.level, s.platform_id)
        m.tenant_id, m.moment, s.platform, s.level, s.platform_id, s.account_id, s.campaign_id, s.adset_id,
        s.objective, s.start_day, s.budget_level, s.url
    from snapshots as s
    inner join moments as m on s.tenant_id = m.tenant_id
    where s.budget_level is not null or s.status is not null
    order by
        m.tenant_id, m.moment, s.platform, s.level, s.platform_id,
        s.snapshot_day > m.moment_day,
        case when s.snapshot_day <= m.moment_day then m.moment_day - s.snapshot_day else s.snapshot_day - m.moment_day end
),

addresses as (      -- a platform no longer says where a deleted ad led
    select distinct on (m.tenant_id, m.moment, s.platform, s.level, s.platform_id)
        m.tenant_id, m.moment, s.platform, s.level, s.platform_id, s.url
    from snapshots as s
    inner join moments as m on s.tenant_id = m.tenant_id
    where s.url is not null and s.snapshot_day <= m.moment_day
    order by m.tenant_id asc, m.moment asc, s.platform asc, s.level asc, s.platform_id asc, s.snapshot_day desc
),

names as (
    select distinct on (m.tenant_id, m.moment, s.platform, s.level, s.platform_id)
        m.tenant_id, m.moment, s.platform, s.level, s.platform_id, s.account_id, s.campaign_id, s.adset_id, s.name
    from snapshots as s
    inner join moments as m on s.tenant_id = m.tenant_id
    where s.name is not null
    order by
        m.tenant_id, m.moment, s.platform, s.level, s.platform_id,
        s.snapshot_day > m.moment_day,
        case when s.snapshot_day <= m.moment_day then m.moment_day - s.snapshot_day else s.snapshot_day - m.moment_day end
),

states as (
    select
        m.tenant_id, m.moment, s.platform, s.level, s.platform_id,
        max(s.value) filter (where s.field = 'status') as status,
        max(s.from_day) filter (where s.field = 'status') as status_from,
        max(s.value) filter (where s.field = 'daily_budget') as daily_budget,
        max(s.value) filter (where s.field = 'lifetime_budget') as lifetime_budget,
        max(s.value) filter (where s.field = 'target_roas') as target_roas,
        max(s.value) filter (where s.field = 'target_cpa') as target_cpa,
        max(s.value) filter (where s.field = 'learning_state') as learning_state
    from {{ ref('int_entities__states') }} as s
    inner join moments as m on s.tenant_id = m.tenant_id and m.moment_day between s.from_day and s.to_day
    group by m.tenant_id, m.moment, s.platform, s.level, s.platform_id
),

entities as (
    select
        m.tenant_id, m.moment, m.moment_day, seen.platform, seen.level, seen.platform_id, seen.account_id,
        seen.campaign_id, seen.adset_id, seen.currency, seen.first_day,
        case when seen.last_day <= m.moment_day then seen.last_day else before.day end as last_day
    from seen
    inner join moments as m on seen.tenant_id = m.tenant_id
    left join lateral (
        select metrics.day from {{ ref('metrics_daily') }} as metrics
        where
            seen.last_day > m.moment_day and metrics.day <= m.moment_day
            and metrics.tenant_id = seen.tenant_id and metrics.platform = seen.platform
            and metrics.level = seen.level and metrics.platform_id = seen.platform_id
            and (metrics.spend > 0 or metrics.impressions > 0 or metrics.clicks > 0 or metrics.conversions > 0)
        order by metrics.day desc
        limit 1
    ) as before on true
    where coalesce(seen.first_day, '-infinity') <= m.moment_day
    union all
    select          -- described, but without a row of figures
        d.tenant_id, d.moment, m.moment_day, d.platform, d.level, d.platform_id, d.account_id, d.campaign_id,
        d.adset_id, null, null, null
    from descriptions as d
    inner join moments as m on d.tenant_id = m.tenant_id and d.moment = m.moment
    where
        d.level <> 'account' and coalesce(d.start_day, '-infinity') <= m.moment_day
        and not exists (
            select from seen
            where
                seen.tenant_id = d.tenant_id and seen.platform = d.platform and seen.level = d.level
                and seen.platform_id = d.platform_id
        )
    union all
    select          -- an account without a row of figures
        a.tenant_id, m.moment, m.moment_day, a.platform, 'account', a.account_id as platform_id, a.account_id, null, null,
        a.currency, null, null
    from accounts as a
    inner join moments as m on a.tenant_id = m.tenant_id
    where not exists (
        select from seen
        where
            seen.tenant_id = a.tenant_id and seen.platform = a.platform and seen.level = 'account'
            and seen.platform_id = a.account_id
    )
),

final as (
    select
        entities.tenant_id,
        entities.moment,
        entities.platform,
        entities.level,
        entities.platform_id,
        entities.account_id,
        entities.campaign_id,
        entities.adset_id,
        case when entities.level = 'account' then accounts.name else names.name end as name,
        case
            when entities.level in ('adset', 'ad') and parents.status in ('paused', 'ended', 'removed')
                then parents.status
            when entities.level = 'ad' and adsets.status in ('paused', 'ended', 'removed') then adsets.status
            when states.status = 'active' and owners.status in ('paused', 'removed') then owners.status
            else states.status
        end as status,
        case
            when entities.level in ('adset', 'ad') and parents.status in ('paused', 'ended', 'removed')
                then nullif(parents.status_from, '-infinity')
            when entities.level = 'ad' and adsets.status in ('paused', 'ended', 'removed')
                then nullif(adsets.status_from, '-infinity')
            when states.status = 'active' and owners.status in ('paused', 'removed')
                then nullif(owners.status_from, '-infinity')
            else coalesce(nullif(states.status_from, '-infinity'), descriptions.start_day)
        end as status_since,
        descriptions.objective,
        descriptions.start_day,
        states.daily_budget::numeric(20, 6) as daily_budget,
        states.lifetime_budget::numeric(20, 6) as lifetime_budget,
        case
            when states.daily_budget is not null or states.lifetime_budget is not null then descriptions.budget_level
        end as budget_level,
        coalesce(entities.currency, accounts.currency) as currency,
        accounts.timezone,
        states.target_roas::numeric as target_roas,
        states.target_cpa::numeric(20, 6) as target_cpa,
        states.learning_state,
        entities.first_day,
        entities.last_day,
        coalesce(descriptions.url, addresses.url) as url
    from entities
    left join accounts
        on
            entities.tenant_id = accounts.tenant_id
            and entities.platform = accounts.platform
            and entities.account_id = accounts.account_id
    left join names
        on
            entities.tenant_id = names.tenant_id and entities.moment = names.moment
            and entities.platform = names.platform and entities.level = names.level
            and entities.platform_id = names.platform_id
    left join descriptions
        on
            entities.tenant_id = descriptions.tenant_id and entities.moment = descriptions.moment
            and entities.platform = descriptions.platform and entities.level = descriptions.level
            and entities.platform_id = descriptions.platform_id
    left join addresses
        on
            entities.tenant_id = addresses.tenant_id and entities.moment = addresses.moment
            and entities.platform = addresses.platform and entities.level = addresses.level
            and entities.platform_id = addresses.platform_id
    left join states
        on
            entities.tenant_id = states.tenant_id and entities.moment = states.moment
            and entities.platform = states.platform and entities.level = states.level
            and entities.platform_id = states.platform_id
    left join states as parents
        on
            entities.tenant_id = parents.tenant_id and entities.moment = parents.moment
            and entities.platform = parents.platform and parents.level = 'campaign'
            and entities.campaign_id = parents.platform_id
    left join states as adsets
        on
            entities.tenant_id = adsets.tenant_id and entities.moment = adsets.moment
            and entities.platform = adsets.platform and adsets.level = 'adset'
            and entities.adset_id = adsets.platform_id
    left join states as owners
        on
            entities.tenant_id = owners.tenant_id and entities.moment = owners.moment
            and entities.platform = owners.platform and owners.level = 'account'
            and entities.account_id = owners.platform_id
)

select * from final
