-- What a build writes into ads.optimization_recommendations: rows that are raised, refreshed, superseded, expired or
-- seen to be done. Rows that stay as they are are not in here. Both the model and the function
-- ads.generate_recommendations write these rows.
with

runs as (
    select
        tenant_id,
        as_of,
        timezone,
        (as_of + 1)::timestamp at time zone timezone as ends_at
    from {{ ref('int_run__as_of') }}
),

candidates as (
    select
        c.*,
        md5(c.recommendation_key || '|' || c.as_of)::uuid as id
    from {{ ref('recommendation_candidates') }} as c
),

stored as (
    select
        s.*,
        r.as_of as run_as_of,
        r.ends_at,
        r.timezone,
        s.recommendation_type in ('budget_increase', 'budget_decrease', 'pause', 'resume', 'bid_adjustment')
            as moves_money
    from {{ source('decisions', 'optimization_recommendations') }} as s
    inner join runs as r on s.tenant_id = r.tenant_id
    where s.as_of <= r.as_of
),

-- 1 seen to be done

seen as (
    select
        s.tenant_id,
        s.id,
        min(c.day) as day
    from stored as s
    inner join {{ ref('int_entities__changes') }} as c
        on
            s.tenant_id = c.tenant_id and s.platform = c.platform and s.level = c.level
            and s.platform_id = c.platform_id and s.action ->> 'field' = c.field
    where
        s.observed_at is null
        and s.status in ('pending', 'approved', 'applied')
        and c.day > s.as_of
        and case
            when c.field = 'status' then c.new_value = s.action ->> 'to'
            when c.field = 'daily_budget' and c.new_value ~ '^[0-9]+(\.[0-9]+)?$' and c.old_value ~ '^[0-9]+(\.[0-9]+)?$'
                then
                    sign(c.new_value::numeric - c.old_value::numeric)
                    = case s.recommendation_type when 'budget_increase' then 1 else -1 end
            else false
        end
    group by s.tenant_id, s.id
),

-- 2 what becomes of the open ones

open as (
    select
        s.*,
        s.expires_at <= s.ends_at as is_due,
        coalesce(s.snoozed_until > s.ends_at, false) as is_snoozed,
        coalesce((s.evidence ->> 'impact_when_raised')::numeric, s.estimated_impact) as impact_when_raised
    from stored as s
    where s.status in ('pending', 'approved')
),

decided as (
    select
        o.*,
        c.recommendation_key is not null as is_advised_again,
        c.evidence as new_evidence,
        c.estimated_impact as new_impact,
        c.estimated_impact_low as new_impact_low,
        c.estimated_impact_high as new_impact_high,
        c.confidence as new_confidence,
        c.priority as new_priority,
        case
            -- A person's: left alone until acted on or expired; while snoozed not even that.
            when o.status = 'approved' then case when o.is_due then 'expired' else 'approved' end
            when o.is_snoozed then 'pending'
            when o.is_due then 'expired'
            when c.recommendation_key is null
                then case
                    when exists (
                        select
                        from candidates as other
                        where
                            other.tenant_id = o.tenant_id and other.platform = o.platform
                            and other.level = o.level and other.platform_id = o.platform_id
                            and (
                                other.recommendation_type = o.recommendation_type
                                or (other.moves_money and o.moves_money)
                            )
                    ) then 'superseded'
                    else 'expired'
                end
            -- The day it was raised on may be run again: key and day allow one row only.
            when o.as_of = o.run_as_of then 'pending'
            when
                c.action <> o.action
                or abs(c.estimated_impact - o.impact_when_raised) >= 0.2 * abs(o.impact_when_raised)
                then 'superseded'
            else 'pending'
        end as new_status
    from open as o
    left join candidates as c
        on o.tenant_id = c.tenant_id and o.recommendation_key = c.recommendation_key
),

moved as (
    select
        d.*,
        d.new_status = 'pending' and d.status = 'pending' and not d.is_snoozed and d.is_advised_again as is_refreshed,
        coalesce(d.observed_at, (n.day + 1)::timestamp at time zone d.timezone) as new_observed_at
    from decided as d
    left join seen as n on d.tenant_id = n.tenant_id and d.id = n.id
),

-- 3 what may be raised

still_open as (
    select * from moved
    where new_status in ('pending', 'approved')
),

last_decisions as (         -- what a person said to the same advice
    select distinct on (s.tenant_id, s.recommendation_key) s.*
    from stored as s
    where s.status in ('rejected', 'applied')
    order by s.tenant_id asc, s.recommendation_key asc, s.as_of desc
),

