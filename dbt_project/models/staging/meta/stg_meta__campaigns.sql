with

campaigns as (
    select * from {{ source('raw_meta', 'campaigns') }}
),

accounts as (       -- the same load's: amounts are in minor units of its currency
    select * from {{ source('raw_meta', 'accounts') }}
),

final as (
    select
        -- keys
        campaigns.tenant_id::uuid as tenant_id,
        'meta' as platform,
        campaigns.account_id,
        'campaign' as level,
        campaigns.campaign_id as platform_id,
        campaigns.campaign_id,
        null::text as adset_id,
        -- attributes
        nullif(btrim(campaigns.name), '') as name,
        {{ meta_status('campaigns.effective_status', 'campaigns.stop_time', 'campaigns.loaded_at') }} as status,
        campaigns.effective_status as vendor_status,
        campaigns.objective,
        coalesce(upper(campaigns.objective) in ('OUTCOME_LEADS', 'LEAD_GENERATION'), false) as seeks_leads,
        campaigns.buying_type,
        campaigns.bid_strategy,
        campaigns.start_time as started_at,
        campaigns.stop_time as ends_at,
        campaigns.updated_time as updated_at,
        'campaign' as budget_level,
        null::text as learning_state,
        null::text as url,
        -- measures, in the account's currency
        {{ meta_major_units('campaigns.daily_budget', 'accounts.currency') }} as daily_budget,
        {{ meta_major_units('campaigns.lifetime_budget', 'accounts.currency') }} as lifetime_budget,
        {{ meta_major_units('campaigns.spend_cap', 'accounts.currency') }} as spend_cap,
        null::numeric as target_roas,
        null::numeric as target_cpa,
        -- load
        campaigns.load_id,
        campaigns.loaded_at,
        campaigns.extra
    from campaigns
    left join accounts
        on
            campaigns.tenant_id = accounts.tenant_id
            and campaigns.account_id = accounts.account_id
            and campaigns.load_id = accounts.load_id
)

select * from final
