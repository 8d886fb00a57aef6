with

entities as (
    select * from {{ ref('int_entities__as_of') }}
    where level in ('campaign', 'adset')
),

reported_values as (        -- whether a campaign's, else its account's, conversions carry a value
    select
        tenant_id, platform, account_id, level, platform_id,
        sum(conversions) as conversions,
        coalesce(sum(conversion_value), 0) > 0 as has_value
    from {{ ref('int_metrics__entity_days') }}
    where level in ('account', 'campaign')
    group by tenant_id, platform, account_id, level, platform_id
),

configured as (
    select * from {{ ref('int_config__effective') }}
),

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

newest_rates as (
    select distinct on (as_of.tenant_id, rates.currency)
        as_of.tenant_id, rates.currency, rates.rate
    from {{ ref('int_fx__rates_daily') }} as rates
    inner join as_of on rates.day between as_of.as_of - 30 and as_of.as_of
    order by as_of.tenant_id asc, rates.currency asc, rates.day desc
),

judged as (
    select
        entities.tenant_id, entities.platform, entities.level, entities.platform_id, entities.currency,
        coalesce(entities.target_roas, campaigns.target_roas) as own_roas,
        coalesce(entities.target_cpa, campaigns.target_cpa) as own_cpa,
        configured.target_roas, configured.target_roas_source, configured.max_cpa, configured.max_cpa_source,
        configured.max_cpa * case
            when configured.currency = entities.currency then 1
            else to_rate.rate / from_rate.rate
        end as max_cpa_converted,
        case
            when own_values.conversions > 0 then own_values.has_value
            else coalesce(account_values.has_value, false)
        end as has_value
    from entities
    left join entities as campaigns
        on
            entities.tenant_id = campaigns.tenant_id and entities.platform = campaigns.platform
            and campaigns.level = 'campaign' and entities.campaign_id = campaigns.platform_id
    left join reported_values as own_values
        on
            entities.tenant_id = own_values.tenant_id and entities.platform = own_values.platform
            and own_values.level = 'campaign' and entities.campaign_id = own_values.platform_id
    left join reported_values as account_values
        on
            entities.tenant_id = account_values.tenant_id and entities.platform = account_values.platform
            and account_values.level = 'account' and entities.account_id = account_values.platform_id
    inner join configured
        on entities.tenant_id = configured.tenant_id and entities.platform = configured.platform
    left join newest_rates as from_rate
        on configured.tenant_id = from_rate.tenant_id and configured.currency = from_rate.currency
    left join newest_rates as to_rate
        on entities.tenant_id = to_rate.tenant_id and entities.currency = to_rate.currency
),

chosen as (
    select
        judged.*,
        case
            when own_roas is not null and (has_value or own_cpa is null) then 'entity_roas'
            when own_cpa is not null then 'entity_cpa'
            when has_value and target_roas_source = 'tenant' then 'tenant_roas'
            when max_cpa_source = 'tenant' then 'tenant_cpa'
            when has_value then 'default_roas'
            else 'default_cpa'
        end as choice
    from judged
),

final as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        split_part(choice, '_', 2) as target_metric,
        case choice
            when 'entity_roas' then own_roas
            when 'entity_cpa' then own_cpa
            when 'tenant_roas' then target_roas
            when 'tenant_cpa' then max_cpa_converted
            when 'default_roas' then target_roas
            when 'default_cpa' then max_cpa_converted
        end as target,
        split_part(choice, '_', 1) as target_source,
        currency
    from chosen
)

select * from final
