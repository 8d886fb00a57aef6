/*
Deletes the demo completely: every row of a demo tenant in every table of the warehouse, whoever owns it.
Each of the three services deletes in the tables it owns, found in the catalog by their column tenant_id, so a table
added later is not forgotten. The functions know no other tenants than those marked is_demo. The audit trail is
append only for everybody; of a demo nothing shall stay, so its owner takes the guard off for this one statement, under
a lock that lets no other session in between.
*/

set local role aegis_owner;
grant create on schema tenancy to aegis_transformer, aegis_loader;

set local role aegis_loader;

create or replace function tenancy.remove_demo_raw(files text)
returns table (removed bigint, rate_loads text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    place regclass;
    deleted bigint;
begin
    removed := 0;
    for place in
        select c.oid::regclass
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relkind in ('r', 'p') and c.relowner = (select r.oid from pg_roles as r where r.rolname = current_user)
        order by 1
    loop
        execute format(
            'delete from %s where tenant_id::text in (select t.tenant_id::text from tenancy.tenants as t where t.is_demo)', place
        );
        get diagnostics deleted = row_count;
        removed := removed + deleted;
    end loop;

    with

    gone as (
        delete from raw_manual.currency_rates as r where starts_with(r.source_name, remove_demo_raw.files) returning r.load_id
    )

    select coalesce(array_agg(distinct g.load_id), '{}'), removed + count(*)
    into rate_loads, removed
    from gone as g;
    return next;
end
$$;
comment on function tenancy.remove_demo_raw(text) is
'Part of tenancy.remove_demo: raw rows of demo tenants, and the demo''s rates, with the loads these came from.';
revoke execute on function tenancy.remove_demo_raw(text) from public;
grant execute on function tenancy.remove_demo_raw(text) to aegis_owner;

set local role aegis_transformer;

create or replace function tenancy.remove_demo_marts()
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    place regclass;
    removed bigint;
    total bigint := 0;
begin
    for place in
        select c.oid::regclass
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relkind in ('r', 'p') and c.relowner = (select r.oid from pg_roles as r where r.rolname = current_user)
        order by 1
    loop
        execute format(
            'delete from %s where tenant_id::text in (select t.tenant_id::text from tenancy.tenants as t where t.is_demo)', place
        );
        get diagnostics removed = row_count;
        total := total + removed;
    end loop;
    return total;
end
$$;
comment on function tenancy.remove_demo_marts() is 'Part of tenancy.remove_demo: rows of demo tenants in everything the transformer owns.';
revoke execute on function tenancy.remove_demo_marts() from public;
grant execute on function tenancy.remove_demo_marts() to aegis_owner;

set local role aegis_owner;
revoke create on schema tenancy from aegis_transformer, aegis_loader;

create or replace function tenancy.remove_demo(files text)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    demo uuid[] := (select coalesce(array_agg(t.tenant_id), '{}') from tenancy.tenants as t where t.is_demo);
    rate_loads text[];
    place regclass;
    removed bigint;
    total bigint;
begin
    if cardinality(demo) = 0 then
        return 0;
    end if;

    -- Loads of several tenants have no tenant in the log; those that brought nothing but the demo go with it.
    delete from ops.import_log as l
    where l.tenant_id is null and (
        starts_with(l.source_name, remove_demo.files)
        or (
            exists (select from ops.coverage as c where c.load_id = l.load_id and c.tenant_id = any(demo))
            and not exists (select from ops.coverage as c where c.load_id = l.load_id and c.tenant_id <> all(demo))
        )
    );

    select r.removed, r.rate_loads into total, rate_loads from tenancy.remove_demo_raw(remove_demo.files) as r;
    delete from history.currency_rates as h where h.load_id = any(rate_loads);
    get diagnostics removed = row_count;
    total := total + removed + tenancy.remove_demo_marts();

    for place in
        select c.oid::regclass
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relkind in ('r', 'p')
            and c.relowner = (select r.oid from pg_roles as r where r.rolname = current_user)
            and c.oid not in ('tenancy.tenants'::regclass, 'audit.changes'::regclass)
        order by 1
    loop
        execute format('delete from %s where tenant_id::text = any($1)', place) using demo::text[];
        get diagnostics removed = row_count;
        total := total + removed;
    end loop;
    delete from tenancy.tenants as t where t.tenant_id = any(demo);
    get diagnostics removed = row_count;
    total := total + removed;

    alter table audit.changes disable trigger changes_append_only;
    delete from audit.changes as a where a.tenant_id = any(demo);
    get diagnostics removed = row_count;
    alter table audit.changes enable trigger changes_append_only;
    return total + removed;
end
$$;
comment on function tenancy.remove_demo(text) is
'Deletes every row of the demo tenants and the rates from files whose name begins so, from every schema; returns how many. Run by the owner.';
revoke execute on function tenancy.remove_demo(text) from public;
