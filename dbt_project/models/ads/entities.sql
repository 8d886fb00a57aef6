with

entities as (
    select * from {{ ref('int_entities__at') }}
    where moment = 'newest'
),

final as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        account_id,
        campaign_id,
        adset_id,
        name,
        status,
        status_since,
        objective,
        daily_budget,
        lifetime_budget,
        budget_level,
        currency,
        timezone,
        target_roas,
        target_cpa,
        learning_state,
        first_day,
        last_day,
        url
    from entities
)

select * from final
