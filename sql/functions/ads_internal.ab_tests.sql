/*
A/B tests: what is refused when a person writes one, and how a read-out reaches the table. The read-out itself is the
view ads_internal.ab_test_readouts (dbt).
*/

set local role aegis_transformer;

create or replace function ads_internal.variants_defect(variants jsonb, assignment text, is_complete boolean)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    with

    given as (
        select
            v.place,
            v.variant,
            jsonb_typeof(v.variant) = 'object' as is_object,
            coalesce(nullif(btrim(v.variant ->> 'name'), ''), 'number ' || v.place) as label
        from jsonb_array_elements(
            case jsonb_typeof(variants_defect.variants) when 'array' then variants_defect.variants else '[]' end
        ) with ordinality as v (variant, place)
    ),

    defects as (
        select 0 as rank, 0::bigint as place, 'variants is no list of objects' as defect
        where coalesce(jsonb_typeof(variants_defect.variants), 'null') <> 'array'
        union all
        select 1, g.place, format('variant %s is no object', g.label) from given as g where not g.is_object
        union all
        select 2, g.place, format('variant %s has no name', g.label) from given as g
        where g.is_object
            and (jsonb_typeof(g.variant -> 'name') is distinct from 'string' or btrim(g.variant ->> 'name') = '')
        union all
        select 3, g.place, format('variant %s has no level (account, campaign, adset or ad)', g.label) from given as g
        where g.is_object and coalesce(g.variant ->> 'level', '') not in ('account', 'campaign', 'adset', 'ad')
        union all
        select 4, g.place, format('variant %s has no platform_id', g.label) from given as g
        where g.is_object
            and (
                coalesce(jsonb_typeof(g.variant -> 'platform_id'), 'null') not in ('string', 'number')
                or btrim(g.variant ->> 'platform_id') = ''
            )
        union all
        select 5, g.place, format('is_control of variant %s is neither true nor false', g.label) from given as g
        where g.is_object and coalesce(jsonb_typeof(g.variant -> 'is_control'), 'null') not in ('boolean', 'null')
        union all
        select 6, g.place, format('the weight of variant %s is no number above 0', g.label) from given as g
        where g.is_object and coalesce(jsonb_typeof(g.variant -> 'weight'), 'null') <> 'null'
            and case jsonb_typeof(g.variant -> 'weight')
                when 'number' then (g.variant ->> 'weight')::numeric not between 0.000001 and 1000000
                else true
            end
        union all
        select 7, g.place, format('days of variant %s is no list of days like "2026-03-01"', g.label) from given as g
        where g.is_object and coalesce(jsonb_typeof(g.variant -> 'days'), 'null') <> 'null'
            and (
                jsonb_typeof(g.variant -> 'days') <> 'array'
                or exists (
                    select from jsonb_array_elements(
                        case jsonb_typeof(g.variant -> 'days') when 'array' then g.variant -> 'days' else '[]' end
                    ) as d (day)
                    where jsonb_typeof(d.day) <> 'string' or d.day #>> '{}' !~ '^\d{4}-\d\d-\d\d$'
                )
            )
        union all
        select 8, min(g.place), format('two variants are called %s', g.variant ->> 'name') from given as g
        where g.is_object group by g.variant ->> 'name' having count(*) > 1
        union all
        select 9, 0, 'more than one variant is the control' where (
            select count(*) from given as g where g.is_object and g.variant -> 'is_control' = 'true'
        ) > 1
        union all
        select 10, 0, 'some variants have a weight and others none' where (
            select count(*) filter (where coalesce(jsonb_typeof(g.variant -> 'weight'), 'null') <> 'null')
                not in (0, count(*))
            from given as g where g.is_object
        )
        union all
        select 11, min(g.place),
            format(
                'variants %s are the same %s', string_agg(g.label, ' and ' order by g.place), g.variant ->> 'level'
            )
            || case variants_defect.assignment
                when 'time_split' then ': name the days of each in "days"'
                else ', so nothing can differ between them'
            end
        from given as g
        where g.is_object
            and not (
                variants_defect.assignment is not distinct from 'time_split'
                and jsonb_typeof(g.variant -> 'days') is not distinct from 'array'
            )
        group by g.variant ->> 'level', g.variant ->> 'platform_id'
        having count(*) > 1
        union all
        select 12, 0, format('there %s, and a comparison needs two', case count(*)
            when 0 then 'is no variant' else 'is only one variant'
        end)
        from given having count(*) < 2 and variants_defect.is_complete
        union all
        select 13, 0, 'more than ten variants' from given having count(*) > 10
    )

    select d.defect from defects as d order by d.rank, d.place limit 1
$$;
comment on function ads_internal.variants_defect(jsonb, text, boolean) is
'What is wrong with the variants of a test, in words; null where nothing is. An incomplete list passes unless is_complete.';