raised as (
    select c.*
    from candidates as c
    left join last_decisions as l
        on c.tenant_id = l.tenant_id and c.recommendation_key = l.recommendation_key
    where not exists (
        select
        from still_open as o
        where
            o.tenant_id = c.tenant_id and o.platform = c.platform and o.level = c.level
            and o.platform_id = c.platform_id
            and (
                o.recommendation_type = c.recommendation_type
                -- One action about money per campaign, and a person has it in hand.
                or (o.moves_money and c.moves_money)
            )
    )
    and not exists (
        select
        from stored as s
        where s.tenant_id = c.tenant_id and s.recommendation_key = c.recommendation_key and s.as_of = c.as_of
    )
    -- Cool-down: what was applied is given time to show.
    and not exists (
        select
        from stored as s
        where
            s.tenant_id = c.tenant_id and s.platform = c.platform and s.level = c.level
            and s.platform_id = c.platform_id and s.moves_money and c.moves_money
            and s.status = 'applied'
            and s.applied_at > c.ends_at - case c.platform when 'google' then interval '7 days' else interval '3 days' end
    )
    and (
        l.id is null
        or coalesce(
            abs((c.evidence ->> 'measure')::numeric / nullif((l.evidence ->> 'measure')::numeric, 0) - 1) >= 0.2, false
        )
        or coalesce(abs(c.estimated_impact - l.estimated_impact) >= 0.2 * abs(l.estimated_impact), false)
    )
),

final as (
    select
        m.tenant_id,
        m.id,
        m.recommendation_key,
        m.as_of,
        m.platform,
        m.account_id,
        m.level,
        m.platform_id,
        m.rule_id,
        m.recommendation_type,
        m.description,
        m.rationale,
        m.action,
        case
            when m.is_refreshed then m.new_evidence || jsonb_build_object('impact_when_raised', m.impact_when_raised)
            else m.evidence
        end as evidence,
        case when m.is_refreshed then m.new_impact else m.estimated_impact end as estimated_impact,
        case when m.is_refreshed then m.new_impact_low else m.estimated_impact_low end as estimated_impact_low,
        case when m.is_refreshed then m.new_impact_high else m.estimated_impact_high end as estimated_impact_high,
        m.currency,
        case when m.is_refreshed then m.new_confidence else m.confidence end as confidence,
        case when m.is_refreshed then m.new_priority else m.priority end as priority,
        m.new_status as status,
        m.created_at,
        m.expires_at,
        m.snoozed_until,
        m.approved_at,
        m.applied_at,
        m.new_observed_at as observed_at,
        m.rejected_at,
        m.rejection_reason,
        m.decided_by
    from moved as m
    where
        m.is_refreshed
        or m.new_status <> m.status
        or m.new_observed_at is distinct from m.observed_at
    union all
    select
        s.tenant_id,
        s.id,
        s.recommendation_key,
        s.as_of,
        s.platform,
        s.account_id,
        s.level,
        s.platform_id,
        s.rule_id,
        s.recommendation_type,
        s.description,
        s.rationale,
        s.action,
        s.evidence,
        s.estimated_impact,
        s.estimated_impact_low,
        s.estimated_impact_high,
        s.currency,
        s.confidence,
        s.priority,
        s.status,
        s.created_at,
        s.expires_at,
        s.snoozed_until,
        s.approved_at,
        s.applied_at,
        (n.day + 1)::timestamp at time zone s.timezone as observed_at,
        s.rejected_at,
        s.rejection_reason,
        s.decided_by
    from stored as s
    inner join seen as n on s.tenant_id = n.tenant_id and s.id = n.id
    where s.status = 'applied'
    union all
    select
        r.tenant_id,
        r.id,
        r.recommendation_key,
        r.as_of,
        r.platform,
        r.account_id,
        r.level,
        r.platform_id,
        r.rule_id,
        r.recommendation_type,
        r.description,
        r.rationale,
        r.action,
        r.evidence || jsonb_build_object('impact_when_raised', r.estimated_impact) as evidence,
        r.estimated_impact,
        r.estimated_impact_low,
        r.estimated_impact_high,
        r.currency,
        r.confidence,
        r.priority,
        'pending' as status,
        now() as created_at,
        r.expires_at,
        null::timestamptz as snoozed_until,
        null::timestamptz as approved_at,
        null::timestamptz as applied_at,
        null::timestamptz as observed_at,
        null::timestamptz as rejected_at,
        null::text as rejection_reason,
        null::text as decided_by
    from raised as r
)

select * from final
