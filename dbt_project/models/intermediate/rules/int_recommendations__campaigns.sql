{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'platform', 'campaign_id'], 'unique': true}],
    post_hook='analyze {{ this }}',
) }}

-- Per campaign the conversions it had against those its target calls for. theta is the log of that ratio, pulled to
-- zero by four conversions' worth of doubt; lo and hi are its 90 % interval. Tiny campaigns stay undecided by that.
with

days as (
    select * from {{ ref('int_recommendations__days') }}
),

campaigns as (
    select * from {{ ref('int_entities__as_of') }}
    where level = 'campaign'
),

targets as (
    select * from {{ ref('int_entities__targets') }}
    where level = 'campaign'
),

accounts as (
    select * from {{ source('tenancy', 'ad_accounts') }}
),

lives as (                  -- a paused campaign is judged by the 30 days before its pause
    select
        d.tenant_id,
        d.platform,
        d.campaign_id,
        min(d.account_id) as account_id,
        min(d.currency) as currency,
        max(d.as_of) as as_of,
        max(d.age_days) as age_days,
        min(d.day) as first_day,
        max(case when d.is_delivered then d.day end) as last_delivered,
        max(case when d.is_outage then d.day end) as last_outage,
        (array_agg(d.fx_rate order by d.day desc) filter (where d.fx_rate is not null))[1] as fx_rate,
        coalesce(sum(case when d.day > d.as_of - 7 then d.spend end), 0) as spend_7
    from days as d
    group by d.tenant_id, d.platform, d.campaign_id
),

windows as (
    select
        l.*,
        c.name,
        c.status,
        c.status_since,
        c.daily_budget,
        c.learning_state,
        t.target_metric,
        t.target,
        t.target_source,
        -- A campaign for leads in an account that counts purchases is not without success: its success is not counted.
        coalesce(strpos(lower(c.objective), 'lead') > 0 and a.conversion_event = 'purchase', false) as counts_other_event,
        case when c.status = 'paused' then least(l.last_delivered, l.as_of) else l.as_of end as window_end
    from lives as l
    left join campaigns as c
        on l.tenant_id = c.tenant_id and l.platform = c.platform and l.campaign_id = c.platform_id
    left join targets as t
        on l.tenant_id = t.tenant_id and l.platform = t.platform and l.campaign_id = t.platform_id
    left join accounts as a
        on l.tenant_id = a.tenant_id and l.platform = a.platform and l.account_id = a.account_id
),

sums as (
    select
        w.tenant_id,
        w.platform,
        w.campaign_id,
        sum(case when d.day > w.window_end - 30 then d.conversions end) as n,
        sum(case when d.day > w.window_end - 30 then d.conversion_value end) as value,
        sum(case when d.day > w.window_end - 30 then d.spend end) as spend,
        sum(case when d.day > w.window_end - 30 then d.spend * d.known_share end) as mature_spend,
        count(case when d.day > w.window_end - 30 then 1 end) as n_days,
        sum(d.conversions) as n_60,
        sum(d.conversion_value) as value_60,
        sum(d.spend * d.known_share) as mature_spend_60
    from windows as w
    inner join days as d
        on w.tenant_id = d.tenant_id and w.platform = d.platform and w.campaign_id = d.campaign_id
    where d.is_usable and d.day <= w.window_end and d.day > w.window_end - 60
    group by w.tenant_id, w.platform, w.campaign_id
),

weeks as (                  -- whole weeks: weekdays that sell badly say nothing about what more money brings
    select
        w.tenant_id,
        w.platform,
        w.campaign_id,
        ln(nullif(avg(d.spend), 0)::float8) as x,
        ln(((sum(d.conversions / d.known_share) + 0.5) / count(*))::float8) as y,
        sum(d.conversions) as n
    from windows as w
    inner join days as d
        on w.tenant_id = d.tenant_id and w.platform = d.platform and w.campaign_id = d.campaign_id
    where d.is_usable and d.day <= w.window_end and d.day > w.window_end - 84
    group by w.tenant_id, w.platform, w.campaign_id, (w.window_end - d.day) / 7
    having count(*) >= 5
),

slopes as (
    select
        tenant_id,
        platform,
        campaign_id,
        regr_slope(y, x) as slope,
        -- Counting noise at least: a few weeks may lie on a line by luck.
        greatest(
            (regr_syy(y, x) - regr_sxy(y, x) ^ 2 / nullif(regr_sxx(y, x), 0)) / nullif(regr_count(y, x) - 2, 0),
            1 / (avg(n) + 1)
        ) / nullif(regr_sxx(y, x), 0) as slope_variance
    from weeks
    group by tenant_id, platform, campaign_id
    having regr_count(y, x) >= 6
),

