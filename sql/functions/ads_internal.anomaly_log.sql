/*
The log of incidents: what each was on each as-of day it was judged. Written by the build (a post-hook of the model
ads.anomalies) and by ads.detect_anomalies, in the transaction that moved the incidents.
*/

set local role aegis_transformer;

create or replace function ads_internal.log_anomalies(tenant_id uuid default null)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with

    newest as (
        select a.tenant_id, max(a.known_as_of) as as_of
        from ads.anomalies as a
        where log_anomalies.tenant_id is null or a.tenant_id = log_anomalies.tenant_id
        group by a.tenant_id
    ),

    logged as (
        insert into ads_internal.anomaly_log as l (
            tenant_id, anomaly_id, as_of, status, day, last_day, observed, expected, score, severity, loss_per_day
        )
        select
            a.tenant_id, a.id, a.known_as_of, a.status, a.day, a.last_day, a.observed, a.expected, a.score, a.severity,
            a.loss_per_day
        from ads.anomalies as a
        inner join newest as n on a.tenant_id = n.tenant_id and a.known_as_of = n.as_of
        on conflict (tenant_id, anomaly_id, as_of, status) do update
        set last_day = excluded.last_day, observed = excluded.observed, expected = excluded.expected,
            score = excluded.score, severity = excluded.severity, loss_per_day = excluded.loss_per_day, logged_at = now()
        where (l.last_day, l.observed, l.expected, l.score, l.severity, l.loss_per_day)
            is distinct from
            (excluded.last_day, excluded.observed, excluded.expected, excluded.score, excluded.severity, excluded.loss_per_day)
        returning 1
    )

    select count(*) from logged
$$;
comment on function ads_internal.log_anomalies(uuid) is
'Appends the state of every incident judged on the newest as-of day to the log, of one tenant or (null) of all; writes nothing that stands there already.';

revoke execute on function ads_internal.log_anomalies(uuid) from public;
