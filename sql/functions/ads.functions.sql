/*
The four functions people already call. The logic lives in the views of ads_internal that the models are built from;
each function writes the same rows for one tenant. Definer functions check the tenant first: without that, one
answered a login about a foreign tenant.
*/

set local role aegis_transformer;

create or replace function ads.compute_baselines(tenant_id uuid, platform text, level text, window_days integer)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    written bigint;
begin
    perform tenancy.require_tenant(compute_baselines.tenant_id);
    if compute_baselines.window_days not in (1, 7, 14, 28, 30, 90, 91) then
        raise exception 'no baseline has a window of % days', compute_baselines.window_days
            using errcode = '22023', hint = 'Windows are 1, 7, 14, 28, 30, 90 and 91 days.';
    end if;
    if to_regclass('ads_internal.baselines_now') is null then
        raise exception 'baselines are not built yet' using errcode = '55000', hint = 'Run `aegis optimize` once.';
    end if;

    delete from ads.baselines as b
    where b.tenant_id = compute_baselines.tenant_id and b.platform = compute_baselines.platform
        and b.level = compute_baselines.level and b.window_days = compute_baselines.window_days;
    insert into ads.baselines
    select n.*
    from ads_internal.baselines_now as n
    where n.tenant_id = compute_baselines.tenant_id and n.platform = compute_baselines.platform
        and n.level = compute_baselines.level and n.window_days = compute_baselines.window_days;
    get diagnostics written = row_count;
    return format('updated %s baselines', written);
end
$$;
comment on function ads.compute_baselines(uuid, text, text, integer) is
'Computes the baselines of one tenant, platform, level and window again; says how many records it updated.';

create or replace function ads.generate_recommendations(tenant_id uuid)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    created integer;
begin
    perform tenancy.require_tenant(generate_recommendations.tenant_id);
    if to_regclass('ads_internal.recommendations_merge') is null then
        raise exception 'recommendations are not built yet' using errcode = '55000', hint = 'Run `aegis optimize` once.';
    end if;

    -- As the build does: a decision made between reading and writing would collide with what is written.
    lock table ads.optimization_recommendations in share row exclusive mode;

    with

    due as materialized (
        select v.* from ads_internal.recommendations_merge as v
        where v.tenant_id = generate_recommendations.tenant_id
    ),

    moved as (
        update ads.optimization_recommendations as r
        set status = d.status, evidence = d.evidence, estimated_impact = d.estimated_impact,
            estimated_impact_low = d.estimated_impact_low, estimated_impact_high = d.estimated_impact_high,
            confidence = d.confidence, priority = d.priority, observed_at = d.observed_at
        from due as d
        where r.tenant_id = d.tenant_id and r.id = d.id
    ),

    raised as (
        insert into ads.optimization_recommendations
        select d.* from due as d
        where not exists (
            select from ads.optimization_recommendations as r where r.tenant_id = d.tenant_id and r.id = d.id
        )
        returning 1
    )

    select count(*) into created from raised;
    return created;
end
$$;
comment on function ads.generate_recommendations(uuid) is
'Raises, refreshes and expires the recommendations of one tenant for its as-of day; returns how many were created.';

create or replace function ads.detect_anomalies(tenant_id uuid)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    detected integer;
begin
    perform tenancy.require_tenant(detect_anomalies.tenant_id);
    if to_regclass('ads_internal.anomalies_merge') is null then
        raise exception 'anomalies are not built yet' using errcode = '55000', hint = 'Run `aegis optimize` once.';
    end if;

    -- As the build does: a decision made between reading and writing would collide with what is written.
    lock table ads.anomalies in share row exclusive mode;

    with

    due as materialized (
        select v.* from ads_internal.anomalies_merge as v where v.tenant_id = detect_anomalies.tenant_id
    ),

    moved as (
        update ads.anomalies as a
        set status = d.status, last_day = d.last_day, observed = d.observed, expected = d.expected,
            lower_bound = d.lower_bound, upper_bound = d.upper_bound, deviation = d.deviation, score = d.score,
            loss_per_day = d.loss_per_day, severity = d.severity, confidence = d.confidence,
            is_tracking_outage = d.is_tracking_outage, explained_by = d.explained_by, parent_id = d.parent_id,
            known_as_of = d.known_as_of, resolved_at = d.resolved_at
        from due as d
        where a.tenant_id = d.tenant_id and a.id = d.id
    ),

    raised as (
        insert into ads.anomalies
        select d.* from due as d
        where not exists (select from ads.anomalies as a where a.tenant_id = d.tenant_id and a.id = d.id)
    )

    select count(*) into detected from due as d where d.status in ('active', 'acknowledged');
    perform ads_internal.log_anomalies(detect_anomalies.tenant_id);
    return detected;
end
$$;
comment on function ads.detect_anomalies(uuid) is
'Raises, moves and closes the incidents of one tenant for its as-of day; returns how many are open.';