recent as (                 -- pace: outages and immature days spend like others
    select
        w.tenant_id,
        w.platform,
        w.campaign_id,
        avg(d.spend) as daily_spend,
        sum(case when d.daily_budget > 0 then d.spend end) / nullif(sum(case when d.daily_budget > 0 then d.daily_budget end), 0)
            as budget_use
    from windows as w
    inner join days as d
        on w.tenant_id = d.tenant_id and w.platform = d.platform and w.campaign_id = d.campaign_id
    where d.is_delivered and d.day <= w.window_end and d.day > w.window_end - 14
    group by w.tenant_id, w.platform, w.campaign_id
),

order_spreads as (
    select
        d.tenant_id,
        d.platform,
        d.campaign_id,
        percentile_cont(0.5) within group (
            order by
                d.conversions::float8
                * ln((d.conversion_value / d.conversions)::float8 / (s.value_60 / s.n_60)::float8) ^ 2
        ) / 0.455 as cv2,
        count(*) as n_days
    from days as d
    inner join windows as w
        on d.tenant_id = w.tenant_id and d.platform = w.platform and d.campaign_id = w.campaign_id
    inner join sums as s
        on d.tenant_id = s.tenant_id and d.platform = s.platform and d.campaign_id = s.campaign_id
    where
        d.is_usable and d.day <= w.window_end and d.day > w.window_end - 60
        and d.conversions > 0 and d.conversion_value > 0 and s.value_60 > 0
    group by d.tenant_id, d.platform, d.campaign_id
),

account_values as (         -- for campaigns without a sale of their own to price
    select
        tenant_id,
        platform,
        account_id,
        sum(conversion_value) / nullif(sum(conversions), 0) as order_value
    from days
    where is_usable and day > as_of - 60 and conversion_value > 0
    group by tenant_id, platform, account_id
),

account_spend as (
    select
        tenant_id,
        platform,
        account_id,
        sum(spend) / 14 as daily_spend
    from days
    where day > as_of - 14
    group by tenant_id, platform, account_id
),

tenant_spend as (
    select
        tenant_id,
        sum(spend * fx_rate) as spend_30
    from days
    where day > as_of - 30
    group by tenant_id
),

changes as (
    select
        tenant_id,
        platform,
        platform_id as campaign_id,
        max(day) as last_change
    from {{ ref('int_entities__changes') }}
    where level = 'campaign' and field in ('status', 'daily_budget', 'lifetime_budget')
    group by tenant_id, platform, platform_id
),

conversions_since as (
    select
        d.tenant_id,
        d.platform,
        d.campaign_id,
        sum(d.conversions) as conversions
    from days as d
    inner join changes as c
        on d.tenant_id = c.tenant_id and d.platform = c.platform and d.campaign_id = c.campaign_id
    where d.day > c.last_change
    group by d.tenant_id, d.platform, d.campaign_id
),

mature_days as (
    select
        *,
        row_number() over (partition by tenant_id, platform, campaign_id order by day desc) as place
    from days
    where is_delivered and known_share >= 0.9
),

mature_week as (            -- what the named rules look at
    select
        tenant_id,
        platform,
        campaign_id,
        sum(spend) as spend,
        sum(spend * fx_rate) as spend_reporting,
        sum(conversion_value) / nullif(sum(spend), 0) as roas,
        sum(case when daily_budget > 0 then spend end) / nullif(sum(case when daily_budget > 0 then daily_budget end), 0)
            as budget_use
    from mature_days
    where place <= 7
    group by tenant_id, platform, campaign_id
),

prices as (                 -- price and appeal of a click: the last 14 days against the first 60 of those that are known
    select
        d.tenant_id,
        d.platform,
        d.campaign_id,
        sum(case when d.day > l.as_of - 14 then d.decision_clicks end) as clicks_14,
        sum(case when d.day <= l.as_of - 14 then d.decision_clicks end) as clicks_first,
        sum(case when d.day > l.as_of - 14 then d.spend end)
        / nullif(sum(case when d.day > l.as_of - 14 then d.decision_clicks end), 0) as cpc_14,
        sum(case when d.day <= l.as_of - 14 then d.spend end)
        / nullif(sum(case when d.day <= l.as_of - 14 then d.decision_clicks end), 0) as cpc_first,
        sum(case when d.day > l.as_of - 14 then d.decision_clicks end)::numeric
        / nullif(sum(case when d.day > l.as_of - 14 then d.impressions end), 0) as ctr_14,
        sum(case when d.day <= l.as_of - 14 then d.decision_clicks end)::numeric
        / nullif(sum(case when d.day <= l.as_of - 14 then d.impressions end), 0) as ctr_first,
        count(case when d.day <= l.as_of - 14 then 1 end) as days_first
    from days as d
    inner join lives as l
        on d.tenant_id = l.tenant_id and d.platform = l.platform and d.campaign_id = l.campaign_id
    where d.is_delivered and (d.day > l.as_of - 14 or d.day < l.first_day + 60)
    group by d.tenant_id, d.platform, d.campaign_id
),

