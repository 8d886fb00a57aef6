{{ config(pre_hook="set local work_mem = '64MB'") }}

with

days as (
    select levels.*, as_of.as_of
    from {{ ref('int_ads__levels_as_of') }} as levels
    inner join {{ ref('int_run__as_of') }} as as_of on levels.tenant_id = as_of.tenant_id
    where levels.level = 'campaign'
),

in_periods as (
    select days.*, 'day' as period_type, days.day as period_start, days.day as period_end from days
    union all
    select
        days.*, 'week', date_trunc('week', days.day)::date, date_trunc('week', days.day)::date + 6
    from days
    union all
    select
        days.*, 'month', date_trunc('month', days.day)::date,
        (date_trunc('month', days.day) + interval '1 month - 1 day')::date
    from days
),

periods as (
    select
        tenant_id, platform, platform_id as campaign_id, period_type, period_start, period_end,
        min(account_id) as account_id,
        min(currency) as currency,
        min(as_of) as as_of,
        sum(spend) as spend,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(link_clicks) as link_clicks,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from in_periods
    group by tenant_id, platform, platform_id, period_type, period_start, period_end
),

gaps as (           -- account-days of which too little is known
    select tenant_id, platform, account_id, day
    from {{ ref('data_status') }}
    where state in ('missing', 'withheld')
),

rated as (
    select
        periods.*,
        {{ safe_ratio('periods.conversion_value', 'periods.spend') }} as roas,
        {{ safe_ratio('periods.spend', 'periods.conversions') }} as cpa,
        periods.period_end <= periods.as_of and not exists (
            select from gaps
            where
                gaps.tenant_id = periods.tenant_id and gaps.platform = periods.platform
                and gaps.account_id = periods.account_id
                and gaps.day between periods.period_start and periods.period_end
        ) as is_complete
    from periods
),

final as (
    select
        now_.tenant_id,
        now_.platform,
        now_.campaign_id,
        now_.period_type,
        now_.period_start,
        now_.period_end,
        now_.currency,
        now_.spend::numeric(20, 6) as spend,
        now_.impressions::bigint as impressions,
        now_.clicks::bigint as clicks,
        now_.link_clicks::bigint as link_clicks,
        now_.conversions::numeric(20, 6) as conversions,
        now_.conversion_value::numeric(20, 6) as conversion_value,
        now_.roas,
        now_.cpa,
        {{ safe_ratio('now_.spend', 'now_.clicks') }} as cpc,
        {{ safe_ratio('now_.spend', 'now_.impressions', 1000) }} as cpm,
        {{ safe_ratio('now_.clicks', 'now_.impressions') }} as ctr,
        {{ safe_ratio('now_.conversions', 'now_.clicks') }} as cvr,
        before_.spend::numeric(20, 6) as previous_spend,
        before_.conversions::numeric(20, 6) as previous_conversions,
        before_.conversion_value::numeric(20, 6) as previous_conversion_value,
        before_.roas as previous_roas,
        before_.cpa as previous_cpa,
        {{ safe_ratio('now_.spend', 'before_.spend') }} - 1 as change_spend,
        {{ safe_ratio('now_.conversions', 'before_.conversions') }} - 1 as change_conversions,
        {{ safe_ratio('now_.conversion_value', 'before_.conversion_value') }} - 1 as change_conversion_value,
        {{ safe_ratio('now_.roas', 'before_.roas') }} - 1 as change_roas,
        {{ safe_ratio('now_.cpa', 'before_.cpa') }} - 1 as change_cpa,
        now_.is_complete
    from rated as now_
    left join rated as before_
        on
            now_.tenant_id = before_.tenant_id
            and now_.platform = before_.platform
            and now_.campaign_id = before_.campaign_id
            and now_.period_type = before_.period_type
            and before_.period_start = case now_.period_type
                when 'day' then now_.period_start - 1
                when 'week' then now_.period_start - 7
                else (now_.period_start - interval '1 month')::date
            end
)

select * from final
