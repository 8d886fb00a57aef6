with

campaigns as (
    select * from {{ source('raw_manual', 'campaigns') }}
),

final as (
    select
        -- keys
        tenant_id::uuid as tenant_id,
        platform,
        account_id,
        campaign_id,
        -- dates
        snapshot_day,
        start_day,
        -- attributes
        nullif(btrim(campaign_name), '') as name,
        nullif(btrim(objective), '') as objective,
        {{ status_word('status') }} as status,
        daily_budget,
        target_roas,
        target_cpa,
        -- load
        load_id,
        loaded_at,
        line
    from campaigns
)

select * from final