create or replace function ads.analyze_campaign_performance(
    tenant_id uuid, campaign_id text, platform text, days integer
)
returns table (
    metric_name text, current_value numeric, baseline_value numeric, rating text, recommendation text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform tenancy.require_tenant(analyze_campaign_performance.tenant_id);
    if analyze_campaign_performance.days is null or analyze_campaign_performance.days not between 1 and 400 then
        raise exception 'a window of % days cannot be analysed', analyze_campaign_performance.days
            using errcode = '22023', hint = 'Ask for 1 to 400 days.';
    end if;

    return query
    with

    newest as (
        select coalesce(
            (
                select max(b.as_of) from ads.baselines as b
                where b.tenant_id = analyze_campaign_performance.tenant_id
            ),
            (
                select max(m.day) from ads.metrics_daily as m
                where m.tenant_id = analyze_campaign_performance.tenant_id
            )
        ) as as_of
    ),

    sums as (
        select
            m.day > n.as_of - analyze_campaign_performance.days as is_current,
            count(*) as n_days,
            sum(m.spend) as spend,
            sum(m.impressions) as impressions,
            sum(m.clicks) as clicks,
            sum(m.conversions) as conversions,
            sum(m.conversion_value) as conversion_value
        from ads.metrics_daily as m
        cross join newest as n
        where m.tenant_id = analyze_campaign_performance.tenant_id
            and m.platform = analyze_campaign_performance.platform
            and m.level = 'campaign'
            and m.platform_id = analyze_campaign_performance.campaign_id
            and m.day > n.as_of - 2 * analyze_campaign_performance.days
            and m.day <= n.as_of
        group by is_current
    ),

    metrics as (
        select s.is_current, s.n_days, s.conversions, s.clicks, v.*
        from sums as s
        cross join lateral (
            values
            (1, 'spend', s.spend, 0, 0),
            (2, 'impressions', s.impressions::numeric, 1, 0),
            (3, 'clicks', s.clicks::numeric, 1, 0),
            (4, 'conversions', s.conversions, 1, 10),
            (5, 'conversion_value', s.conversion_value, 1, 10),
            (6, 'ctr', s.clicks::numeric / nullif(s.impressions, 0), 1, 0),
            (7, 'cpc', s.spend / nullif(s.clicks, 0), -1, 0),
            (8, 'cpm', s.spend * 1000 / nullif(s.impressions, 0), -1, 0),
            (9, 'cvr', s.conversions / nullif(s.clicks, 0), 1, 10),
            (10, 'cpa', s.spend / nullif(s.conversions, 0), -1, 10),
            (11, 'roas', s.conversion_value / nullif(s.spend, 0), 1, 10)
        ) as v (position, name, value, better, min_conversions)
    ),

    compared as (
        select
            names.position,
            names.name,
            names.better,
            now_.value as current_value,
            before_.value as baseline_value,
            (now_.value / nullif(before_.value, 0) - 1) * case names.better when -1 then -1 else 1 end as gain,
            coalesce(now_.conversions, 0) >= names.min_conversions
            and coalesce(before_.conversions, 0) >= names.min_conversions
            and coalesce(now_.n_days, 0) * 2 >= analyze_campaign_performance.days
            and coalesce(before_.n_days, 0) * 2 >= analyze_campaign_performance.days as is_sufficient
        from (
            select distinct m.position, m.name, m.better, m.min_conversions from metrics as m   -- both windows
        ) as names
        left join metrics as now_ on names.name = now_.name and now_.is_current
        left join metrics as before_ on names.name = before_.name and not before_.is_current
    ),

    rated as (
        select
            c.*,
            case
                when not c.is_sufficient or c.gain is null then 'insufficient_data'
                when c.better = 0 then case when abs(c.gain) < 0.2 then 'good' else 'average' end
                when c.gain >= 0.1 then 'excellent'
                when c.gain >= -0.05 then 'good'
                when c.gain >= -0.2 then 'average'
                else 'poor'
            end as rating
        from compared as c
    )

    select
        r.name,
        round(r.current_value, 6),
        round(r.baseline_value, 6),
        r.rating,
        case r.rating
            when 'insufficient_data' then 'Too little data in one of the two windows to compare ' || r.name || '.'
            when 'excellent' then format('%s is clearly better than in the window before: look for what to repeat.', r.name)
            when 'good' then format('%s holds: nothing to do.', r.name)
            when 'average' then format('%s moved by %s %% against the window before: watch it.', r.name, round(100 * abs(r.gain)))
            else format('%s is %s %% worse than in the window before: look at incidents and recent changes.', r.name, round(100 * abs(r.gain)))
        end
    from rated as r
    order by r.position;
end
$$;
comment on function ads.analyze_campaign_performance(uuid, text, text, integer) is
'One row per metric: a campaign''s last days against the window of the same length before, with a rating in words.';

revoke execute on function
ads.compute_baselines(uuid, text, text, integer), ads.generate_recommendations(uuid), ads.detect_anomalies(uuid),
ads.analyze_campaign_performance(uuid, text, text, integer)
from public;
grant execute on function
ads.compute_baselines(uuid, text, text, integer), ads.generate_recommendations(uuid), ads.detect_anomalies(uuid)
to aegis_app, aegis_buyer;
grant execute on function ads.analyze_campaign_performance(uuid, text, text, integer) to aegis_app, aegis_reader;
