{{ config(indexes=[{'columns': ['tenant_id', 'platform', 'account_id', 'day'], 'unique': true}]) }}

with

covered as (
    select * from {{ ref('int_coverage__account_days') }}
),

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

reports as (
    select * from {{ ref('int_ads__reports') }}
),

curve as (
    select * from {{ ref('int_maturity__curve') }}
),

rates as (
    select * from {{ ref('int_fx__rates_daily') }}
),

accounts as (
    select * from {{ source('tenancy', 'ad_accounts') }}
),

aged as (
    select
        covered.*,
        accounts.conversion_event,
        coalesce(accounts.currency, as_of.currency) as currency,
        as_of.currency as reporting_currency,
        as_of.as_of,
        greatest(reports.reported_on - covered.day, 0) as age,
        greatest(reports.reported_on_as_of - covered.day, 0) as age_as_of
    from covered
    inner join as_of on covered.tenant_id = as_of.tenant_id
    left join accounts
        on
            covered.tenant_id = accounts.tenant_id
            and covered.platform = accounts.platform
            and covered.account_id = accounts.account_id
    left join reports
        on
            covered.tenant_id = reports.tenant_id
            and covered.platform = reports.platform
            and covered.account_id = reports.account_id
),

final as (
    select
        aged.tenant_id,
        aged.platform,
        aged.account_id,
        aged.day,
        aged.source,
        aged.is_served,
        aged.is_complete,
        aged.conversion_event,
        aged.quality_score,
        case
            when not aged.is_served then 'withheld'
            when aged.source = 'manual' or aged.source = 'file' then 'final'
            when aged.newest_state in ('provisional', 'withheld') or not aged.is_complete then 'provisional'
            when
                aged.as_of - aged.day < case aged.platform
                    {%- for platform, days in var('settling_days').items() %}
                    when '{{ platform }}' then {{ days }}
                    {%- endfor %}
                    else 0
                end
                then 'provisional'
            else 'final'
        end as data_status,
        aged.newest_reason as reason,
        aged.newest_rows as rows,
        aged.loaded_at,
        aged.versioned_at,
        aged.currency,
        aged.reporting_currency,
        round(
            case
                when aged.currency = aged.reporting_currency then 1
                else to_rate.rate / from_rate.rate
            end, 10
        ) as fx_rate,
        aged.age,
        -- two decimals: a hundredth of maturity is no reason to write a day's rows again
        case when aged.source = 'manual' then 1 else round(newest.maturity, 2) end as maturity,
        case when aged.source = 'manual' then 1 else known.maturity end as maturity_as_of
    from aged
    left join rates as from_rate on aged.currency = from_rate.currency and aged.day = from_rate.day
    left join rates as to_rate on aged.reporting_currency = to_rate.currency and aged.day = to_rate.day
    left join curve as newest
        on aged.tenant_id = newest.tenant_id and aged.platform = newest.platform and least(aged.age, 28) = newest.age
    left join curve as known
        on
            aged.tenant_id = known.tenant_id and aged.platform = known.platform
            and least(aged.age_as_of, 28) = known.age
)

select * from final