price_changes as (
    select
        *,
        ln((cpc_14 / nullif(cpc_first, 0))::float8) as cpc_change,
        ctr_14 / nullif(ctr_first, 0) - 1 as ctr_change
    from prices
    where cpc_14 > 0 and cpc_first > 0 and days_first >= 14
),

market as (
    select
        tenant_id,
        platform,
        percentile_cont(0.5) within group (order by cpc_change) as cpc_change,
        count(*) as n_campaigns
    from price_changes
    group by tenant_id, platform
),

returns as (                -- conversions per unit of spend: the last 30 days against the 60 before
    select
        d.tenant_id,
        d.platform,
        d.campaign_id,
        sum(case when d.day > d.as_of - 30 then d.conversions end) as n_now,
        sum(case when d.day > d.as_of - 30 then d.spend * d.known_share end) as spend_now,
        sum(case when d.day <= d.as_of - 30 then d.conversions end) as n_before,
        sum(case when d.day <= d.as_of - 30 then d.spend * d.known_share end) as spend_before
    from days as d
    where d.is_usable and d.day > d.as_of - 90
    group by d.tenant_id, d.platform, d.campaign_id
),

seasons as (                -- what moved the whole tenant's return is no campaign's merit or fault
    select
        tenant_id,
        percentile_cont(0.5) within group (
            order by ln(((n_now / spend_now) / (n_before / spend_before))::float8)
        ) * count(*) / (count(*) + 2) as movement
    from returns
    where n_now >= 8 and n_before >= 8 and spend_now > 0 and spend_before > 0
    group by tenant_id
    having count(*) >= 6
),

evidence as (
    select
        w.*,
        coalesce(season.movement, 0) as season,
        coalesce(s.n, 0) as n,
        coalesce(s.value, 0) as value,
        coalesce(s.spend, 0) as spend,
        coalesce(s.mature_spend, 0) as mature_spend,
        coalesce(s.n_days, 0) as n_days,
        coalesce(s.n_60, 0) as n_60,
        coalesce(s.mature_spend_60, 0) as mature_spend_60,
        s.mature_spend / nullif(s.spend, 0) as mature_share,
        coalesce(case when s.value_60 > 0 then s.value_60 / nullif(s.n_60, 0) end, a.order_value) as order_value,
        case when w.target_metric = 'roas' then case when o.n_days >= 5 then o.cv2 else 0.5 end else 0 end as cv2,
        r.daily_spend,
        r.budget_use,
        slopes.slope as own_slope,
        slopes.slope_variance,
        x.daily_spend as account_daily_spend,
        t.spend_30 as tenant_spend_30,
        c.last_change,
        coalesce(f.conversions, 0) as conversions_since_change,
        m.spend as week_spend,
        m.spend_reporting as week_spend_reporting,
        m.roas as week_roas,
        m.budget_use as week_budget_use,
        p.clicks_14,
        p.clicks_first,
        p.cpc_14,
        p.cpc_first,
        p.ctr_change,
        exp(p.cpc_change) - 1 as cpc_change,
        case when k.n_campaigns >= 4 then exp(k.cpc_change) - 1 else 0 end as market_cpc_change,
        exp(p.cpc_change - case when k.n_campaigns >= 4 then k.cpc_change else 0 end) - 1 as net_cpc_change
    from windows as w
    left join sums as s
        on w.tenant_id = s.tenant_id and w.platform = s.platform and w.campaign_id = s.campaign_id
    left join slopes
        on
            w.tenant_id = slopes.tenant_id and w.platform = slopes.platform
            and w.campaign_id = slopes.campaign_id
    left join recent as r
        on w.tenant_id = r.tenant_id and w.platform = r.platform and w.campaign_id = r.campaign_id
    left join order_spreads as o
        on w.tenant_id = o.tenant_id and w.platform = o.platform and w.campaign_id = o.campaign_id
    left join account_values as a
        on w.tenant_id = a.tenant_id and w.platform = a.platform and w.account_id = a.account_id
    left join account_spend as x
        on w.tenant_id = x.tenant_id and w.platform = x.platform and w.account_id = x.account_id
    left join tenant_spend as t on w.tenant_id = t.tenant_id
    left join changes as c
        on w.tenant_id = c.tenant_id and w.platform = c.platform and w.campaign_id = c.campaign_id
    left join conversions_since as f
        on w.tenant_id = f.tenant_id and w.platform = f.platform and w.campaign_id = f.campaign_id
    left join mature_week as m
        on w.tenant_id = m.tenant_id and w.platform = m.platform and w.campaign_id = m.campaign_id
    left join price_changes as p
        on w.tenant_id = p.tenant_id and w.platform = p.platform and w.campaign_id = p.campaign_id
    left join seasons as season on w.tenant_id = season.tenant_id
    left join market as k on w.tenant_id = k.tenant_id and w.platform = k.platform
),

