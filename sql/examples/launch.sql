/*
A campaign's launch, for one tenant (product specification, workflow 2): a budget, the platform's targets, a test, and anomaly
detection with a guard for the learning phase.

Run as a buyer's login:      psql "$(aegis dsn --tenant T --role buyer)" -f sql/examples/launch.sql
Run as the application:      PGOPTIONS="-c saas.tenant_id=<the tenant's id>" psql <its URL> -f sql/examples/launch.sql
May be repeated: what is there already stays as it is, or takes the values below.
*/

begin;

insert into ads.budget_allocation (tenant_id, platform, campaign_id, budget)
values (tenancy.require_tenant(), 'meta', 'spring-2026', 5000)
on conflict (tenant_id, platform, campaign_id, period_start) do nothing;

insert into ads.platform_configs (tenant_id, platform, target_roas)
values (tenancy.require_tenant(), 'meta', 2.5)
on conflict (tenant_id, platform) do update set target_roas = excluded.target_roas;

insert into ads.ab_tests (tenant_id, name, test_type, platform, variants)
select
    tenancy.require_tenant(), 'Spring: square or tall', 'creative', 'meta',
    '[
        {"name": "square", "level": "ad", "platform_id": "spring-square", "is_control": true, "weight": 0.5},
        {"name": "tall", "level": "ad", "platform_id": "spring-tall", "is_control": false, "weight": 0.5}
    ]'::jsonb
where
    not exists (
        select from ads.ab_tests as t
        where t.name = 'Spring: square or tall'
    );

update ads.platform_configs set anomaly_detection_enabled = true;

-- While the platform still learns, its figures swing by themselves: no advice to cut before that is over.
select c.platform, c.target_roas, c.anomaly_detection_enabled, e.platform_id as still_learning
from ads.platform_configs as c
left join ads.entities as e on c.tenant_id = e.tenant_id and c.platform = e.platform and e.learning_state = 'learning'
where c.tenant_id = tenancy.require_tenant() and c.platform = 'meta';

commit;
