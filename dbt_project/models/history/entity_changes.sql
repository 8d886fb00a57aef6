{{ config(
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'platform', 'level', 'platform_id', 'day', 'field'],
) }}

with

finished_loads as (         -- a load that broke off left rows that nobody reads
    select load_id from {{ source('ops', 'import_log') }}
    where status in ('completed', 'partial')
),

changes as (
    select distinct     -- a file may repeat a line
        tenant_id, platform, account_id, campaign_id, day, field, old_value, new_value, load_id, loaded_at,
        min(line) over (partition by load_id, tenant_id, platform, campaign_id, day, field, old_value, new_value) as line
    from {{ ref('stg_manual__changes') }}
    where
        load_id in (select finished_loads.load_id from finished_loads)
        and old_value is distinct from new_value
),

newest_load as (        -- what the newest file that speaks of an entity, day and field says of it
    select
        *,
        rank() over (
            partition by tenant_id, platform, campaign_id, day, field order by loaded_at desc, load_id desc
        ) as recency
    from changes
),

numbered as (
    select
        tenant_id,
        platform,
        'campaign' as level,
        campaign_id as platform_id,
        day,
        field,
        (row_number() over (partition by tenant_id, platform, campaign_id, day, field order by line))::integer
            as change_number,
        account_id,
        old_value,
        new_value,
        load_id
    from newest_load
    where recency = 1
),

fresh_groups as (
    select
        tenant_id, platform, level, platform_id, day, field,
        array_agg(concat_ws('→', coalesce(old_value, ''), coalesce(new_value, '')) order by change_number) as chain
    from numbered
    group by tenant_id, platform, level, platform_id, day, field
),

stored_groups as (
    select
        tenant_id, platform, level, platform_id, day, field,
        array_agg(concat_ws('→', coalesce(old_value, ''), coalesce(new_value, '')) order by change_number) as chain
    from {{ this }}
    group by tenant_id, platform, level, platform_id, day, field
),

changed_groups as (
    select fresh.*
    from fresh_groups as fresh
    left join stored_groups as stored
        on
            fresh.tenant_id = stored.tenant_id
            and fresh.platform = stored.platform
            and fresh.level = stored.level
            and fresh.platform_id = stored.platform_id
            and fresh.day = stored.day
            and fresh.field = stored.field
    where stored.chain is distinct from fresh.chain
),

final as (
    select numbered.*
    from numbered
    inner join changed_groups as changed
        on
            numbered.tenant_id = changed.tenant_id
            and numbered.platform = changed.platform
            and numbered.level = changed.level
            and numbered.platform_id = changed.platform_id
            and numbered.day = changed.day
            and numbered.field = changed.field
)

select * from final
