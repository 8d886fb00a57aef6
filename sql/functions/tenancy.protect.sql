/*
The only place where row security, policies and readers' grants are made. In that order: security, policies, grants;
a table that missed it is unreadable, not open. Returns early when nothing changed, because replacing a policy locks
readers out. Run by the table's owner, in the transaction that made the table.
*/

set local role aegis_owner;

create or replace function tenancy.people_rights(relation regclass)
returns table (privilege text, columns text[], row_condition text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select r.privilege, r.columns, r.row_condition
    from (
        values
        ('metrics_daily', 'insert', array[
            'tenant_id', 'platform', 'level', 'platform_id', 'day', 'account_id', 'campaign_id', 'adset_id', 'currency',
            'spend', 'impressions', 'clicks', 'link_clicks', 'conversions', 'conversion_value',
            'view_through_conversions', 'reach', 'frequency'
        ], null),
        ('metrics_daily', 'update', array[
            'spend', 'impressions', 'clicks', 'link_clicks', 'conversions', 'conversion_value',
            'view_through_conversions', 'reach', 'frequency'
        ], 'source = ''manual'''),
        ('metrics_daily', 'delete', null, 'source = ''manual'''),
        ('optimization_recommendations', 'update', array[
            'status', 'approved_at', 'applied_at', 'rejected_at', 'rejection_reason', 'snoozed_until'
        ], null),
        ('anomalies', 'update', array['status', 'acknowledged_at', 'resolved_at'], null),
        ('budget_allocation', 'insert', array[
            'tenant_id', 'id', 'platform', 'campaign_id', 'period_start', 'period_end', 'budget', 'currency', 'notes'
        ], null),
        ('budget_allocation', 'update', array['period_start', 'period_end', 'budget', 'currency', 'notes'], null),
        ('budget_allocation', 'delete', null, null),
        ('ab_tests', 'insert', array[
            'tenant_id', 'id', 'name', 'test_type', 'platform', 'metric', 'assignment', 'variants', 'start_date',
            'end_date', 'min_sample', 'min_days', 'alpha', 'status'
        ], null),
        ('ab_tests', 'update', array[
            'name', 'test_type', 'metric', 'assignment', 'variants', 'start_date', 'end_date', 'min_sample',
            'min_days', 'alpha', 'status'
        ], null),
        ('ab_tests', 'delete', null, null),
        ('platform_configs', 'insert', array[
            'tenant_id', 'platform', 'max_cpa', 'target_roas', 'min_roas', 'auto_pause', 'anomaly_detection_enabled',
            'thresholds', 'conversion_event', 'max_daily_budget', 'currency', 'legacy_rules'
        ], null),
        ('platform_configs', 'update', array[
            'max_cpa', 'target_roas', 'min_roas', 'auto_pause', 'anomaly_detection_enabled', 'thresholds',
            'conversion_event', 'max_daily_budget', 'currency', 'legacy_rules'
        ], null),
        ('platform_configs', 'delete', null, null)
    ) as r (table_name, privilege, columns, row_condition)
    inner join pg_class as c on c.relname = r.table_name and c.relnamespace = 'ads'::regnamespace
    where c.oid = people_rights.relation
$$;
comment on function tenancy.people_rights(regclass) is
'What buyers and the application may write in a table of ads: privilege, columns, and the rows it is limited to.';

create or replace function tenancy.policies_of(relation regclass)
returns table (name text, command text, role_name text, using_expression text, check_expression text)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    table_name text := (select c.relname from pg_class as c where c.oid = relation);
    owner_name text := (select c.relowner::regrole::text from pg_class as c where c.oid = relation);
    is_shared boolean := relation::text in ('ads.platform_configs', 'ads.performance_benchmarks');
    setting text := 'nullif(current_setting(''saas.tenant_id'', true), '''')::uuid';
    reserved text := '''00000000-0000-0000-0000-000000000000''::uuid';
    of_app text := format('tenant_id = (select %s)', setting);
    of_reader text := 'tenant_id = any ((select tenancy.visible_tenants())::uuid[])';
begin
    return query values (table_name || '_owner', 'all', owner_name, 'true', 'true');
    return query
    select table_name || '_app_select', 'select', 'aegis_app',
        case when is_shared
            then format('tenant_id = any ((select case when %1$s is null then ''{}'' else array[%1$s, %2$s] end)::uuid[])', setting, reserved)
            else of_app
        end, null::text;
    return query
    select table_name || '_reader_select', 'select', 'aegis_reader',
        case when is_shared
            then 'tenant_id = any ((select tenancy.visible_and_shared_tenants())::uuid[])'
            else of_reader
        end, null::text;
    return query
    select
        format('%s_%s_%s', table_name, w.label, r.privilege), r.privilege, w.role_name,
        case when r.privilege <> 'insert' then w.condition || coalesce(' and ' || r.row_condition, '') end,
        case when r.privilege <> 'delete' then w.condition || coalesce(' and ' || r.row_condition, '') end
    from tenancy.people_rights(relation) as r
    cross join (
        -- A setting may name the reserved tenant; its rows are everybody's, and no login may write them.
        values
        ('app', 'aegis_app', of_app || ' and tenant_id <> ' || reserved),
        ('buyer', 'aegis_buyer', of_reader)
    ) as w (label, role_name, condition);
end
$$;
comment on function tenancy.policies_of(regclass) is 'The policies a table of ads (or the audit trail) must have, one row each.';

create or replace function tenancy.protect(relation regclass)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted text;
    found_state text;
    target record;
    policy record;
    grantee text;
    columns_list text;
    rights record;
begin
    select c.relkind, c.relrowsecurity, c.relforcerowsecurity, a.attnotnull, c.oid
    into target
    from pg_class as c
    left join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.oid = relation;

    if target.relkind not in ('r', 'p') then
        raise exception '% is no table', relation
            using errcode = '42809', hint = 'Readers get tables only: views run with their owner''s rights and leak across tenants.';
    end if;
    if target.attnotnull is not true then
        raise exception '% has no tenant_id that is not null', relation
            using errcode = '23502', hint = 'Give the relation a column "tenant_id uuid not null"; without it no policy can hold.';
    end if;

    select md5(string_agg(concat_ws('|', p.name, p.command, p.role_name, p.using_expression, p.check_expression), e'\n' order by p.name))
        || md5(coalesce((
            select string_agg(concat_ws('|', r.privilege, r.columns::text), e'\n' order by r.privilege)
            from tenancy.people_rights(relation) as r
        ), ''))
    into wanted
    from tenancy.policies_of(relation) as p;

    select case
        when target.relrowsecurity and target.relforcerowsecurity and count(*) = (select count(*) from tenancy.policies_of(relation))
            and count(distinct obj_description(p.oid, 'pg_policy')) = 1
            and has_table_privilege('aegis_reader', relation, 'select') and has_table_privilege('aegis_app', relation, 'select')
            then min(obj_description(p.oid, 'pg_policy'))
    end
    into found_state
    from pg_policy as p
    where p.polrelid = relation;

    if found_state = wanted then
        return 'unchanged';
    end if;

    execute format('revoke all on %s from public', relation);
    execute format('alter table %s enable row level security, force row level security', relation);

    for policy in select p.polname as name from pg_policy as p where p.polrelid = relation
    loop
        execute format('drop policy %I on %s', policy.name, relation);
    end loop;
    for policy in select p.* from tenancy.policies_of(relation) as p
    loop
        execute format('create policy %I on %s for %s to %s', policy.name, relation, policy.command, policy.role_name)
            || coalesce(' using (' || policy.using_expression || ')', '')
            || coalesce(' with check (' || policy.check_expression || ')', '');
        execute format('comment on policy %I on %s is %L', policy.name, relation, wanted);
    end loop;

    foreach grantee in array array['aegis_app', 'aegis_reader', 'aegis_buyer']
    loop
        execute format('revoke all on %s from %s', relation, grantee);
    end loop;
    execute format('grant select on %s to aegis_app, aegis_reader', relation);
    for rights in select r.* from tenancy.people_rights(relation) as r
    loop
        columns_list := coalesce('(' || (select string_agg(quote_ident(c), ', ') from unnest(rights.columns) as c) || ')', '');
        execute format('grant %s %s on %s to aegis_app, aegis_buyer', rights.privilege, columns_list, relation);
    end loop;
    return 'protected';
end
$$;
comment on function tenancy.protect(regclass) is
'Forces row security on a table, makes its policies, then grants. Run by its owner; returns early when nothing changed.';

revoke execute on function tenancy.people_rights(regclass), tenancy.policies_of(regclass), tenancy.protect(regclass) from public;
grant execute on function tenancy.people_rights(regclass), tenancy.policies_of(regclass), tenancy.protect(regclass)
to aegis_transformer;
