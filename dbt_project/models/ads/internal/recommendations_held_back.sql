-- Why an entity with evidence gets no advice, or other advice than a rule gave: what a buyer asks next.
with

advised as (
    select * from {{ ref('recommendations_advised') }}
),

candidates as (
    select * from {{ ref('recommendation_candidates') }}
),

campaigns as (
    select * from {{ ref('int_recommendations__campaigns') }}
),

open as (
    select * from {{ source('decisions', 'optimization_recommendations') }}
    where status in ('pending', 'approved')
),

last_decisions as (
    select distinct on (tenant_id, recommendation_key) *
    from {{ source('decisions', 'optimization_recommendations') }}
    where status in ('rejected', 'applied')
    order by tenant_id asc, recommendation_key asc, as_of desc
),

outweighed as (         -- a rule advised it, and something else goes first
    select
        a.tenant_id, a.as_of, a.platform, a.account_id, a.level, a.platform_id, a.rule_id, a.recommendation_type,
        coalesce(
            (
                select 'tired ads, a weak audience or weak days explain the result: ' || min(cause.rule_id) || ' goes first'
                from advised as cause
                where
                    a.recommendation_type in ('budget_decrease', 'pause') and not a.is_by_label
                    and cause.tenant_id = a.tenant_id and cause.platform = a.platform
                    and cause.campaign_id = a.campaign_id
                    and cause.recommendation_type in ('creative', 'audience', 'timing') and not cause.is_by_label
            ),
            (
                select 'one action an entity: ' || min(other.rule_id) || ' goes first'
                from candidates as other
                where
                    other.tenant_id = a.tenant_id and other.platform = a.platform and other.level = a.level
                    and other.platform_id = a.platform_id
            ),
            'another action on the same entity goes first'
        ) as reason,
        a.evidence
    from advised as a
    where not exists (
        select from candidates as c
        where
            c.tenant_id = a.tenant_id and c.platform = a.platform and c.level = a.level
            and c.platform_id = a.platform_id and c.rule_id = a.rule_id
    )
),

decided as (            -- a person has answered it, and the evidence is what it was
    select
        c.tenant_id, c.as_of, c.platform, c.account_id, c.level, c.platform_id, c.rule_id, c.recommendation_type,
        l.status || ' by ' || coalesce(l.decided_by, 'a person')
        || ', and its evidence has not changed by 20 % since' as reason,
        c.evidence
    from candidates as c
    inner join last_decisions as l
        on c.tenant_id = l.tenant_id and c.recommendation_key = l.recommendation_key
    where not exists (
        select from open as o
        where o.tenant_id = c.tenant_id and o.recommendation_key = c.recommendation_key
    )
),

guarded as (            -- clearly above or below its target, and a guard stands before
    select
        c.tenant_id, c.as_of, c.platform, c.account_id, 'campaign' as level, c.campaign_id as platform_id,
        null::text as rule_id,
        case when c.ratio_low > 1 then 'budget_increase' else 'budget_decrease' end as recommendation_type,
        case
            when c.counts_other_event then 'it is for leads, and its account counts purchases'
            when not c.has_own_target then 'it has no target of its own, and the default raises no advice about money'
            when not c.is_running then 'it is not running, or for less than 21 days'
            when c.is_learning then 'it is in its learning phase'
            when c.had_outage_lately then 'its conversions were not counted for a while in the last 14 days'
            when not c.is_rested then 'it was changed a few days ago: too early to judge'
            when not c.is_settled then 'it was changed, and too few conversions came since'
            when c.ratio_low > 1 and coalesce(c.budget_use, 0) < 0.8 then 'it does not use the budget it has'
            else 'the difference is too small or too new to move money'
        end as reason,
        c.evidence
    from campaigns as c
    where
        (c.ratio_low > 1 or c.ratio_high < 1)
        and not exists (
            select from advised as a
            where
                a.tenant_id = c.tenant_id and a.platform = c.platform and a.level = 'campaign'
                and a.platform_id = c.campaign_id and a.moves_money
        )
)

select * from outweighed
union all
select * from decided
union all
select * from guarded
