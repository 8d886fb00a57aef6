/*
The daily optimisation, for one tenant (product specification, workflow 1): after the day's figures are loaded, baselines are
computed again, performance is analysed, recommendations are raised and incidents found; then people read and decide.

Run as a buyer's login:      psql "$(aegis dsn --tenant T --role buyer)" -f sql/examples/daily.sql
Run as the application:      PGOPTIONS="-c saas.tenant_id=<the tenant's id>" psql <its URL> -f sql/examples/daily.sql
*/

begin;

select tenancy.require_tenant() as tenant_id;

select p.platform, ads.compute_baselines(tenancy.require_tenant(), p.platform, 'campaign', 7) as said
from (values ('meta'), ('tiktok'), ('google'), ('pinterest')) as p (platform);

-- The campaign that spent most in the seven days before, against the seven days before those.
select c.platform, c.campaign_id, a.metric_name, a.current_value, a.baseline_value, a.rating, a.recommendation
from (
    select b.platform, b.platform_id as campaign_id
    from ads.baselines as b
    where b.level = 'campaign' and b.window_days = 7
    order by b.spend desc nulls last
    limit 1
) as c
cross join lateral ads.analyze_campaign_performance(tenancy.require_tenant(), c.campaign_id, c.platform, 7) as a;

select ads.generate_recommendations(tenancy.require_tenant()) as created;
select ads.detect_anomalies(tenancy.require_tenant()) as detected;

select r.id, r.priority, r.platform, r.platform_id, r.recommendation_type, r.description, r.estimated_impact, r.currency
from ads.optimization_recommendations as r
where r.status = 'pending'
order by r.estimated_impact desc nulls last;

-- What a person does with the first one; an application and its approval in one.
update ads.optimization_recommendations
set status = 'applied', applied_at = now()
where
    id = (
        select r.id from ads.optimization_recommendations as r
        where r.status = 'pending'
        order by r.estimated_impact desc nulls last, r.id asc
        limit 1
    )
    and status = 'pending'
returning id, status, approved_at is not null as is_approved, decided_by;

commit;
