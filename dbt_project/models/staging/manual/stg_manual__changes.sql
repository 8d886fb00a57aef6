with

changes as (
    select * from {{ source('raw_manual', 'changes') }}
),

final as (
    select
        -- keys
        tenant_id::uuid as tenant_id,
        platform,
        account_id,
        campaign_id,
        -- dates
        day,
        -- attributes
        field,
        case when field = 'status' then {{ status_word('old_value') }} else nullif(btrim(old_value), '') end
            as old_value,
        case when field = 'status' then {{ status_word('new_value') }} else nullif(btrim(new_value), '') end
            as new_value,
        -- load
        load_id,
        loaded_at,
        line
    from changes
)

select * from final
