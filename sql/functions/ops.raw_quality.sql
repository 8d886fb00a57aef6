/*
The quality step for what a connected platform's API delivered. observe_raw_tables counts, per account-day that is
still pending, what flows/expectations.py declares of each raw table; raw_failures is the only place that says what
fails and what state that leads to; judge_api_coverage sets the states. great-expectations stands between the second
and the third: it asserts the same of the same counts, and nothing is judged unless both agree.
*/

set local role aegis_owner;

create or replace function ops.observe_raw_tables(declarations jsonb)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
-- Tables filled a moment ago have no statistics; see ops.judge_coverage.
set enable_nestloop = off
set enable_mergejoin = off
as $$
declare
    raw jsonb;
    loads text[];
    observed bigint := 0;
    added bigint;
begin
    delete from ops.raw_account_days;
    for raw in select d.value from jsonb_array_elements(declarations) as d
    loop
        select array_agg(distinct c.load_id) into loads
        from ops.coverage as c
        where c.state = 'pending' and c.source = 'api' and c.platform = raw ->> 'platform';
        continue when loads is null;
        execute ops.observation_query(raw) using raw, loads;
        get diagnostics added = row_count;
        observed := observed + added;
    end loop;
    return observed;
end
$$;
comment on function ops.observe_raw_tables(jsonb) is
'Counts, for every pending account-day of an API and each declared raw table, what the checks look at. Returns rows written.';

create or replace function ops.observation_query(raw jsonb)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    keys text := (select string_agg(format('r.%I', k.value), ', ') from jsonb_array_elements_text(raw -> 'key') as k);
    sums text := (
        select string_agg(format('%L, sum(r.%I)', c.value, c.value), ', ')
        from jsonb_array_elements_text(raw -> 'not_negative') as c
    );
    without_value text := (
        select string_agg(format('%L, count(*) filter (where r.%I is null)', c.value, c.value), ', ')
        from jsonb_array_elements_text(raw -> 'required') as c
    );
    -- 100, less what is missing, plus what is more than asked for; a column the platform does not have counts nothing
    score text := '100' || coalesce((
        select string_agg(
            format(
                case when p.points < 0 then ' + case when r.%I is null then %s else 0 end'
                    else ' + case when length(r.%I::text) > 2 then %s else 0 end' end,
                raw ->> p.figure, p.points
            ), ''
        )
        from (values ('impressions', -20), ('spend', -10), ('clicks', -5), ('actions', 5)) as p (figure, points)
        where raw ->> p.figure is not null
    ), '') || case
        when raw ->> 'reach' is null then ''
        else format(' + case when r.%I is null then 0 else 5 end', raw ->> 'reach')
    end;
    totals text := 'select null::text as load_id, null::text as tenant_id, null::text as account_id, null::date as day, null::jsonb as figures where false';
    adding text;
    odd_rows text := (
        select string_agg(
            format(
                '%L, jsonb_build_array(count(*) filter (where %s), min(concat_ws('' '', %s)) filter (where %s))',
                o.finding, o.condition, keys, o.condition
            ), ', '
        )
        from (
            values
            ('clicks_exceed_impressions', format('r.%s > r.%s', raw ->> 'clicks', raw ->> 'impressions')),
            ('spend_without_impressions', format('r.%s > 0 and r.%s = 0', raw ->> 'spend', raw ->> 'impressions'))
        ) as o (finding, condition)
        where (raw ->> 'is_scored')::boolean
    );
