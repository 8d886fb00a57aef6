/* Budgets: how pacing and recommended budgets reach the table. The figures are the view ads_internal.budget_readouts (dbt). */

set local role aegis_transformer;

create or replace function ads_internal.refresh_budget_allocation(tenant_id uuid default null)
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
    if to_regclass('ads_internal.budget_readouts') is null then
        return 0;
    end if;
    begin
        return ads_internal.write_budget_allocation(refresh_budget_allocation.tenant_id);
    exception
        -- One tenant's figures broke the arithmetic of all: read each alone.
        when data_exception or numeric_value_out_of_range or invalid_parameter_value then
            null;
    end;

    for one in
        select distinct b.tenant_id     -- a tenant has many budgets
        from ads.budget_allocation as b
        where refresh_budget_allocation.tenant_id is null or b.tenant_id = refresh_budget_allocation.tenant_id
    loop
        begin
            perform set_config('ads_internal.only_tenant', one.tenant_id::text, true);
            changed := ads_internal.write_budget_allocation(one.tenant_id);
        exception
            when data_exception or numeric_value_out_of_range or invalid_parameter_value then
                get stacked diagnostics problem = message_text;
                update ads.budget_allocation as b
                set pacing_status = 'unknown',
                    results = jsonb_build_object('reason', 'The figures cannot be computed: ' || problem || '.'),
                    recommended_budget = null, spend_to_date = null, expected_to_date = null, pacing = null,
                    projected_spend = null, expected_return = null, read_at = now()
                where b.tenant_id = one.tenant_id;
                get diagnostics changed = row_count;
        end;
        read := read + changed;
    end loop;
    perform set_config('ads_internal.only_tenant', '', true);
    return read;
end
$$;
comment on function ads_internal.refresh_budget_allocation(uuid) is
'Writes pacing and recommended budgets, of one tenant or (null) of all; returns how many rows changed. A tenant that cannot be computed gets the reason.';

create or replace function ads_internal.write_budget_allocation(tenant_id uuid)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with

    readouts as materialized (
        select r.*
        from ads_internal.budget_readouts as r
        where write_budget_allocation.tenant_id is null or r.tenant_id = write_budget_allocation.tenant_id
    ),

    written as (
        update ads.budget_allocation as b
        set recommended_budget = r.recommended_budget, spend_to_date = r.spend_to_date,
            expected_to_date = r.expected_to_date, pacing = r.pacing, pacing_status = r.pacing_status,
            projected_spend = r.projected_spend, expected_return = r.expected_return, results = r.results, read_at = now()
        from readouts as r
        where b.tenant_id = r.tenant_id and b.id = r.id
            and (
                b.recommended_budget, b.spend_to_date, b.expected_to_date, b.pacing, b.pacing_status,
                b.projected_spend, b.expected_return, b.results
            ) is distinct from (
                r.recommended_budget, r.spend_to_date, r.expected_to_date, r.pacing, r.pacing_status,
                r.projected_spend, r.expected_return, r.results
            )
        returning 1
    )

    select count(*) from written
$$;
comment on function ads_internal.write_budget_allocation(uuid) is
'The step of refresh_budget_allocation: writes the read-outs of one tenant or (null) of all, where they changed.';

revoke execute on function
ads_internal.refresh_budget_allocation(uuid), ads_internal.write_budget_allocation(uuid)
from public;
