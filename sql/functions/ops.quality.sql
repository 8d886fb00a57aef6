/*
The SQL half of the quality step: every account-day that arrived since the last one is judged. Files and hand rows are
accepted, since their refused rows never reached a table; what looks odd in the others becomes a finding in words, not
an error. Called by the daily run and after each import, as the transformer.
*/

set local role aegis_owner;

create or replace function ops.judge_coverage()
returns table (accepted bigint, withheld bigint, findings bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
-- Tables filled a moment ago have no statistics: the planner would guess a few rows and loop over 150,000, or merge by
-- the load's id alone and compare each row with every account-day (10 s instead of 0.1 s). A hash takes the whole key.
set enable_nestloop = off
set enable_mergejoin = off
as $$
declare
    judged_now timestamptz := clock_timestamp();
begin
    update ops.coverage as c
    set state = 'accepted', judged_at = judged_now
    where c.state = 'pending' and c.versioned_at is null and c.source in ('file', 'manual');
    get diagnostics accepted = row_count;
    withheld := 0;
    findings := 0;
    if accepted = 0 then
        return next;
        return;
    end if;

    -- What an earlier load of the same account-day looked like is no longer of interest.
    delete from ops.findings as f
    using ops.coverage as c
    where c.versioned_at is null and c.judged_at = judged_now
        and f.tenant_id = c.tenant_id and f.platform = c.platform and f.account_id = c.account_id and f.day = c.day
        and f.check_name in (
            'clicks_exceed_impressions', 'conversions_without_clicks', 'spend_without_impressions', 'refused_rows'
        )
        and f.subject = case c.source when 'manual' then 'hand rows' else '' end;

    with

    judged as (             -- of several loads of one account-day, the newest file; each hand row counts
        select distinct on (
            c.tenant_id, c.platform, c.account_id, c.day, c.source, case c.source when 'manual' then c.load_id end
        )
            c.load_id, c.tenant_id, c.platform, c.account_id, c.day, c.source, c.reason
        from ops.coverage as c
        where c.versioned_at is null and c.judged_at = judged_now
        order by
            c.tenant_id, c.platform, c.account_id, c.day, c.source, case c.source when 'manual' then c.load_id end,
            c.coverage_id desc
    ),

    arrived as (
        select
            j.tenant_id, j.platform, j.account_id, j.day, '' as subject, p.level, p.platform_id, p.spend, p.impressions,
            p.clicks, p.conversions
        from raw_manual.performance as p
        inner join judged as j
            on p.load_id = j.load_id and p.tenant_id = j.tenant_id::text and p.platform = j.platform
            and p.account_id = j.account_id and p.day = j.day
        where j.source = 'file'
        union all
        select
            j.tenant_id, j.platform, j.account_id, j.day, 'hand rows' as subject, h.level, h.platform_id, h.spend,
            h.impressions, h.clicks, h.conversions
        from raw_manual.hand_rows as h
        inner join judged as j on h.load_id = j.load_id
        where j.source = 'manual' and h.operation <> 'delete'
    ),

    odd as (
        select a.*, v.check_name, v.severity, v.what
        from arrived as a
        cross join lateral (
            values
            ('clicks_exceed_impressions', 'warning', 'more clicks than impressions', a.clicks > a.impressions),
            (
                'conversions_without_clicks', 'info', 'conversions and no click',
                a.conversions > 0 and a.clicks = 0
            ),
            (
                'spend_without_impressions', 'warning', 'spend and no impression',
                a.spend > 0 and a.impressions = 0
            )
        ) as v (check_name, severity, what, is_so)
        where v.is_so
    ),

    found as (
        select
            o.tenant_id, o.platform, o.account_id, o.day, o.check_name, o.subject, o.severity,
            case count(*) when 1 then '1 row has ' else count(*) || ' rows have ' end || o.what
            || ', first ' || min(o.level || ' ' || o.platform_id) || '.' as message,
            jsonb_build_object(
                'rows', count(*), 'spend', sum(o.spend), 'impressions', sum(o.impressions), 'clicks', sum(o.clicks),
                'conversions', sum(o.conversions)
            ) as evidence
        from odd as o
        group by o.tenant_id, o.platform, o.account_id, o.day, o.check_name, o.subject, o.severity, o.what
        union all
        select
            j.tenant_id, j.platform, j.account_id, j.day, 'refused_rows', '', 'warning',
            j.reason || '; see ops.quarantine.', jsonb_build_object('load_id', j.load_id)
        from judged as j
        where j.source = 'file' and j.reason is not null
    )

    insert into ops.findings (
        tenant_id, platform, account_id, day, check_name, subject, severity, message, evidence
    )
    select
        f.tenant_id, f.platform, f.account_id, f.day, f.check_name, f.subject, f.severity, f.message, f.evidence
    from found as f
    on conflict (tenant_id, platform, account_id, day, check_name, subject) do update
    set severity = excluded.severity, message = excluded.message, evidence = excluded.evidence, found_at = now();
    get diagnostics findings = row_count;
    return next;
end
$$;
comment on function ops.judge_coverage() is
'Judges every account-day that arrived since the last call: sets its coverage state and writes findings. Returns how many.';

revoke execute on function ops.judge_coverage() from public;
grant execute on function ops.judge_coverage() to aegis_transformer;
