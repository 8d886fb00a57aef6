-- Only of tenants that opted in, and never of the demo: its figures are invented.
with

tenants as (
    select tenants.tenant_id, lower(btrim(tenants.industry)) as industry, as_of.as_of
    from {{ source('tenancy', 'tenants') }} as tenants
    inner join {{ ref('int_run__as_of') }} as as_of on tenants.tenant_id = as_of.tenant_id
    where tenants.share_benchmarks and not tenants.is_demo
),

account_days as (
    select
        metrics.*, tenants.industry, date_trunc('month', metrics.day)::date as month
    from {{ ref('metrics_daily') }} as metrics
    inner join tenants on metrics.tenant_id = tenants.tenant_id
    where metrics.level = 'account' and metrics.day <= tenants.as_of
),

rates as (
    select * from {{ ref('int_fx__rates_daily') }}
),

in_dollars as (
    select
        account_days.*,
        {{ in_currency('account_days.spend', 'account_days.currency', "'USD'", 'own_rate.rate', 'dollar_rate.rate') }} as spend_usd,
        {{ in_currency('account_days.conversion_value', 'account_days.currency', "'USD'", 'own_rate.rate', 'dollar_rate.rate') }}
            as value_usd
    from account_days
    left join rates as own_rate on account_days.currency = own_rate.currency and account_days.day = own_rate.day
    left join rates as dollar_rate on dollar_rate.currency = 'USD' and account_days.day = dollar_rate.day
),

final as (
    select
        in_dollars.tenant_id,
        in_dollars.platform,
        in_dollars.month,
        in_dollars.industry,
        sum(in_dollars.spend_usd) as spend,
        sum(in_dollars.impressions) as impressions,
        sum(in_dollars.clicks) as clicks,
        sum(in_dollars.conversions) as conversions,
        sum(in_dollars.value_usd) as conversion_value
    from in_dollars
    inner join tenants on in_dollars.tenant_id = tenants.tenant_id
    where (in_dollars.month + interval '1 month')::date <= tenants.as_of + 1
    group by in_dollars.tenant_id, in_dollars.platform, in_dollars.month, in_dollars.industry
    -- A tenant whose money cannot be weighed cannot be shown to be small enough.
    having count(*) filter (where in_dollars.spend > 0 and in_dollars.spend_usd is null) = 0
)

select * from final
