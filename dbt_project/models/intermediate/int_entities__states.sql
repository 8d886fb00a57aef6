-- Before an entity's first description its values are found by undoing the changes backwards from it; afterwards by
-- the newest description or change, whichever is later.

with

snapshots as (
    select
        s.*,
        row_number() over (partition by s.tenant_id, s.platform, s.level, s.platform_id order by s.snapshot_day) as position
    from {{ ref('int_history__entity_snapshots') }} as s
    where s.budget_level is not null or s.status is not null    -- others carry a name only
),

described as (
    select
        s.tenant_id, s.platform, s.level, s.platform_id, s.snapshot_day, s.position, f.field, f.value
    from snapshots as s
    cross join lateral (
        values
        ('status', s.status),
        ('daily_budget', trim_scale(s.daily_budget)::text),
        ('lifetime_budget', trim_scale(s.lifetime_budget)::text),
        ('target_roas', trim_scale(s.target_roas)::text),
        ('target_cpa', trim_scale(s.target_cpa)::text),
        ('learning_state', s.learning_state)
    ) as f (field, value)
),

changes as (        -- an amount that is no number says nothing; "200" and "200.00" say the same
    select
        c.tenant_id, c.platform, c.level, c.platform_id, c.day, c.field, c.change_number,
        {{ state_value('c.field', 'c.old_value') }} as old_value,
        {{ state_value('c.field', 'c.new_value') }} as new_value
    from {{ ref('int_history__entity_changes') }} as c
    where
        c.field in ('status', 'daily_budget', 'lifetime_budget', 'target_roas', 'target_cpa', 'learning_state')
),

first_described as (
    select * from described
    where position = 1
),

undone as (         -- changes up to the first description; what follows each is what the next one found
    select
        c.tenant_id, c.platform, c.level, c.platform_id, c.field, c.day, c.change_number, c.old_value,
        coalesce(
            lead(c.old_value) over same_field,
            case when lead(c.day) over same_field is null and f.field is not null then f.value else c.new_value end
        ) as value,
        row_number() over same_field as position
    from changes as c
    left join first_described as f
        on
            c.tenant_id = f.tenant_id and c.platform = f.platform and c.level = f.level
            and c.platform_id = f.platform_id and c.field = f.field
    where f.snapshot_day is null or c.day <= f.snapshot_day
    window same_field as (
        partition by c.tenant_id, c.platform, c.level, c.platform_id, c.field order by c.day, c.change_number
    )
),

events as (
    select
        tenant_id, platform, level, platform_id, field, '-infinity'::date as from_day, 0 as rank, old_value as value
    from undone
    where position = 1
    union all
    select tenant_id, platform, level, platform_id, field, day, 1000 + change_number, value from undone
    union all
    select          -- nothing to undo: it always was as first described
        f.tenant_id, f.platform, f.level, f.platform_id, f.field, '-infinity'::date, 0, f.value
    from first_described as f
    where
        not exists (
            select from undone as u
            where
                u.tenant_id = f.tenant_id and u.platform = f.platform and u.level = f.level
                and u.platform_id = f.platform_id and u.field = f.field
        )
    union all
    select
        c.tenant_id, c.platform, c.level, c.platform_id, c.field, c.day, 1000 + c.change_number, c.new_value
    from changes as c
    inner join first_described as f
        on
            c.tenant_id = f.tenant_id and c.platform = f.platform and c.level = f.level
            and c.platform_id = f.platform_id and c.field = f.field
    where c.day > f.snapshot_day
    union all
    select tenant_id, platform, level, platform_id, field, snapshot_day, 1000000, value
    from described
    where position > 1
),

one_a_day as (
    select distinct on (tenant_id, platform, level, platform_id, field, from_day)      -- the day's last event
        tenant_id, platform, level, platform_id, field, from_day, value
    from events
    order by tenant_id asc, platform asc, level asc, platform_id asc, field asc, from_day asc, rank desc
),

changed as (
    select
        *,
        row_number() over same_field = 1 or (value is distinct from lag(value) over same_field) as is_change
    from one_a_day
    window same_field as (partition by tenant_id, platform, level, platform_id, field order by from_day)
),

final as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        field,
        from_day,
        coalesce(
            lead(from_day) over (partition by tenant_id, platform, level, platform_id, field order by from_day) - 1,
            'infinity'::date
        ) as to_day,
        value
    from changed
    where is_change
)

select * from final