called_for as (
    select
        e.*,
        case e.target_metric
            when 'cpa' then e.mature_spend / nullif(e.target, 0)
            else e.mature_spend * e.target / nullif(e.order_value, 0)
        end as at,
        case e.target_metric
            when 'cpa' then e.mature_spend_60 / nullif(e.target, 0)
            else e.mature_spend_60 * e.target / nullif(e.order_value, 0)
        end as at_60,
        -- How a campaign answers to money is 0.85 give or take 0.3 before its own weeks speak: some are saturated.
        coalesce(1 / e.slope_variance, 0) / (coalesce(1 / e.slope_variance, 0) + 1 / 0.09) as slope_weight
    from evidence as e
),

posterior as (
    select
        c.*,
        ln((c.n / (1 + c.cv2) + 4)::float8 / (c.at / (1 + c.cv2) + 4)::float8) as theta,
        sqrt(1 / (c.n / (1 + c.cv2) + 4)::float8 + 0.0064) as se,
        ln((c.n_60 / (1 + c.cv2) + 4)::float8 / (c.at_60 / (1 + c.cv2) + 4)::float8) as theta_60,
        -- The 30 days before: unknown where the target called for fewer than ten conversions in them.
        case
            when c.at_60 - c.at >= 10
                then ln(
                    ((c.n_60 - c.n) / (1 + c.cv2) + 4)::float8 / ((c.at_60 - c.at) / (1 + c.cv2) + 4)::float8
                )
        end as theta_before,
        least(greatest(
            c.slope_weight * coalesce(c.own_slope, 0) + (1 - c.slope_weight) * 0.85, 0.2
        ), 1.2) as marginal_slope
    from called_for as c
),

judged as (
    select
        p.*,
        p.theta - 1.645 * p.se as lo,
        p.theta + 1.645 * p.se as hi,
        coalesce(p.name, p.campaign_id) as shown_name,
        case p.target_metric
            when 'roas' then p.value / nullif(p.mature_spend, 0)
            else p.mature_spend / nullif(p.n, 0)
        end as result,
        p.target * exp(
            (case p.target_metric when 'roas' then 1 else -1 end)
            * (p.theta - (case p.target_metric when 'roas' then 1 else -1 end) * 1.645 * p.se)
        )::numeric as result_low,
        p.target * exp(
            (case p.target_metric when 'roas' then 1 else -1 end)
            * (p.theta + (case p.target_metric when 'roas' then 1 else -1 end) * 1.645 * p.se)
        )::numeric as result_high
    from posterior as p
),

