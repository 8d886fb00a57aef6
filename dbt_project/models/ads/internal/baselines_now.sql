-- One row set for the as-of day: the model ads.baselines and the function ads.compute_baselines both select from it.
-- The window is the window_days days that end the day before as_of. Days without complete data are left out, and
-- nothing else; odd and immature days are the detectors' business.

-- Each row is counted once, in the band of its age (the days between two window ends); a window is the sum of the
-- bands up to it. Percentiles are taken once for each number of days: two windows with the same days have the same.

with

windows as (
    select unnest(array[1, 7, 14, 28, 30, 90, 91]) as window_days
),

days as (
    select *, as_of - day as age
    from {{ ref('int_metrics__entity_days') }}
    where delivery <> 'missing' and day < as_of and day >= as_of - 91
),

bands as (
    select
        tenant_id, platform, level, platform_id, as_of,
        case
            when age <= 1 then 1
            when age <= 7 then 7
            when age <= 14 then 14
            when age <= 28 then 28
            when age <= 30 then 30
            when age <= 90 then 90
            else 91
        end as band,
        min(account_id) as account_id,
        min(campaign_id) as campaign_id,
        min(adset_id) as adset_id,
        min(currency) as currency,
        count(*) as n_days,
        count(*) filter (where spend > 0) as n_days_with_spend,
        sum(spend) as spend,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(link_clicks) as link_clicks,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value,
        sum(maturity * spend) as mature_spend,
        sum(spend) filter (where maturity is not null) as spend_of_known_maturity
    from days
    group by tenant_id, platform, level, platform_id, as_of, band
),

sums as (
    select
        bands.tenant_id, bands.platform, bands.level, bands.platform_id, windows.window_days, bands.as_of,
        min(bands.account_id) as account_id,
        min(bands.campaign_id) as campaign_id,
        min(bands.adset_id) as adset_id,
        min(bands.currency) as currency,
        sum(bands.n_days)::bigint as n_days,
        sum(bands.n_days_with_spend)::bigint as n_days_with_spend,
        sum(bands.spend) as spend,
        sum(bands.impressions) as impressions,
        sum(bands.clicks) as clicks,
        sum(bands.link_clicks) as link_clicks,
        sum(bands.conversions) as conversions,
        sum(bands.conversion_value) as conversion_value,
        sum(bands.mature_spend) / nullif(sum(bands.spend_of_known_maturity), 0) as maturity
    from bands
    inner join windows on bands.band <= windows.window_days
    group by bands.tenant_id, bands.platform, bands.level, bands.platform_id, windows.window_days, bands.as_of
),

series as (
    select
        tenant_id, platform, level, platform_id, array_agg(age) as ages, array_agg(spend::float8) as spends
    from days
    group by tenant_id, platform, level, platform_id
),

distinct_lengths as (
    select tenant_id, platform, level, platform_id, n_days, min(window_days) as window_days
    from sums
    group by tenant_id, platform, level, platform_id, n_days
),

spreads as (
    select
        lengths.tenant_id, lengths.platform, lengths.level, lengths.platform_id, lengths.n_days,
        percentiles.spend as percentiles, deviation.spend_mad
    from distinct_lengths as lengths
    inner join series
        on
            lengths.tenant_id = series.tenant_id and lengths.platform = series.platform
            and lengths.level = series.level and lengths.platform_id = series.platform_id
    cross join
        lateral (
            select percentile_cont(array[0.1, 0.5, 0.9]) within group (order by one_day.spend) as spend
            from unnest(series.ages, series.spends) as one_day (age, spend)
            where one_day.age <= lengths.window_days
        ) as percentiles
    cross join lateral (
        select percentile_cont(0.5) within group (order by abs(one_day.spend - percentiles.spend[2])) as spend_mad
        from unnest(series.ages, series.spends) as one_day (age, spend)
        where one_day.age <= lengths.window_days
    ) as deviation
),

judged as (
    select
        sums.*,
        spreads.percentiles as spend_percentiles,
        spreads.spend_mad,
        coalesce(sums.n_days >= 4 and sums.conversions >= 10, false) as is_sufficient
    from sums
    inner join spreads
        on
            sums.tenant_id = spreads.tenant_id and sums.platform = spreads.platform
            and sums.level = spreads.level and sums.platform_id = spreads.platform_id
            and sums.n_days = spreads.n_days
),

final as (
    select
        judged.tenant_id,
        judged.platform,
        judged.level,
        judged.platform_id,
        judged.window_days,
        judged.as_of,
        judged.currency,
        judged.n_days,
        judged.n_days_with_spend,
        judged.spend::numeric(20, 6) as spend,
        judged.impressions::bigint as impressions,
        judged.clicks::bigint as clicks,
        judged.link_clicks::bigint as link_clicks,
        judged.conversions::numeric(20, 6) as conversions,
        judged.conversion_value::numeric(20, 6) as conversion_value,
        {{ safe_ratio('judged.conversion_value', 'judged.spend') }} as roas,
        {{ safe_ratio('judged.spend', 'judged.conversions') }} as cpa,
        {{ safe_ratio('judged.spend', 'judged.clicks') }} as cpc,
        {{ safe_ratio('judged.spend', 'judged.impressions', 1000) }} as cpm,
        {{ safe_ratio('judged.clicks', 'judged.impressions') }} as ctr,
        {{ safe_ratio('judged.conversions', 'judged.clicks') }} as cvr,
        round(judged.spend_percentiles[1]::numeric, 6) as spend_p10,
        round(judged.spend_percentiles[2]::numeric, 6) as spend_p50,
        round(judged.spend_percentiles[3]::numeric, 6) as spend_p90,
        round(judged.spend_mad::numeric, 6) as spend_mad,
        round(judged.maturity, 6) as maturity,
        case
            when judged.is_sufficient then null
            when adsets.is_sufficient then 'adset'
            when campaigns.is_sufficient then 'campaign'
            when accounts.is_sufficient then 'account'
        end as fallback_level,
        judged.is_sufficient,
        now() as computed_at
    from judged
    left join judged as adsets
        on
            judged.tenant_id = adsets.tenant_id and judged.platform = adsets.platform
            and judged.window_days = adsets.window_days and adsets.level = 'adset'
            and judged.level = 'ad' and judged.adset_id = adsets.platform_id
    left join judged as campaigns
        on
            judged.tenant_id = campaigns.tenant_id and judged.platform = campaigns.platform
            and judged.window_days = campaigns.window_days and campaigns.level = 'campaign'
            and judged.level in ('ad', 'adset') and judged.campaign_id = campaigns.platform_id
    left join judged as accounts
        on
            judged.tenant_id = accounts.tenant_id and judged.platform = accounts.platform
            and judged.window_days = accounts.window_days and accounts.level = 'account'
            and judged.level in ('ad', 'adset', 'campaign') and judged.account_id = accounts.platform_id
)

select * from final
