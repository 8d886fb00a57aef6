{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'platform', 'adset_id'], 'unique': true}],
    post_hook='analyze {{ this }}',
) }}

-- Per ad set: its click rate and frequency now against the first days of its current creatives, and its conversions
-- against its siblings'.
with

adset_days as (
    select * from {{ ref('int_metrics__entity_days') }}
    where level = 'adset' and platform_id not like '%~unattributed'
),

ad_days as (
    select * from {{ ref('int_metrics__entity_days') }}
    where level = 'ad'
),

usable_days as (
    select * from {{ ref('int_recommendations__days') }}
    where is_usable and day > as_of - 60
),

entities as (
    select * from {{ ref('int_entities__as_of') }}
),

lives as (
    select
        tenant_id,
        platform,
        platform_id as adset_id,
        min(account_id) as account_id,
        min(campaign_id) as campaign_id,
        min(currency) as currency,
        max(as_of) as as_of,
        min(day) as first_day,
        max(age_days) as age_days,
        coalesce(sum(case when day > as_of - 7 then spend end), 0) as spend_7,
        sum(case when day > as_of - 30 then spend end) as spend_30
    from adset_days
    group by tenant_id, platform, platform_id
),

recent_ads as (
    select
        d.tenant_id,
        d.platform,
        d.adset_id,
        d.platform_id,
        min(d.first_day) as first_day,
        sum(d.spend) as spend
    from ad_days as d
    where d.day > d.as_of - 14 and d.spend > 0
    group by d.tenant_id, d.platform, d.adset_id, d.platform_id
),

ad_ages as (
    select
        a.*,
        sum(a.spend) over (partition by a.tenant_id, a.platform, a.adset_id order by a.first_day)
        / sum(a.spend) over (partition by a.tenant_id, a.platform, a.adset_id) as share_so_far
    from recent_ads as a
),

creatives as (              -- since when half of today's spend is on ads that run: the current creatives' first day
    select
        l.tenant_id,
        l.platform,
        l.adset_id,
        l.as_of,
        greatest(l.first_day, coalesce(min(a.first_day), l.first_day)) as since
    from lives as l
    left join ad_ages as a
        on
            l.tenant_id = a.tenant_id and l.platform = a.platform and l.adset_id = a.adset_id
            and a.share_so_far >= 0.5
    group by l.tenant_id, l.platform, l.adset_id, l.as_of, l.first_day
),

early_and_now as (          -- the current creatives' first 14 days, and the last 14
    select
        d.tenant_id,
        d.platform,
        d.platform_id as adset_id,
        min(c.since) as creatives_since,
        sum(case when d.day < c.since + 14 then d.decision_clicks end) as early_clicks,
        sum(case when d.day < c.since + 14 then d.impressions end) as early_impressions,
        sum(case when d.day > d.as_of - 14 then d.decision_clicks end) as clicks,
        sum(case when d.day > d.as_of - 14 then d.impressions end) as impressions
    from adset_days as d
    inner join creatives as c
        on d.tenant_id = c.tenant_id and d.platform = c.platform and d.platform_id = c.adset_id
    where c.since + 14 <= d.as_of - 13 and d.day >= c.since and d.delivery = 'delivered'
    group by d.tenant_id, d.platform, d.platform_id
),

frequencies as (            -- the ad set's own where the platform reports it, else its ads'
    select
        tenant_id,
        platform,
        platform_id as adset_id,
        day,
        impressions,
        frequency,
        'adset' as frequency_of
    from adset_days
    where frequency is not null and impressions > 0
    union all
    select
        tenant_id,
        platform,
        adset_id,
        day,
        impressions,
        frequency,
        'ads' as frequency_of
    from ad_days
    where frequency is not null and impressions > 0
),

mean_frequencies as (
    select
        f.tenant_id,
        f.platform,
        f.adset_id,
        f.frequency_of,
        sum(case when f.day >= c.since and f.day < c.since + 14 then f.frequency * f.impressions end)
        / nullif(sum(case when f.day >= c.since and f.day < c.since + 14 then f.impressions end), 0) as early_frequency,
        sum(case when f.day > c.as_of - 14 then f.frequency * f.impressions end)
        / nullif(sum(case when f.day > c.as_of - 14 then f.impressions end), 0) as frequency,
        sum(case when f.day > c.as_of - 7 then f.frequency * f.impressions end)
        / nullif(sum(case when f.day > c.as_of - 7 then f.impressions end), 0) as frequency_7
    from frequencies as f
    inner join creatives as c
        on f.tenant_id = c.tenant_id and f.platform = c.platform and f.adset_id = c.adset_id
    group by f.tenant_id, f.platform, f.adset_id, f.frequency_of
),

