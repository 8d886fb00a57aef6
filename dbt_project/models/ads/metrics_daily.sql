-- depends_on: {{ ref('int_ads__account_days') }}
-- depends_on: {{ ref('int_ads__touched_account_days') }}
{{ config(
    materialized='incremental',
    incremental_strategy='account_days',
    full_refresh=false,
    on_schema_change='fail',
    pre_hook="set local work_mem = '128MB'",
) }}

with

account_days as (
    {%- if is_incremental() %}
    select * from {{ ref('int_ads__touched_account_days') }}
    {%- else %}
    select * from {{ ref('int_ads__account_days') }} where is_served
    {%- endif %}
),

versions as (
    select v.*
    from account_days
    cross join lateral (
        select * from {{ ref('int_history__performance_versions') }} as version
        where
            version.tenant_id = account_days.tenant_id and version.platform = account_days.platform
            and version.account_id = account_days.account_id and version.day = account_days.day
        offset 0     -- noqa: AM09
    ) as v
),

{{ cascade_levels('versions') }},

rates as (
    select * from {{ ref('int_fx__rates_daily') }}
),

valued as (
    select
        levels.*,
        case
            when levels.currency = account_days.reporting_currency then 1
            when levels.currency = account_days.currency then account_days.fx_rate
            else round(to_rate.rate / from_rate.rate, 10)
        end as fx_rate,
        account_days.reporting_currency,
        case when levels.source = 'manual' then 1 else account_days.maturity end as maturity,
        case when levels.source = 'manual' then 'final' else account_days.data_status end as data_status
    from levels
    inner join account_days
        on
            levels.tenant_id = account_days.tenant_id
            and levels.platform = account_days.platform
            and levels.account_id = account_days.account_id
            and levels.day = account_days.day
    left join rates as from_rate on levels.currency = from_rate.currency and levels.day = from_rate.day
    left join rates as to_rate
        on account_days.reporting_currency = to_rate.currency and levels.day = to_rate.day
),

final as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        day,
        account_id,
        campaign_id,
        adset_id,
        currency,
        spend::numeric(20, 6) as spend,
        impressions::bigint as impressions,
        clicks::bigint as clicks,
        link_clicks::bigint as link_clicks,
        conversions::numeric(20, 6) as conversions,
        conversion_value::numeric(20, 6) as conversion_value,
        view_through_conversions::numeric(20, 6) as view_through_conversions,
        reach,
        frequency,
        {{ safe_ratio('conversion_value', 'spend') }} as roas,
        {{ safe_ratio('spend', 'conversions') }} as cpa,
        {{ safe_ratio('spend', 'clicks') }} as cpc,
        {{ safe_ratio('spend', 'impressions', 1000) }} as cpm,
        {{ safe_ratio('clicks', 'impressions') }} as ctr,
        {{ safe_ratio('conversions', 'clicks') }} as cvr,
        (spend * fx_rate)::numeric(20, 6) as spend_reporting,
        (conversion_value * fx_rate)::numeric(20, 6) as conversion_value_reporting,
        reporting_currency,
        fx_rate,
        maturity,
        data_status,
        source,
        now() as updated_at
    from valued
)

select * from final
