-- One row set for the as-of day: the model ads.baselines and the function ads.compute_baselines both select from it.
-- The window is the window_days days that end the day before as_of. Days without complete data are left out, and
-- nothing else; odd and immature days are the detectors' business.
-- One scan with a FILTER per window and no join at all: joins of grouped rows are guessed far too small, and looped.
{%- set windows = [1, 7, 14, 28, 30, 90, 91] %}
{%- set sums = ['spend', 'impressions', 'clicks', 'link_clicks', 'conversions', 'conversion_value', 'mature_spend'] %}

with

days as (
    select
        *,
        as_of - day as age,
        maturity * spend as mature_spend
    from {{ ref('int_metrics__entity_days') }}
    where delivery <> 'missing' and day < as_of and day >= as_of - {{ windows | max }}
),

entities as (       -- each figure as an array, one place for each window
    select
        tenant_id,
        platform,
        level,
        platform_id,
        as_of,
        min(account_id) as account_id,
        min(campaign_id) as campaign_id,
        min(adset_id) as adset_id,
        min(currency) as currency,
        array_agg(age) as ages,
        array_agg(spend::float8) as spends,
        {%- for column in sums %}
        array[
            {%- for w in windows %}
            sum({{ column }}) filter (where age <= {{ w }}){{ ',' if not loop.last }}
            {%- endfor %}
        ] as {{ column }},
        {%- endfor %}
        array[
            {%- for w in windows %}
            sum(spend) filter (where age <= {{ w }} and maturity is not null){{ ',' if not loop.last }}
            {%- endfor %}
        ] as spend_of_known_maturity,
        array[
            {%- for w in windows %}
            count(*) filter (where age <= {{ w }}){{ ',' if not loop.last }}
            {%- endfor %}
        ] as n_days,
        array[
            {%- for w in windows %}
            count(*) filter (where age <= {{ w }} and spend > 0){{ ',' if not loop.last }}
            {%- endfor %}
        ] as n_days_with_spend
    from days
    group by tenant_id, platform, level, platform_id, as_of
),

windows as (
    select
        entities.tenant_id, entities.platform, entities.level, entities.platform_id, w.window_days, entities.as_of,
        entities.account_id, entities.campaign_id, entities.adset_id, entities.currency,
        entities.n_days[w.place] as n_days,
        entities.n_days_with_spend[w.place] as n_days_with_spend,
        entities.spend[w.place] as spend,
        entities.impressions[w.place] as impressions,
        entities.clicks[w.place] as clicks,
        entities.link_clicks[w.place] as link_clicks,
        entities.conversions[w.place] as conversions,
        entities.conversion_value[w.place] as conversion_value,
        entities.mature_spend[w.place] / nullif(entities.spend_of_known_maturity[w.place], 0) as maturity,
        -- the same days as in the window before have the same percentiles
        (entities.n_days[w.place] is distinct from entities.n_days[w.place - 1]) as is_new,
        entities.ages,
        entities.spends
    from entities
    cross join unnest(array{{ windows }}) with ordinality as w (window_days, place)
    where entities.n_days[w.place] > 0
),

spreads as (
    select
        windows.*,
        percentiles.spend as spend_percentiles,
        deviations.spend_mad
    from windows
    cross join
        lateral (
            select percentile_cont(array[0.1, 0.5, 0.9]) within group (order by one_day.spend) as spend
            from unnest(windows.ages, windows.spends) as one_day (age, spend)
            where windows.is_new and one_day.age <= windows.window_days
        ) as percentiles
    cross join lateral (
        select percentile_cont(0.5) within group (order by abs(one_day.spend - percentiles.spend[2])) as spend_mad
        from unnest(windows.ages, windows.spends) as one_day (age, spend)
        where windows.is_new and one_day.age <= windows.window_days
    ) as deviations
),

judged as (
    select
        spreads.*,
        coalesce(n_days >= 4 and conversions >= 10, false) as is_sufficient
    from spreads
),

with_parents as (
    select
        judged.*,
        max(spend_percentiles) over same_days as percentiles,
        max(spend_mad) over same_days as deviation,
        bool_or(is_sufficient) filter (where level = 'adset') over (
            partition by tenant_id, platform, window_days, adset_id
        ) as adset_suffices,
        bool_or(is_sufficient) filter (where level = 'campaign') over (
            partition by tenant_id, platform, window_days, campaign_id
        ) as campaign_suffices,
        bool_or(is_sufficient) filter (where level = 'account') over (
            partition by tenant_id, platform, window_days, account_id
        ) as account_suffices
    from judged
    window same_days as (partition by tenant_id, platform, level, platform_id, n_days)
),

final as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        window_days,
        as_of,
        currency,
        n_days,
        n_days_with_spend,
        spend::numeric(20, 6) as spend,
        impressions::bigint as impressions,
        clicks::bigint as clicks,
        link_clicks::bigint as link_clicks,
        conversions::numeric(20, 6) as conversions,
        conversion_value::numeric(20, 6) as conversion_value,
        {{ safe_ratio('conversion_value', 'spend') }} as roas,
        {{ safe_ratio('spend', 'conversions') }} as cpa,
        {{ safe_ratio('spend', 'clicks') }} as cpc,
        {{ safe_ratio('spend', 'impressions', 1000) }} as cpm,
        {{ safe_ratio('clicks', 'impressions') }} as ctr,
        {{ safe_ratio('conversions', 'clicks') }} as cvr,
        round(percentiles[1]::numeric, 6) as spend_p10,
        round(percentiles[2]::numeric, 6) as spend_p50,
        round(percentiles[3]::numeric, 6) as spend_p90,
        round(deviation::numeric, 6) as spend_mad,
        round(maturity, 6) as maturity,
        case
            when is_sufficient then null
            when level = 'ad' and adset_suffices then 'adset'
            when level in ('ad', 'adset') and campaign_suffices then 'campaign'
            when level <> 'account' and account_suffices then 'account'
        end as fallback_level,
        is_sufficient,
        now() as computed_at
    from with_parents
)

select * from final
