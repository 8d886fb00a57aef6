with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

-- A connected platform's changes are what one description says otherwise than the one before.
described as (
    select
        s.tenant_id, s.platform, s.level, s.platform_id, s.account_id, s.snapshot_day, f.field, f.value,
        row_number() over same_field as position,
        lag(f.value) over same_field as previous
    from {{ ref('int_history__entity_snapshots') }} as s
    cross join
        lateral (
            values
            ('status', s.status),
            ('daily_budget', trim_scale(s.daily_budget)::text),
            ('lifetime_budget', trim_scale(s.lifetime_budget)::text),
            ('target_roas', trim_scale(s.target_roas)::text),
            ('target_cpa', trim_scale(s.target_cpa)::text),
            ('learning_state', s.learning_state)
        ) as f (field, value)
    where
        s.load_id in (
            select log.load_id from {{ source('ops', 'import_log') }} as log
            where log.kind = 'api'
        )
    window same_field as (
        partition by s.tenant_id, s.platform, s.level, s.platform_id, f.field order by s.snapshot_day
    )
),

final as (
    select
        changes.tenant_id,
        changes.platform,
        changes.level,
        changes.platform_id,
        changes.account_id,
        changes.day,
        changes.field,
        changes.old_value,
        changes.new_value
    from {{ ref('int_history__entity_changes') }} as changes
    inner join as_of on changes.tenant_id = as_of.tenant_id
    where changes.day <= as_of.as_of
    union all
    select
        described.tenant_id, described.platform, described.level, described.platform_id, described.account_id,
        described.snapshot_day as day, described.field, described.previous, described.value
    from described
    inner join as_of on described.tenant_id = as_of.tenant_id
    where
        described.position > 1 and described.previous is distinct from described.value
        and described.snapshot_day <= as_of.as_of
)

select * from final