create or replace function ads_internal.check_ab_test()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    defect text := ads_internal.variants_defect(new.variants, new.assignment, new.status in ('running', 'completed'));
begin
    if defect is not null then
        raise exception 'this test cannot be saved: %', defect
            using errcode = '23514',
            hint = 'Variants are [{"name": "A", "level": "ad", "platform_id": "1", "is_control": true, "weight": 1}, …]; '
                || 'name, level and platform_id are needed, and at least two variants before the test runs.';
    end if;
    if new.alpha not between 0.0001 and 0.5 then
        raise exception 'this test cannot be saved: alpha % is not between 0.0001 and 0.5', new.alpha
            using errcode = '23514', hint = 'alpha is the share of wrong winners you accept; 0.05 is usual.';
    end if;
    if new.min_days not between 1 and 365 or new.min_sample < 1 then
        raise exception 'this test cannot be saved: min_days must be 1 to 365 and min_sample at least 1'
            using errcode = '23514', hint = 'Leave them out for the defaults, 14 and 100.';
    end if;
    -- Otherwise a completed test would go on taking in days.
    if new.status = 'completed' and new.end_date is null then
        new.end_date := greatest(new.start_date, current_date);
    end if;
    return new;
end
$$;
comment on function ads_internal.check_ab_test() is
'Trigger: refuses in words a test that could not be read, and ends a completed one today where no end is given.';

create or replace function ads_internal.refresh_ab_tests(tenant_id uuid default null)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
    one record;
    read bigint := 0;
    changed bigint;
    problem text;
begin
    if to_regclass('ads_internal.ab_test_readouts') is null then
        return 0;
    end if;
    begin
        return ads_internal.write_ab_tests(refresh_ab_tests.tenant_id, null);
    exception
        -- One test's figures broke the arithmetic of all: read each alone.
        when data_exception or numeric_value_out_of_range or invalid_parameter_value then
            null;
    end;

    for one in
        select t.tenant_id, t.id
        from ads.ab_tests as t
        where t.status in ('running', 'completed')
            and (refresh_ab_tests.tenant_id is null or t.tenant_id = refresh_ab_tests.tenant_id)
    loop
        begin
            perform set_config('ads_internal.only_test', one.id::text, true);
            changed := ads_internal.write_ab_tests(one.tenant_id, one.id);
        exception
            when data_exception or numeric_value_out_of_range or invalid_parameter_value then
                get stacked diagnostics problem = message_text;
                update ads.ab_tests as t
                set verdict = 'invalid',
                    results = jsonb_build_object('reason', 'Its figures cannot be computed: ' || problem || '.'),
                    winner = null, p_value = null, sequential_p_value = null, probability_best = null,
                    expected_loss = null, srm_p_value = null, read_at = now()
                where t.tenant_id = one.tenant_id and t.id = one.id;
                changed := 1;
        end;
        read := read + changed;
    end loop;
    perform set_config('ads_internal.only_test', '', true);
    return read;
end
$$;
comment on function ads_internal.refresh_ab_tests(uuid) is
'Writes the read-outs of running and completed tests, of one tenant or (null) of all; returns how many rows changed. One that cannot be computed becomes invalid.';

create or replace function ads_internal.write_ab_tests(tenant_id uuid, id uuid)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with

    readouts as materialized (
        select r.*
        from ads_internal.ab_test_readouts as r
        where (write_ab_tests.tenant_id is null or r.tenant_id = write_ab_tests.tenant_id)
            and (write_ab_tests.id is null or r.id = write_ab_tests.id)
    ),

    written as (
        update ads.ab_tests as t
        set results = r.results, winner = r.winner, p_value = r.p_value, sequential_p_value = r.sequential_p_value,
            probability_best = r.probability_best, expected_loss = r.expected_loss, srm_p_value = r.srm_p_value,
            verdict = r.verdict, read_at = now()
        from readouts as r
        where t.tenant_id = r.tenant_id and t.id = r.id
            and (
                t.results, t.winner, t.p_value, t.sequential_p_value, t.probability_best, t.expected_loss,
                t.srm_p_value, t.verdict
            ) is distinct from (
                r.results, r.winner, r.p_value, r.sequential_p_value, r.probability_best, r.expected_loss,
                r.srm_p_value, r.verdict
            )
        returning 1
    )

    select count(*) from written
$$;
comment on function ads_internal.write_ab_tests(uuid, uuid) is
'The step of refresh_ab_tests: writes the read-outs of one test, one tenant, or all (nulls), where they changed.';

revoke execute on function
ads_internal.variants_defect(jsonb, text, boolean), ads_internal.check_ab_test(), ads_internal.refresh_ab_tests(uuid),
ads_internal.write_ab_tests(uuid, uuid)
from public;
