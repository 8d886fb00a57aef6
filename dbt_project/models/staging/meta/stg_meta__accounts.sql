with

accounts as (
    select * from {{ source('raw_meta', 'accounts') }}
),

final as (
    select
        -- keys
        tenant_id::uuid as tenant_id,
        'meta' as platform,
        account_id,
        'account' as level,
        account_id as platform_id,
        null::text as campaign_id,
        null::text as adset_id,
        -- attributes
        nullif(btrim(name), '') as name,
        case
            when account_status in (1, 9, 201) then 'active'        -- 9 is a grace period, in which ads run
            when account_status in (2, 3, 7) then 'paused'          -- disabled, unsettled, in review: nothing runs
            when account_status in (101, 202) then 'removed'
            when account_status is not null then 'other'
        end as status,
        account_status as vendor_status,
        null::text as objective,
        null::boolean as seeks_leads,
        created_time as started_at,
        currency,
        timezone_name as timezone,
        null::text as learning_state,
        null::text as budget_level,
        null::text as url,
        -- measures, in the account's currency
        null::numeric as daily_budget,
        null::numeric as lifetime_budget,
        null::numeric as target_roas,
        null::numeric as target_cpa,
        {{ meta_major_units('amount_spent', 'currency') }} as amount_spent,
        {{ meta_major_units('balance', 'currency') }} as balance,
        {{ meta_major_units('spend_cap', 'currency') }} as spend_cap,
        -- load
        load_id,
        loaded_at,
        extra
    from accounts
)

select * from final
