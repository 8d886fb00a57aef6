with

creatives as (
    select * from {{ source('raw_meta', 'creatives') }}
),

final as (
    select
        -- keys
        tenant_id::uuid as tenant_id,
        'meta' as platform,
        account_id,
        creative_id,
        -- attributes
        nullif(btrim(name), '') as name,
        {{ meta_status('status', 'null::timestamptz', 'loaded_at') }} as status,
        object_type,
        nullif(btrim(title), '') as title,
        nullif(btrim(body), '') as body,
        call_to_action_type,
        nullif(btrim(link), '') as url,
        url_tags,
        thumbnail_url,
        image_url,
        image_hash,
        video_id,
        instagram_permalink_url,
        object_story_spec,
        asset_feed_spec,
        -- load
        load_id,
        loaded_at,
        extra
    from creatives
)

select * from final
