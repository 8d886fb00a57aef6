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
    changed bigint;
begin
    if to_regclass('ads_internal.budget_readouts') is null then
        return 0;
    end if;

    with

    readouts as materialized (
        select r.*
        from ads_internal.budget_readouts as r
        where refresh_budget_allocation.tenant_id is null or r.tenant_id = refresh_budget_allocation.tenant_id
    )

    update ads.budget_allocation as b
    set recommended_budget = r.recommended_budget, spend_to_date = r.spend_to_date,
        expected_to_date = r.expected_to_date, pacing = r.pacing, pacing_status = r.pacing_status,
        projected_spend = r.projected_spend, expected_return = r.expected_return, results = r.results, read_at = now()
    from readouts as r
    where b.tenant_id = r.tenant_id and b.id = r.id
        and (
            b.recommended_budget, b.spend_to_date, b.expected_to_date, b.pacing, b.pacing_status, b.projected_spend,
            b.expected_return, b.results
        ) is distinct from (
            r.recommended_budget, r.spend_to_date, r.expected_to_date, r.pacing, r.pacing_status, r.projected_spend,
            r.expected_return, r.results
        );
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function ads_internal.refresh_budget_allocation(uuid) is
'Writes pacing and recommended budgets, of one tenant or (null) of all; returns how many rows changed.';

revoke execute on function ads_internal.refresh_budget_allocation(uuid) from public;
