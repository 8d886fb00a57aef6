-- How often advice was right, per rule.
with

outcomes as (
    select * from {{ ref('int_history__recommendation_outcomes') }}
),

final as (
    select
        tenant_id,
        outcome ->> 'rule_id' as rule_id,
        horizon_days,
        outcome ->> 'currency' as currency,
        count(*) as n_followed,
        count(*) filter (where outcome ->> 'was_right' is not null) as n_judged,
        count(*) filter (where (outcome ->> 'was_right')::boolean) as n_right,
        count(*) filter (where (outcome ->> 'was_right')::boolean and (outcome ->> 'is_beyond_doubt')::boolean)
            as n_surely_right,
        count(*) filter (where not (outcome ->> 'was_right')::boolean and (outcome ->> 'is_beyond_doubt')::boolean)
            as n_surely_wrong,
        round(
            count(*) filter (where (outcome ->> 'was_right')::boolean)::numeric
            / nullif(count(*) filter (where outcome ->> 'was_right' is not null), 0), 4
        ) as share_right,
        sum((outcome ->> 'gain')::numeric) as gain,
        sum((outcome ->> 'expected_gain')::numeric) filter (where outcome ->> 'was_right' is not null) as expected_gain
    from outcomes
    group by tenant_id, outcome ->> 'rule_id', horizon_days, outcome ->> 'currency'
)

select * from final