begin
    if raw ->> 'totals' is not null then
        select string_agg(
            format(
                '%1$L, array[sum(t.%1$I) filter (where t.level = ''campaign''), sum(t.%1$I) filter (where t.level = ''account'')]',
                m.value
            ), ', '
        ) into adding
        from jsonb_array_elements_text(raw -> 'compared') as m;
        totals := format(
            'select t.load_id, t.tenant_id, t.account_id, t.day, jsonb_build_object(%s) as figures from %s as t
            where t.load_id = any($2) group by t.load_id, t.tenant_id, t.account_id, t.day',
            adding, (raw ->> 'totals')::regclass
        );
    end if;
    return format(
        $query$
        insert into ops.raw_account_days (
            coverage_id, raw_table, tenant_id, platform, account_id, day, load_id, days_ahead, rows_covered,
            rows_arrived, repeated_keys, sums, without_value, odd_rows, new_fields, rows_without_totals, gap,
            gap_measure, gap_ads, gap_total, finding_gap, withheld_gap, noted, refused, quality_score
        )
        with

        pending as (
            select
                c.coverage_id, c.load_id, c.tenant_id, c.platform, c.account_id, c.day, c.rows, c.reason,
                c.day - (c.covered_at at time zone coalesce(a.timezone, t.timezone))::date as days_ahead
            from ops.coverage as c
            inner join tenancy.tenants as t on c.tenant_id = t.tenant_id
            left join tenancy.ad_accounts as a
                on c.tenant_id = a.tenant_id and c.platform = a.platform and c.account_id = a.account_id
            where c.state = 'pending' and c.source = 'api' and c.platform = $1 ->> 'platform' and c.load_id = any($2)
        ),

        arrived as (
            select
                r.load_id, r.tenant_id, r.account_id, r.day,
                count(*) as rows,
                count(*) - count(distinct (%1$s)) as repeated_keys,
                jsonb_build_object(%2$s) as sums,
                jsonb_build_object(%3$s) as without_value,
                jsonb_build_object(%4$s) as odd_rows,
                min(r.extra::text) filter (where r.extra is not null) as new_fields,
                round(avg(least(greatest(%5$s, 0), 100)), 2) as score
            from %6$s as r
            where r.load_id = any($2)
            group by r.load_id, r.tenant_id, r.account_id, r.day
        ),

        totals as (%7$s),

        limits as (
            select m.finding_gap, m.withheld_gap
            from ops.quality_limits as m
            where m.platform in ($1 ->> 'platform', 'all')
            order by m.platform = 'all'
            limit 1
        ),

        compared as (
            select
                t.load_id, t.tenant_id, t.account_id, t.day, m.figure, m.place, coalesce(o.rows, 0) as rows,
                coalesce((o.sums ->> m.figure)::numeric, 0) as ads,
                greatest((t.figures -> m.figure ->> 0)::numeric, (t.figures -> m.figure ->> 1)::numeric) as total
            from totals as t
            left join arrived as o
                on t.load_id = o.load_id and t.tenant_id = o.tenant_id and t.account_id = o.account_id and t.day = o.day
            cross join lateral jsonb_array_elements_text($1 -> 'compared') with ordinality as m (figure, place)
        ),

        measured as (
            select
                c.*,
                case
                    when c.ads = c.total then 0
                    when c.total = 0 then 1
                    else least(greatest(
                        abs(c.total - c.ads)
                        - case when c.figure = $1 ->> 'spend' then c.rows * ($1 ->> 'rounding')::numeric else 0 end,
                        0
                    ) / c.total, 1)
                end as gap
            from compared as c
            where c.total is not null
        ),

        gaps as (           -- the first of the figures in the order declared, unless a later one is worse by a limit
            select distinct on (m.load_id, m.tenant_id, m.account_id, m.day) m.*
            from measured as m
            cross join limits as l
            order by
                m.load_id, m.tenant_id, m.account_id, m.day, m.gap > l.withheld_gap desc, m.gap > l.finding_gap desc,
                m.place
        ),

        refused as (
            select q.load_id, q.payload ->> ($1 ->> 'refused_day') as day, min(q.reason) as reason
            from ops.quarantine as q
            where q.load_id = any($2) and q.source_name = $1 ->> 'refused_as'
            group by q.load_id, q.payload ->> ($1 ->> 'refused_day')
        )

        select
            p.coverage_id, $1 ->> 'name', p.tenant_id, p.platform, p.account_id, p.day, p.load_id, p.days_ahead,
            case when ($1 ->> 'is_counted')::boolean then p.rows end,
            coalesce(o.rows, 0),
            coalesce(o.repeated_keys, 0),
            coalesce(o.sums, '{}'),
            coalesce(o.without_value, '{}'),
            coalesce(o.odd_rows, '{}'),
            o.new_fields,
            case when $1 ->> 'totals' is not null and g.gap is null then coalesce(o.rows, 0) else 0 end,
            round(g.gap, 6), g.figure, g.ads, g.total, l.finding_gap, l.withheld_gap,
            p.reason, q.reason,
            o.score
        from pending as p
        left join arrived as o
            on p.load_id = o.load_id and p.tenant_id::text = o.tenant_id and p.account_id = o.account_id and p.day = o.day
        left join gaps as g
            on p.load_id = g.load_id and p.tenant_id::text = g.tenant_id and p.account_id = g.account_id and p.day = g.day
        left join refused as q on p.load_id = q.load_id and p.day::text = q.day
        cross join limits as l
        $query$,
        keys, coalesce(sums, ''), coalesce(without_value, ''), coalesce(odd_rows, ''),
        case when (raw ->> 'is_scored')::boolean then score else 'null::numeric' end,
        (raw ->> 'name')::regclass, totals
    );
