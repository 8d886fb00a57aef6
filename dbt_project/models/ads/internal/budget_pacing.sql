-- How spend runs against the budgets that people set. Expectation follows the weekdays, and a day over budget is what
-- platforms are allowed to do: Meta up to 75 % within a week that evens out, Google up to twice on one day.
{%- set longest = 1100 %}

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

configured as (
    select * from {{ ref('int_config__effective') }}
),

budgets as (
    select
        b.tenant_id,
        b.id,
        b.platform,
        b.campaign_id,
        b.period_start,
        b.period_end,
        b.budget,
        b.currency,
        as_of.as_of,
        least(b.period_end, as_of.as_of) as last_day,
        b.period_end - b.period_start + 1 as n_days,
        greatest(least(b.period_end, as_of.as_of) - b.period_start + 1, 0) as n_elapsed,
        least(b.period_start, as_of.as_of - 59) as first_day_read,
        greatest(b.period_start, as_of.as_of - 60) as pattern_end,
        {{ threshold('budget_pacing', 'band_start', 0.25) }} as band_start,
        {{ threshold('budget_pacing', 'band_end', 0.05) }} as band_end,
        {{ threshold('budget_pacing', 'day_over', "case b.platform when 'meta' then 0.75 when 'google' then 1 else 0 end") }}
            as day_over
    from {{ source('decisions', 'budget_allocation') }} as b
    left join as_of on b.tenant_id = as_of.tenant_id
    left join configured on b.tenant_id = configured.tenant_id and b.platform = configured.platform
    -- refresh_budget_allocation narrows the whole computation to one tenant where another one's arithmetic breaks
    where b.tenant_id::text = coalesce(nullif(current_setting('ads_internal.only_tenant', true), ''), b.tenant_id::text)
),

campaigns as (
    select * from {{ ref('int_entities__as_of') }}
    where level = 'campaign'
),

days as (                   -- the last 120 days of campaigns and accounts that ever delivered, gaps named
    select * from {{ ref('int_metrics__entity_days') }}
    where level in ('campaign', 'account')
),

rates as (
    select * from {{ ref('int_fx__rates_daily') }}
),

spending as (               -- longer periods than the window are read from the marts themselves
    select
        b.tenant_id,
        b.id,
        m.day,
        m.account_id,
        m.currency,
        case
            when m.currency = b.currency then m.spend
            when m.reporting_currency = b.currency then m.spend_reporting
            else m.spend * to_rate.rate / from_rate.rate
        end as spend
    from budgets as b
    cross join
        lateral (
            select * from {{ ref('metrics_daily') }} as f
            where
                f.tenant_id = b.tenant_id and f.platform = b.platform and f.level = 'campaign'
                and f.platform_id = b.campaign_id and f.day between b.first_day_read and b.as_of
            offset 0     -- noqa: AM09
        ) as m
    left join rates as from_rate on m.currency = from_rate.currency and m.day = from_rate.day
    left join rates as to_rate on b.currency = to_rate.currency and m.day = to_rate.day
),

gaps as (
    select
        b.tenant_id,
        b.id,
        d.day
    from budgets as b
    inner join days as d
        on
            b.tenant_id = d.tenant_id and b.platform = d.platform and d.level = 'campaign'
            and b.campaign_id = d.platform_id
    where d.delivery = 'missing' and d.day between b.first_day_read and b.as_of
),

owners as (
    select
        b.tenant_id,
        b.id,
        min(coalesce(c.account_id, s.account_id)) as account_id,
        min(c.status) as status,
        count(s.day) > 0 or min(c.account_id) is not null as is_known
    from budgets as b
    left join campaigns as c
        on b.tenant_id = c.tenant_id and b.platform = c.platform and b.campaign_id = c.platform_id
    left join spending as s on b.tenant_id = s.tenant_id and b.id = s.id
    group by b.tenant_id, b.id
),

-- which weekdays spend more: the campaign's own eight weeks before the period, else its account's, else none

weekday_spend as (
    select
        b.tenant_id,
        b.id,
        d.level,
        extract(isodow from d.day)::integer as weekday,
        avg(d.spend) as spend,
        count(*) as n_days
    from budgets as b
    inner join owners as o on b.tenant_id = o.tenant_id and b.id = o.id
    inner join days as d on b.tenant_id = d.tenant_id and b.platform = d.platform
    where
        d.platform_id = case d.level when 'campaign' then b.campaign_id else o.account_id end
        and d.delivery = 'delivered'
        and d.day >= b.pattern_end - 56 and d.day < b.pattern_end
    group by b.tenant_id, b.id, d.level, weekday
),

