with

ads as (
    select * from {{ source('raw_meta', 'ads') }}
),

creatives as (      -- the same load's: where an ad leads stands on its creative
    select * from {{ source('raw_meta', 'creatives') }}
),

final as (
    select
        -- keys
        ads.tenant_id::uuid as tenant_id,
        'meta' as platform,
        ads.account_id,
        'ad' as level,
        ads.ad_id as platform_id,
        ads.campaign_id,
        ads.adset_id,
        ads.creative_id,
        -- attributes
        nullif(btrim(ads.name), '') as name,
        {{ meta_status('ads.effective_status', 'null::timestamptz', 'ads.loaded_at') }} as status,
        ads.effective_status as vendor_status,
        null::text as objective,
        null::boolean as seeks_leads,
        ads.created_time as started_at,
        ads.updated_time as updated_at,
        null::text as budget_level,
        null::text as learning_state,
        nullif(btrim(creatives.link), '') as url,
        ads.preview_shareable_link,
        -- measures
        null::numeric as daily_budget,
        null::numeric as lifetime_budget,
        null::numeric as target_roas,
        null::numeric as target_cpa,
        -- load
        ads.load_id,
        ads.loaded_at,
        ads.extra
    from ads
    left join creatives
        on
            ads.tenant_id = creatives.tenant_id
            and ads.account_id = creatives.account_id
            and ads.creative_id = creatives.creative_id
            and ads.load_id = creatives.load_id
)

select * from final
