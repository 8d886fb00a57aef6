/*
What      Triggers of the tables that people write: filling, life cycles, audit.
Notice    None fires for the transformer's bulk loads except the life cycles' guards.
*/

set local role aegis_transformer;

create trigger metrics_daily_fill before insert or update on ads.metrics_daily
for each row when (current_user <> 'aegis_transformer') execute function ads_internal.fill_hand_row();
create trigger metrics_daily_record after insert or update or delete on ads.metrics_daily
for each row when (current_user <> 'aegis_transformer') execute function ads_internal.record_hand_row();
create trigger metrics_daily_audit after insert or update or delete on ads.metrics_daily
for each row when (current_user <> 'aegis_transformer')
execute function audit.record('tenant_id', 'platform', 'level', 'platform_id', 'day');

create trigger optimization_recommendations_guard before update on ads.optimization_recommendations
for each row execute function ads_internal.guard_recommendation();
create trigger optimization_recommendations_audit after insert or update or delete on ads.optimization_recommendations
for each row when (current_user <> 'aegis_transformer') execute function audit.record('tenant_id', 'id');

create trigger anomalies_guard before update on ads.anomalies
for each row execute function ads_internal.guard_anomaly();
create trigger anomalies_audit after insert or update or delete on ads.anomalies
for each row when (current_user <> 'aegis_transformer') execute function audit.record('tenant_id', 'id');

create trigger budget_allocation_fill before insert or update on ads.budget_allocation
for each row when (current_user <> 'aegis_transformer') execute function ads_internal.fill_budget();
create trigger budget_allocation_audit after insert or update or delete on ads.budget_allocation
for each row when (current_user <> 'aegis_transformer') execute function audit.record('tenant_id', 'id');

create trigger ab_tests_audit after insert or update or delete on ads.ab_tests
for each row when (current_user <> 'aegis_transformer') execute function audit.record('tenant_id', 'id');

create trigger platform_configs_fill before insert or update on ads.platform_configs
for each row when (current_user <> 'aegis_transformer') execute function ads_internal.fill_config();
create trigger platform_configs_audit after insert or update or delete on ads.platform_configs
for each row when (current_user <> 'aegis_transformer') execute function audit.record('tenant_id', 'platform');

set local role aegis_owner;

create trigger tenants_audit after insert or update or delete on tenancy.tenants
for each row execute function audit.record('tenant_id');
create trigger ad_accounts_audit after update or delete on tenancy.ad_accounts
for each row execute function audit.record('tenant_id', 'platform', 'account_id');

create trigger changes_append_only before update or delete or truncate on audit.changes
for each statement execute function audit.refuse_change();

-- The trail is read per tenant and never written but by the trigger, which runs as its owner.
alter table audit.changes enable row level security;
create policy changes_reader_select on audit.changes for select to aegis_reader
using (tenant_id = any((select tenancy.visible_tenants())::uuid[]));
create policy changes_app_select on audit.changes for select to aegis_app
using (tenant_id = (select nullif(current_setting('saas.tenant_id', true), '')::uuid));
grant select on audit.changes to aegis_reader, aegis_app;
