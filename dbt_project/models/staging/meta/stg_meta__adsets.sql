with

adsets as (
    select * from {{ source('raw_meta', 'adsets') }}
),

accounts as (       -- the same load's: amounts are in minor units of its currency
    select * from {{ source('raw_meta', 'accounts') }}
),

final as (
    select
        -- keys
        adsets.tenant_id::uuid as tenant_id,
        'meta' as platform,
        adsets.account_id,
        'adset' as level,
        adsets.adset_id as platform_id,
        adsets.campaign_id,
        adsets.adset_id,
        -- attributes
        nullif(btrim(adsets.name), '') as name,
        {{ meta_status('adsets.effective_status', 'adsets.end_time', 'adsets.loaded_at') }} as status,
        adsets.effective_status as vendor_status,
        null::text as objective,
        null::boolean as seeks_leads,
        adsets.optimization_goal,
        adsets.billing_event,
        adsets.bid_strategy,
        adsets.start_time as started_at,
        adsets.end_time as ends_at,
        adsets.updated_time as updated_at,
        'adset' as budget_level,
        case upper(adsets.learning_stage)
            when 'LEARNING' then 'learning'
            when 'FAIL' then 'limited'
            when 'SUCCESS' then 'exited'
        end as learning_state,
        null::text as url,
        adsets.targeting,
        adsets.attribution_spec,
        adsets.promoted_object,
        -- measures, in the account's currency
        {{ meta_major_units('adsets.daily_budget', 'accounts.currency') }} as daily_budget,
        {{ meta_major_units('adsets.lifetime_budget', 'accounts.currency') }} as lifetime_budget,
        -- a bid is a target only under these two strategies; the floor is in ten-thousandths
        case
            when
                upper(adsets.bid_strategy) = 'LOWEST_COST_WITH_MIN_ROAS'
                and adsets.bid_constraints ->> 'roas_average_floor' ~ '^[0-9]{1,12}$'
                then (adsets.bid_constraints ->> 'roas_average_floor')::numeric / 10000
        end as target_roas,
        case
            when upper(adsets.bid_strategy) = 'COST_CAP'
                then {{ meta_major_units('adsets.bid_amount', 'accounts.currency') }}
        end as target_cpa,
        -- load
        adsets.load_id,
        adsets.loaded_at,
        adsets.extra
    from adsets
    left join accounts
        on
            adsets.tenant_id = accounts.tenant_id
            and adsets.account_id = accounts.account_id
            and adsets.load_id = accounts.load_id
)

select * from final