patterns as (
    select
        *,
        spend / nullif(sum(spend) over same_series / 7, 0) as index,
        min(n_days) over same_series >= 4 and count(*) over same_series = 7 as is_enough
    from weekday_spend
    window same_series as (partition by tenant_id, id, level)
),

weekdays as (
    select
        b.tenant_id,
        b.id,
        w.weekday,
        coalesce(own.index, account.index, 1) as weight,
        case when own.index is not null then 'campaign' when account.index is not null then 'account' else 'none' end as source
    from budgets as b
    cross join lateral generate_series(1, 7) as w (weekday)
    left join patterns as own
        on
            b.tenant_id = own.tenant_id and b.id = own.id and own.level = 'campaign' and own.is_enough
            and w.weekday = own.weekday
    left join patterns as account
        on
            b.tenant_id = account.tenant_id and b.id = account.id and account.level = 'account' and account.is_enough
            and w.weekday = account.weekday
),

period_days as (
    select
        b.tenant_id,
        b.id,
        p.day::date as day,
        p.day::date <= b.last_day as is_elapsed,
        w.weight
    from budgets as b
    cross join
        lateral generate_series(
            b.period_start, least(b.period_end, b.period_start + {{ longest - 1 }}), interval '1 day'
        ) as p (day)
    inner join weekdays as w
        on b.tenant_id = w.tenant_id and b.id = w.id and extract(isodow from p.day)::integer = w.weekday
),

weights as (                -- a day without figures asks for no spend: like is compared with like
    select
        p.tenant_id,
        p.id,
        sum(p.weight) as total_weight,
        coalesce(sum(p.weight) filter (where p.is_elapsed and g.day is null), 0) as elapsed_weight,
        coalesce(sum(p.weight) filter (where not p.is_elapsed), 0) as remaining_weight,
        count(*) filter (where p.is_elapsed and g.day is not null) as n_missing
    from period_days as p
    left join gaps as g on p.tenant_id = g.tenant_id and p.id = g.id and p.day = g.day
    group by p.tenant_id, p.id
),

spent as (
    select
        b.tenant_id,
        b.id,
        sum(s.spend) filter (where s.day between b.period_start and b.last_day) as spend,
        min(s.day) filter (where s.spend is null and s.day between b.period_start and b.last_day) as first_unpriced_day,
        min(s.currency) as spend_currency
    from budgets as b
    inner join spending as s on b.tenant_id = s.tenant_id and b.id = s.id
    group by b.tenant_id, b.id
),

paces as (                  -- spend per unit of weekday weight in the week to the as-of day, missing days apart
    select
        b.tenant_id,
        b.id,
        sum(coalesce(s.spend, 0)) / nullif(sum(w.weight), 0) as pace,
        count(*) as n_days
    from budgets as b
    cross join lateral generate_series(b.as_of - 6, b.as_of, interval '1 day') as r (day)
    inner join weekdays as w
        on b.tenant_id = w.tenant_id and b.id = w.id and extract(isodow from r.day)::integer = w.weekday
    left join spending as s on b.tenant_id = s.tenant_id and b.id = s.id and r.day::date = s.day
    left join gaps as g on b.tenant_id = g.tenant_id and b.id = g.id and r.day::date = g.day
    where g.day is null
    group by b.tenant_id, b.id
),

gathered as (
    select
        b.*,
        o.account_id,
        o.status,
        o.is_known,
        coalesce(o.status in ('paused', 'ended', 'removed'), false) as is_stopped,
        w.total_weight,
        w.elapsed_weight,
        w.remaining_weight,
        w.n_missing,
        d.source as pattern,
        case
            when
                b.n_elapsed = 0 or not o.is_known or s.first_unpriced_day is not null or b.n_days > {{ longest }}
                then null
            else coalesce(s.spend, 0)
        end as spend_to_date,
        case when b.n_elapsed > 0 then b.budget * w.elapsed_weight / nullif(w.total_weight, 0) end as expected_to_date,
        s.first_unpriced_day,
        s.spend_currency,
        p.pace,
        b.band_start - (b.band_start - b.band_end) * b.n_elapsed / b.n_days as band,
        -- the days of the running week, Sunday to Saturday, that lie in the period
        least(b.n_elapsed, (extract(dow from b.last_day) + 1)::integer) as n_week
    from budgets as b
    inner join owners as o on b.tenant_id = o.tenant_id and b.id = o.id
    left join weights as w on b.tenant_id = w.tenant_id and b.id = w.id
    left join weekdays as d on b.tenant_id = d.tenant_id and b.id = d.id and d.weekday = 1
    left join spent as s on b.tenant_id = s.tenant_id and b.id = s.id
    left join paces as p on b.tenant_id = p.tenant_id and b.id = p.id
),

