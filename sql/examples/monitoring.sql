/*
Performance monitoring, for one tenant (product specification, workflow 3): critical incidents that are active, pending
recommendations of high priority, and figures against their baselines. Reads only.

Run as any login:            psql "$(aegis dsn --tenant T)" -f sql/examples/monitoring.sql
Run as the application:      PGOPTIONS="-c saas.tenant_id=<the tenant's id>" psql <its URL> -f sql/examples/monitoring.sql
*/

begin;

select a.platform, a.level, a.platform_id, a.anomaly_type, a.metric, a.day, a.last_day, a.observed, a.expected, a.loss_per_day
from ads.anomalies as a
where a.status = 'active' and a.severity = 'critical' and a.parent_id is null and a.explained_by is null
order by a.loss_per_day desc nulls last;

select r.platform, r.level, r.platform_id, r.recommendation_type, r.priority, r.description, r.estimated_impact, r.currency
from ads.optimization_recommendations as r
where r.status = 'pending' and r.priority in ('high', 'critical')
order by r.estimated_impact desc nulls last;

select
    m.platform, m.platform_id, m.day, m.spend,
    round(b.spend / b.window_days, 2) as expected_spend,
    round(100 * (m.spend / nullif(b.spend / b.window_days, 0) - 1), 1) as variance_percent
from ads.metrics_daily as m
inner join ads.baselines as b
    on m.tenant_id = b.tenant_id and m.platform = b.platform and m.level = b.level and m.platform_id = b.platform_id
where m.level = 'campaign' and m.day = b.as_of and b.window_days = 7
order by abs(m.spend - b.spend / b.window_days) desc nulls last;

commit;
