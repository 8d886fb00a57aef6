/*
What      The audit trail becomes complete: logins bound and released, accounts entered by hand, and what people own in
          budgets, tests and configurations, whichever login writes it.
Why       The triggers left out the transformer as the machine. In these three tables a machine writes only its own columns,
          so a person who works with the transformer's login was left out with it.
Notice    Machine columns (pacing, results, …) still leave no trace: the triggers fire on people's columns only.
*/

set local role aegis_transformer;

drop trigger budget_allocation_audit on ads.budget_allocation;
create trigger budget_allocation_audit
after insert or delete or update of tenant_id, id, platform, campaign_id, period_start, period_end, budget, currency, notes,
created_by on ads.budget_allocation
for each row execute function audit.record('tenant_id', 'id');

drop trigger ab_tests_audit on ads.ab_tests;
create trigger ab_tests_audit
after insert or delete or update of tenant_id, id, name, test_type, platform, metric, assignment, variants, start_date,
end_date, min_sample, min_days, alpha, status on ads.ab_tests
for each row execute function audit.record('tenant_id', 'id');

drop trigger platform_configs_audit on ads.platform_configs;
create trigger platform_configs_audit after insert or update or delete on ads.platform_configs
for each row execute function audit.record('tenant_id', 'platform');

set local role aegis_owner;

drop trigger ad_accounts_audit on tenancy.ad_accounts;
create trigger ad_accounts_audit after insert or update or delete on tenancy.ad_accounts
for each row execute function audit.record('tenant_id', 'platform', 'account_id');
create trigger role_tenants_audit after insert or update or delete on tenancy.role_tenants
for each row execute function audit.record('tenant_id', 'role_name');