compared as (
    select
        g.*,
        g.spend_to_date / nullif(g.expected_to_date, 0) as pacing,
        1 - g.band as band_low,
        1 + greatest(
            g.band,
            -- days' worth of budget that the platform may be ahead by law of its own
            case g.platform when 'meta' then least(g.day_over * g.n_week, 7 - g.n_week) else g.day_over end
            * g.budget / g.n_days / nullif(g.expected_to_date, 0)
        ) as band_high,
        case
            when g.spend_to_date is null then null
            when g.is_stopped or g.remaining_weight = 0 then g.spend_to_date
            else g.spend_to_date + g.pace * g.remaining_weight
        end as projected_spend
    from gathered as g
),

judged as (
    select
        c.*,
        case
            when c.as_of is null or c.n_elapsed = 0 or not c.is_known or c.spend_to_date is null then 'unknown'
            when c.budget = 0 then case when c.spend_to_date > 0 then 'over' else 'on_track' end
            when c.pacing is null then 'unknown'
            when c.n_elapsed < least(2, c.n_days) then 'unknown'
            when c.pacing > c.band_high then 'over'
            when c.pacing >= c.band_low then 'on_track'
            when c.is_stopped then 'unknown'
            else 'under'
        end as pacing_status
    from compared as c
),

final as (
    select
        j.tenant_id,
        j.id,
        j.platform,
        j.campaign_id,
        j.account_id,
        j.period_start,
        j.period_end,
        j.budget,
        j.currency,
        j.as_of,
        j.last_day,
        j.n_days,
        j.n_elapsed,
        j.is_stopped,
        j.remaining_weight,
        round(j.spend_to_date, 6)::numeric(20, 6) as spend_to_date,
        round(j.expected_to_date, 6)::numeric(20, 6) as expected_to_date,
        round(j.pacing, 6) as pacing,
        j.pacing_status,
        round(j.projected_spend, 6)::numeric(20, 6) as projected_spend,
        jsonb_build_object(
            'as_of', j.as_of,
            'days', j.n_days,
            'days_elapsed', j.n_elapsed,
            'days_missing', j.n_missing,
            'weekdays_from', j.pattern,
            'band', case when j.n_elapsed > 0 then jsonb_build_array(round(j.band_low, 4), round(j.band_high, 4)) end,
            'daily_spend_to_meet_budget',
            case
                when j.spend_to_date is not null and j.remaining_weight > 0
                    then round(greatest(j.budget - j.spend_to_date, 0) / j.remaining_weight, 2)
            end,
            'reason',
            case
                when j.as_of is null then 'No figures of this tenant are there yet.'
                when not j.is_known then format('No campaign %s is known on %s.', j.campaign_id, j.platform)
                when j.n_days > {{ longest }} then 'The period is longer than three years.'
                when j.n_elapsed = 0 then format('The period begins on %s.', j.period_start)
                when j.first_unpriced_day is not null
                    then format(
                        'There is no rate from %s to %s on %s, so spend cannot be held against the budget.',
                        j.spend_currency, j.currency, j.first_unpriced_day
                    )
                when j.pacing is null and j.budget > 0 then 'No day of the period has figures yet.'
                when j.pacing_status = 'unknown' and j.is_stopped then format('The campaign is %s.', j.status)
                when j.pacing_status = 'unknown' then 'One day says nothing about a pace.'
                when j.pacing_status = 'over' and j.n_elapsed >= j.n_days then 'More was spent than the budget allows.'
                when j.pacing_status = 'over' then 'More was spent than the weekdays and the platform''s leeway explain.'
                when j.pacing_status = 'under' then 'Less was spent than the weekdays call for.'
                else 'Spend is within the band.'
            end
        ) as results
    from judged as j
)

select * from final