final as (
    select
        j.tenant_id,
        j.platform,
        j.account_id,
        j.campaign_id,
        j.as_of,
        j.shown_name as name,
        j.status,
        j.status_since,
        j.currency,
        j.fx_rate,
        j.age_days,
        coalesce(j.learning_state = 'learning', false) as is_learning,
        j.daily_budget,
        j.target_metric,
        j.target,
        j.target_source,
        j.counts_other_event,
        coalesce(j.target_source in ('entity', 'tenant') and j.target > 0, false)
        and not j.counts_other_event as has_own_target,
        j.window_end,
        j.last_delivered,
        round(j.n, 6) as n,
        round(j.at, 6) as at,
        round(j.mature_spend, 6) as mature_spend,
        round(j.theta::numeric, 6) as theta,
        round(j.se::numeric, 6) as se,
        round(j.lo::numeric, 6) as lo,
        round(j.hi::numeric, 6) as hi,
        round(exp(j.theta)::numeric, 6) as ratio,
        round(exp(j.lo)::numeric, 6) as ratio_low,
        round(exp(j.hi)::numeric, 6) as ratio_high,
        round(exp(j.theta_60)::numeric, 6) as ratio_60,
        round(exp(j.theta_before)::numeric, 6) as ratio_before,
        round(exp(j.season)::numeric, 6) as season_ratio,
        round(j.result, 6) as result,
        round(j.marginal_slope::numeric, 4) as marginal_slope,
        coalesce(j.slope_weight >= 0.5, false) as is_slope_known,
        round(j.daily_spend, 6) as daily_spend,
        round(j.budget_use, 6) as budget_use,
        round(j.account_daily_spend, 6) as account_daily_spend,
        round(j.tenant_spend_30, 6) as tenant_spend_30,
        coalesce(j.last_outage >= j.as_of - 13, false) as had_outage_lately,
        -- Enabled (or of unknown status), spending in the last 7 days, old enough to be judged.
        coalesce(j.status, 'active') = 'active' and j.spend_7 > 0 and j.age_days >= 21 as is_running,
        -- The last change of status or budget is some days and at least ten conversions ago.
        j.last_change is null or j.as_of - j.last_change >= case j.platform when 'google' then 7 else 3 end as is_rested,
        j.last_change is null
        or (
            j.as_of - j.last_change >= case j.platform when 'google' then 7 else 3 end
            and j.conversions_since_change >= 10
        ) as is_settled,
        case when j.target_metric = 'roas' then round(j.week_roas, 4) end as week_roas,
        round(j.week_spend, 6) as week_spend,
        round(j.week_spend_reporting, 6) as week_spend_reporting,
        round(j.week_budget_use, 4) as week_budget_use,
        j.clicks_14,
        round(j.cpc_14, 6) as cpc_14,
        round(j.cpc_first, 6) as cpc_first,
        round(j.ctr_change, 6) as ctr_change,
        round(j.cpc_change::numeric, 6) as cpc_change,
        round(j.market_cpc_change::numeric, 6) as market_cpc_change,
        round(j.net_cpc_change::numeric, 6) as net_cpc_change,
        -- The cautious end of its 90 % range: clicks are few, and prices wander by a tenth.
        round((
            (1 + j.net_cpc_change)
            * exp(-1.645 * sqrt(1 / nullif(j.clicks_14, 0)::float8 + 1 / nullif(j.clicks_first, 0)::float8 + 0.01)) - 1
        )::numeric, 6) as net_cpc_change_low,
        case
            when coalesce(j.n, 0) = 0
                then format(
                    'It brought no conversion in the 30 days to %s on %s of spend; %s calls for about %s.',
                    to_char(j.window_end, 'YYYY-MM-DD'), {{ money('j.mature_spend', 'j.currency') }},
                    case j.target_source when 'entity' then 'its target' else 'your target for the platform' end,
                    to_char(round(j.at), 'FM999,990')
                )
            else
                format(
                    'In the 30 days to %s it brought %s (90 %% range %s to %s) on %s of spend and %s conversions; %s is %s.',
                    to_char(j.window_end, 'YYYY-MM-DD'),
                    {{ target_words('j.target_metric', 'j.result', 'j.currency') }},
                    to_char(j.result_low, case j.target_metric when 'roas' then 'FM999,990.0' else 'FM999,999,990.00' end),
                    to_char(j.result_high, case j.target_metric when 'roas' then 'FM999,990.0' else 'FM999,999,990.00' end),
                    {{ money('j.mature_spend', 'j.currency') }},
                    to_char(round(j.n), 'FM999,999,990'),
                    case j.target_source when 'entity' then 'its target' else 'your target for the platform' end,
                    {{ target_words('j.target_metric', 'j.target', 'j.currency') }}
                )
        end as finding,
        jsonb_build_object(
            'window_days', 30,
            'window_end', j.window_end,
            'n', round(j.n, 2),
            'at', round(j.at, 2),
            'ratio', round(exp(j.theta)::numeric, 4),
            'lo', round(exp(j.lo)::numeric, 4),
            'hi', round(exp(j.hi)::numeric, 4),
            'mature_spend', round(j.mature_spend, 2),
            'mature_share', round(j.mature_share, 4),
            'target_metric', j.target_metric,
            'target', round(j.target, 4),
            'target_source', j.target_source,
            'result', round(j.result, 4),
            'order_value', round(j.order_value, 4),
            'cv2', round(j.cv2::numeric, 4),
            'budget_use', round(j.budget_use, 4),
            'season_ratio', round(exp(j.season)::numeric, 4),
            'ratio_60_days', round(exp(j.theta_60)::numeric, 4),
            'ratio_30_days_before', round(exp(j.theta_before)::numeric, 4),
            'daily_spend', round(j.daily_spend, 2)
        ) as evidence
    from judged as j
)

select * from final
