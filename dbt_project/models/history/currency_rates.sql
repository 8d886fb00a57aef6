{{ config(
    incremental_strategy='delete+insert',
    unique_key=['day', 'currency'],
) }}

with

finished_loads as (         -- a load that broke off left rows that nobody reads
    select load_id from {{ source('ops', 'import_log') }}
    where status in ('completed', 'partial')
),

newest_load as (
    select distinct on (day, currency)
        day, currency, rate, load_id
    from {{ ref('stg_manual__currency_rates') }}
    where load_id in (select finished_loads.load_id from finished_loads)
    order by day asc, currency asc, loaded_at desc, load_id desc, line desc
),

final as (
    select
        newest_load.day,
        newest_load.currency,
        newest_load.rate::numeric(20, 10) as rate,
        'file' as source,
        newest_load.load_id
    from newest_load
    left join {{ this }} as stored
        on newest_load.day = stored.day and newest_load.currency = stored.currency
    where stored.rate is distinct from newest_load.rate
)

select * from final
