{{ config(post_hook="{{ 'select ads_internal.refresh_budget_allocation()' if target.name != 'dev' }}") }}

with

pacing as (
    select * from {{ ref('budget_pacing') }}
),

moves as (
    select * from {{ ref('budget_moves') }}
),

final as (
    select
        p.tenant_id,
        p.id,
        p.spend_to_date,
        p.expected_to_date,
        p.pacing,
        p.pacing_status,
        p.projected_spend,
        m.recommended_budget,
        m.expected_return,
        p.results || m.results as results
    from pacing as p
    inner join moves as m on p.tenant_id = m.tenant_id and p.id = m.id
)

select * from final