chosen_frequencies as (
    select distinct on (tenant_id, platform, adset_id) *
    from mean_frequencies
    where frequency is not null
    order by tenant_id, platform, adset_id, frequency_of
),

shares as (
    select
        d.tenant_id,
        d.platform,
        d.campaign_id,
        d.platform_id as adset_id,
        sum(d.spend) as spend,
        sum(d.spend * u.known_share) as mature_spend,
        sum(d.conversions) as n
    from adset_days as d
    inner join usable_days as u
        on d.tenant_id = u.tenant_id and d.platform = u.platform and d.campaign_id = u.campaign_id and d.day = u.day
    where d.delivery = 'delivered'
    group by d.tenant_id, d.platform, d.campaign_id, d.platform_id
),

siblings as (
    select
        s.*,
        s.spend / nullif(sum(s.spend) over c, 0) as spend_share,
        sum(s.mature_spend) over c - s.mature_spend as siblings_spend,
        sum(s.n) over c - s.n as siblings_n,
        count(*) over c as n_adsets
    from shares as s
    window c as (partition by s.tenant_id, s.platform, s.campaign_id)
),

compared as (
    select
        l.*,
        e.creatives_since,
        e.clicks,
        e.impressions,
        e.early_clicks,
        e.early_impressions,
        e.impressions * e.early_clicks::numeric / nullif(e.early_impressions, 0) as expected_clicks,
        f.frequency_of,
        f.early_frequency,
        f.frequency,
        f.frequency_7,
        s.spend_share,
        s.n,
        s.mature_spend,
        s.siblings_n,
        s.siblings_spend,
        s.mature_spend * s.siblings_n / nullif(s.siblings_spend, 0) as siblings_expected
    from lives as l
    left join early_and_now as e
        on l.tenant_id = e.tenant_id and l.platform = e.platform and l.adset_id = e.adset_id
    left join chosen_frequencies as f
        on l.tenant_id = f.tenant_id and l.platform = f.platform and l.adset_id = f.adset_id
    left join siblings as s
        on l.tenant_id = s.tenant_id and l.platform = s.platform and l.adset_id = s.adset_id and s.n_adsets >= 2
),

final as (
    select
        c.tenant_id,
        c.platform,
        c.account_id,
        c.campaign_id,
        c.adset_id,
        c.as_of,
        coalesce(a.name, c.adset_id) as name,
        coalesce(p.name, c.campaign_id) as campaign_name,
        c.currency,
        c.age_days,
        coalesce(a.status, 'active') = 'active' and coalesce(p.status, 'active') = 'active'
        and c.spend_7 > 0 and c.age_days >= 21 as is_running,
        coalesce(a.learning_state, 'exited') = 'learning' as is_learning,
        coalesce(c.spend_30, 0) as spend_30,
        c.creatives_since,
        c.impressions,
        c.clicks,
        c.early_clicks,
        round(c.expected_clicks, 6) as expected_clicks,
        round((c.clicks / nullif(c.expected_clicks, 0))::numeric, 6) as ctr_ratio,
        round({{ count_z('c.clicks', 'c.expected_clicks', '(0.02 + 1 / nullif(c.early_clicks, 0)::float8)') }}::numeric, 4)
            as ctr_z,
        c.frequency_of,
        round(c.early_frequency, 4) as early_frequency,
        round(c.frequency, 4) as frequency,
        round(c.frequency_7, 4) as frequency_7,
        round(c.spend_share, 4) as spend_share,
        round(c.n, 6) as n,
        round(c.mature_spend, 6) as mature_spend,
        round(c.siblings_n, 6) as siblings_n,
        round(c.siblings_spend, 6) as siblings_spend,
        round(c.siblings_expected, 6) as siblings_expected,
        round((c.n / nullif(c.siblings_expected, 0))::numeric, 6) as siblings_ratio,
        round(
            {{ count_z('c.n', 'c.siblings_expected', '(0.02 + 1 / nullif(c.siblings_n, 0)::float8)') }}::numeric, 4
        ) as siblings_z
    from compared as c
    left join entities as a
        on c.tenant_id = a.tenant_id and c.platform = a.platform and a.level = 'adset' and c.adset_id = a.platform_id
    left join entities as p
        on
            c.tenant_id = p.tenant_id and c.platform = p.platform and p.level = 'campaign'
            and c.campaign_id = p.platform_id
)

select * from final
