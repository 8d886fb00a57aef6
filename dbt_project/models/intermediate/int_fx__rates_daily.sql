{{ config(indexes=[{'columns': ['currency', 'day'], 'unique': true}]) }}

with

rates as (
    select * from {{ ref('int_history__currency_rates') }}
    where currency <> 'EUR'
),

in_force as (       -- a rate holds until the next one, for at most a week
    select
        currency, day, rate, source,
        least(day + 7, coalesce(lead(day) over (partition by currency order by day) - 1, day + 7)) as last_day
    from rates
),

euro as (
    select 'EUR' as currency, day, 1::numeric as rate, day as rate_day, 'identity' as source
    from (select distinct held.day::date as day from in_force, generate_series(day, last_day, interval '1 day') as held (day))
        as days     -- one row per day whatever the number of currencies
),

final as (
    select
        in_force.currency,
        held.day::date as day,
        in_force.rate::numeric as rate,
        in_force.day as rate_day,
        in_force.source
    from in_force
    cross join lateral generate_series(in_force.day, in_force.last_day, interval '1 day') as held (day)
    union all
    select currency, day, rate, rate_day, source from euro
)

select * from final
