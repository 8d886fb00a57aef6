with

currency_rates as (
    select * from {{ source('raw_manual', 'currency_rates') }}
),

final as (
    select
        -- keys
        day,
        upper(currency) as currency,
        -- measures
        rate,
        -- load
        load_id,
        loaded_at,
        line
    from currency_rates
    where rate > 0
)

select * from final
