{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'platform', 'campaign_id', 'weekdays'], 'unique': true}],
    post_hook='analyze {{ this }}',
) }}

-- Per campaign and group of weekdays: its conversions over eight weeks against what the other days' return calls for.
with

days as (
    select
        *,
        case when extract(isodow from day) >= 6 then 'weekend' else 'workdays' end as weekdays,
        (as_of - day) / 7 as week
    from {{ ref('int_recommendations__days') }}
    where is_usable and day > as_of - 56
),

weeks as (
    select
        tenant_id,
        platform,
        campaign_id,
        weekdays,
        week,
        sum(conversions) as n,
        sum(spend * known_share) as mature_spend,
        sum(spend) as spend
    from days
    group by tenant_id, platform, campaign_id, weekdays, week
),

compared_weeks as (
    select
        w.*,
        w.mature_spend * o.n / nullif(o.mature_spend, 0) as expected
    from weeks as w
    left join weeks as o
        on
            w.tenant_id = o.tenant_id and w.platform = o.platform and w.campaign_id = o.campaign_id
            and w.week = o.week and w.weekdays <> o.weekdays
),

sums as (
    select
        tenant_id,
        platform,
        campaign_id,
        weekdays,
        sum(n) as n,
        sum(mature_spend) as mature_spend,
        sum(spend) as spend,
        count(expected) as n_weeks,
        count(case when n < expected then 1 end) as n_worse_weeks
    from compared_weeks
    group by tenant_id, platform, campaign_id, weekdays
),

compared as (
    select
        s.*,
        o.n as rest_n,
        o.mature_spend as rest_spend,
        s.mature_spend * o.n / nullif(o.mature_spend, 0) as expected
    from sums as s
    inner join sums as o
        on
            s.tenant_id = o.tenant_id and s.platform = o.platform and s.campaign_id = o.campaign_id
            and s.weekdays <> o.weekdays
),

final as (
    select
        c.tenant_id,
        c.platform,
        c.campaign_id,
        c.weekdays,
        c.n_weeks,
        c.n_worse_weeks,
        round(c.n, 6) as n,
        round(c.expected, 6) as expected,
        round(c.spend, 6) as spend,
        round(c.mature_spend, 6) as mature_spend,
        round(c.rest_n, 6) as rest_n,
        round(c.rest_spend, 6) as rest_spend,
        round((c.n / nullif(c.expected, 0))::numeric, 6) as ratio,
        round({{ count_z('c.n', 'c.expected', '(0.02 + 1 / nullif(c.rest_n, 0)::float8)') }}::numeric, 4) as z
    from compared as c
)

select * from final