end
$$;
comment on function ops.observation_query(jsonb) is
'The statement by which observe_raw_tables counts one declared raw table: $1 the declaration, $2 the loads.';

create or replace function ops.raw_failures()
returns table (coverage_id bigint, raw_table text, check_name text, state text, words text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
with

failures as (
    select
        o.coverage_id, o.raw_table, 'not_begun' as check_name, 'withheld' as state,
        'the day had not begun when it was asked for' as words
    from ops.raw_account_days as o
    where o.days_ahead > 0
    union all
    select
        o.coverage_id, o.raw_table, 'rows_arrived', 'withheld',
        format('%s of the %s rows that were read are there', o.rows_arrived, o.rows_covered)
    from ops.raw_account_days as o
    where o.rows_arrived <> o.rows_covered
    union all
    select
        o.coverage_id, o.raw_table, 'repeated_keys', 'withheld',
        case o.repeated_keys when 1 then '1 row repeats' else o.repeated_keys || ' rows repeat' end
        || ' the key of another in ' || o.raw_table
    from ops.raw_account_days as o
    where o.repeated_keys > 0
    union all
    select
        o.coverage_id, o.raw_table, 'negative:' || s.key, 'withheld',
        format('the sum of %s is %s in %s', s.key, s.value, o.raw_table)
    from ops.raw_account_days as o
    cross join lateral jsonb_each_text(o.sums) as s
    where s.value::numeric < 0
    union all
    -- in some rows it is a gap that the next pull may close; in all of them the platform no longer says it
    select
        o.coverage_id, o.raw_table, 'without:' || w.key,
        case when w.value::bigint = o.rows_arrived then 'withheld' else 'provisional' end,
        case
            when w.value::bigint = o.rows_arrived then 'no row has ' || w.key
            when w.value = '1' then '1 row has no ' || w.key
            else w.value || ' rows have no ' || w.key
        end
    from ops.raw_account_days as o
    cross join lateral jsonb_each_text(o.without_value) as w
    where w.value::bigint > 0
    union all
    select
        o.coverage_id, o.raw_table, 'totals',
        -- while a day runs, the totals are asked for later than the ads and have grown meanwhile
        case when o.gap > o.withheld_gap and o.days_ahead < 0 then 'withheld' else 'provisional' end,
        format(
            'of the platform''s own %s %s the ads add up to %s', trim_scale(round(o.gap_total, 2)), o.gap_measure,
            trim_scale(round(o.gap_ads, 2))
        )
    from ops.raw_account_days as o
    where o.gap > o.finding_gap
    union all
    select
        o.coverage_id, o.raw_table, 'no_totals', 'provisional',
        'the platform gave no totals of its own to compare the ads with'
    from ops.raw_account_days as o
    where o.rows_without_totals > 0
    union all
    select o.coverage_id, o.raw_table, 'not_over', 'provisional', 'the day was not over'
    from ops.raw_account_days as o
    where o.days_ahead = 0 and o.rows_covered is not null
    union all
    -- what the load itself found wanting: refused rows, with the reason of one of them
    select
        o.coverage_id, o.raw_table, 'refused', 'provisional',
        p.part || coalesce(' (' || o.refused || '; see ops.quarantine)', '; see ops.quarantine')
    from ops.raw_account_days as o
    cross join lateral regexp_split_to_table(o.noted, '; ') as p (part)
    where o.rows_covered is not null and p.part <> 'the day was not over'
)

select f.coverage_id, f.raw_table, f.check_name, f.state, f.words from failures as f
$$;
comment on function ops.raw_failures() is
'One row per account-day under judgement, raw table and check that it fails: the state this leads to, and why in words.';

create or replace function ops.judge_api_coverage()
returns table (accepted bigint, provisional bigint, withheld bigint, findings bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set enable_mergejoin = off
as $$
declare
    judged_now timestamptz := clock_timestamp();
begin
    with

    failed as (
        select
            f.coverage_id, f.words,
            min(case f.state when 'withheld' then 1 else 2 end) as severity
        from ops.raw_failures() as f
        group by f.coverage_id, f.words
    ),

    reasons as (
        select
            f.coverage_id,
            case min(f.severity) when 1 then 'withheld' else 'provisional' end as state,
            string_agg(f.words, '; ' order by f.severity, f.words) as reason
        from failed as f
        group by f.coverage_id
    ),

    verdicts as (
        select
            o.coverage_id, coalesce(min(r.state), 'accepted') as state, min(r.reason) as reason,
            max(o.quality_score) as quality_score
        from ops.raw_account_days as o
        left join reasons as r on o.coverage_id = r.coverage_id
        group by o.coverage_id
    ),

    judged as (
        update ops.coverage as c
        set state = v.state, reason = v.reason, quality_score = v.quality_score, judged_at = judged_now
        from verdicts as v
        where c.coverage_id = v.coverage_id and c.state = 'pending'
        returning c.state
    )

    select
        count(*) filter (where j.state = 'accepted'), count(*) filter (where j.state = 'provisional'),
        count(*) filter (where j.state = 'withheld')
    into accepted, provisional, withheld
    from judged as j;

    -- Findings of an account-day follow its newest load; why a load is withheld stands in its coverage.
    delete from ops.findings as f
    using ops.coverage as c
    where c.source = 'api' and c.judged_at = judged_now
        and f.tenant_id = c.tenant_id and f.platform = c.platform and f.account_id = c.account_id and f.day = c.day
        and f.subject = 'api'
        and f.check_name in (
            'clicks_exceed_impressions', 'spend_without_impressions', 'refused_rows', 'missing_values',
            'ads_and_totals_differ', 'new_fields'
        );

    with

    newest as (
        select distinct on (c.tenant_id, c.platform, c.account_id, c.day)
            c.coverage_id, c.tenant_id, c.platform, c.account_id, c.day, c.load_id, c.state
        from ops.coverage as c
        where c.source = 'api' and c.judged_at = judged_now
        order by c.tenant_id, c.platform, c.account_id, c.day, c.coverage_id desc
    ),

    found as (
        select
            n.*,
            case
                when f.check_name = 'refused' then 'refused_rows'
                when f.check_name = 'totals' then 'ads_and_totals_differ'
                else 'missing_values'
            end as check_name,
            'warning' as severity,
            upper(left(f.words, 1)) || substr(f.words, 2) || '.' as message,
            jsonb_build_object('load_id', n.load_id, 'check', f.check_name) as evidence
        from newest as n
        inner join ops.raw_failures() as f on n.coverage_id = f.coverage_id
        where n.state = 'provisional' and (f.check_name in ('refused', 'totals') or f.check_name like 'without:%')
        union all
        select
            n.*, r.key, 'warning',
            case r.value ->> 0 when '1' then '1 row has ' else (r.value ->> 0) || ' rows have ' end
            || case r.key
                when 'clicks_exceed_impressions' then 'more clicks than impressions'
                else 'spend and no impression'
            end || ', first ad ' || (r.value ->> 1) || '.',
            jsonb_build_object('load_id', n.load_id, 'rows', (r.value ->> 0)::bigint)
        from newest as n
        inner join ops.raw_account_days as o on n.coverage_id = o.coverage_id
        cross join lateral jsonb_each(o.odd_rows) as r
        where (r.value ->> 0)::bigint > 0
        union all
        select
            n.*, 'new_fields', 'info', 'The platform sent what nobody asked for: ' || left(o.new_fields, 200) || '.',
            jsonb_build_object('load_id', n.load_id)
        from newest as n
        inner join ops.raw_account_days as o on n.coverage_id = o.coverage_id
        where o.new_fields is not null
    )

    insert into ops.findings (
        tenant_id, platform, account_id, day, check_name, subject, severity, message, evidence
    )
    select
        f.tenant_id, f.platform, f.account_id, f.day, f.check_name, 'api', min(f.severity),
        string_agg(f.message, ' ' order by f.message), (array_agg(f.evidence order by f.message))[1]
    from found as f
    group by f.tenant_id, f.platform, f.account_id, f.day, f.check_name
    on conflict (tenant_id, platform, account_id, day, check_name, subject) do update
    set severity = excluded.severity, message = excluded.message, evidence = excluded.evidence, found_at = now();
    get diagnostics findings = row_count;
    return next;
end
$$;
comment on function ops.judge_api_coverage() is
'Sets the state, reason and score of every account-day that observe_raw_tables counted, and writes findings. Returns how many.';

revoke execute on function ops.observe_raw_tables(jsonb), ops.observation_query(jsonb), ops.raw_failures(),
ops.judge_api_coverage() from public;
grant execute on function ops.observe_raw_tables(jsonb), ops.observation_query(jsonb), ops.raw_failures(),
ops.judge_api_coverage() to aegis_transformer;
