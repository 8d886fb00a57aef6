/*
Any period of a campaign against any other: what ads.campaign_performance is for days, weeks and months. Reads as the
caller, so it shows what the caller may see.
*/

set local role aegis_transformer;

create or replace function ads.compare_campaign_periods(
    tenant_id uuid, platform text, campaign_id text, period_start date, period_end date,
    compare_with text default 'previous_period', compare_start date default null, compare_end date default null
)
returns table (
    metric_name text, current_value numeric, compared_value numeric, change numeric, currency text,
    compared_start date, compared_end date, is_complete boolean, compared_is_complete boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    length integer := compare_campaign_periods.period_end - compare_campaign_periods.period_start + 1;
    other_start date;
    other_end date;
begin
    perform tenancy.require_tenant(compare_campaign_periods.tenant_id);
    if length is null or length < 1 or length > 1100 then
        raise exception 'the period from % to % cannot be compared',
            compare_campaign_periods.period_start, compare_campaign_periods.period_end
            using errcode = '22023', hint = 'Give a first and a last day, at most 1,100 days apart.';
    end if;

    case compare_campaign_periods.compare_with
        when 'previous_period' then
            other_start := compare_campaign_periods.period_start - length;
            other_end := compare_campaign_periods.period_start - 1;
        when 'previous_year' then
            other_start := (compare_campaign_periods.period_start - interval '1 year')::date;
            other_end := (compare_campaign_periods.period_end - interval '1 year')::date;
        when 'previous_year_same_weekdays' then
            other_start := compare_campaign_periods.period_start - 364;
            other_end := compare_campaign_periods.period_end - 364;
        when 'custom' then
            other_start := compare_campaign_periods.compare_start;
            other_end := compare_campaign_periods.compare_end;
        else
            raise exception 'no period is called %', coalesce(compare_campaign_periods.compare_with, 'null')
                using errcode = '22023',
                    hint = 'Compare with previous_period, previous_year, previous_year_same_weekdays or custom.';
    end case;
    if other_start is null or other_end is null or other_end < other_start then
        raise exception 'a custom period needs compare_start and compare_end, in this order' using errcode = '22023';
    end if;

    return query
    with

    periods as (
        select true as is_current, compare_campaign_periods.period_start as first_day, compare_campaign_periods.period_end as last_day
        union all
        select false, other_start, other_end
    ),

    sums as (
        select
            p.is_current,
            min(m.account_id) as account_id,
            min(m.currency) as currency,
            sum(m.spend) as spend,
            sum(m.impressions) as impressions,
            sum(m.clicks) as clicks,
            sum(m.link_clicks) as link_clicks,
            sum(m.conversions) as conversions,
            sum(m.conversion_value) as conversion_value
        from periods as p
        left join ads.metrics_daily as m
            on m.tenant_id = compare_campaign_periods.tenant_id
            and m.platform = compare_campaign_periods.platform
            and m.level = 'campaign'
            and m.platform_id = compare_campaign_periods.campaign_id
            and m.day between p.first_day and p.last_day
        group by p.is_current
    ),

    whole as (          -- known from the first to the last day: an account-day without a status was never loaded
        select
            p.is_current,
            count(d.day) filter (where d.state in ('final', 'provisional')) = p.last_day - p.first_day + 1 as is_complete
        from periods as p
        left join ads.data_status as d
            on d.tenant_id = compare_campaign_periods.tenant_id
            and d.platform = compare_campaign_periods.platform
            and d.account_id = (select max(s.account_id) from sums as s)
            and d.day between p.first_day and p.last_day
        group by p.is_current, p.first_day, p.last_day
    ),

    metrics as (
        select s.is_current, s.currency, w.is_complete, v.*
        from sums as s
        inner join whole as w on s.is_current = w.is_current
        cross join lateral (
            values
            (1, 'spend', s.spend, true),
            (2, 'impressions', s.impressions, false),
            (3, 'clicks', s.clicks, false),
            (4, 'link_clicks', s.link_clicks, false),
            (5, 'conversions', s.conversions, false),
            (6, 'conversion_value', s.conversion_value, true),
            (7, 'roas', s.conversion_value / nullif(s.spend, 0), false),
            (8, 'cpa', s.spend / nullif(s.conversions, 0), true),
            (9, 'cpc', s.spend / nullif(s.clicks, 0), true),
            (10, 'cpm', s.spend * 1000 / nullif(s.impressions, 0), true),
            (11, 'ctr', s.clicks / nullif(s.impressions, 0), false),
            (12, 'cvr', s.conversions / nullif(s.clicks, 0), false)
        ) as v (position, name, value, is_money)
    )

    select
        now_.name,
        round(now_.value, 6),
        round(before_.value, 6),
        round(now_.value / nullif(before_.value, 0) - 1, 6),
        case when now_.is_money then coalesce(now_.currency, before_.currency) end,
        other_start,
        other_end,
        now_.is_complete,
        before_.is_complete
    from metrics as now_
    inner join metrics as before_ on now_.name = before_.name and not before_.is_current
    where now_.is_current
    order by now_.position;
end
$$;
comment on function ads.compare_campaign_periods(uuid, text, text, date, date, text, date, date) is
'One row per metric: a campaign''s period against the one before, the same dates or weekdays a year earlier, or a custom one; '
'change is current / compared - 1, null where compared is 0 or unknown.';

revoke execute on function ads.compare_campaign_periods(uuid, text, text, date, date, text, date, date) from public;
grant execute on function ads.compare_campaign_periods(uuid, text, text, date, date, text, date, date)
to aegis_app, aegis_reader;
