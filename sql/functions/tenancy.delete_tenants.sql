/*
Deletes tenants completely: every row of theirs in every table of the warehouse, whoever owns it. Each of the three
services deletes in the tables it owns, found in the catalog by their column tenant_id, so a table added later is not
forgotten. The audit trail is append only for everybody; of a tenant that leaves nothing shall stay, so its owner takes
the guard off for this one statement, under a lock that lets no other session in between. What stays is one row in
ops.tenant_deletions that holds no name and no id, only the id's hash.
*/

set local role aegis_owner;
grant create on schema tenancy to aegis_transformer, aegis_loader;

set local role aegis_loader;

create or replace function tenancy.delete_raw_rows(tenants uuid[])
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    place regclass;
    deleted bigint;
    total bigint := 0;
begin
    for place in
        select c.oid::regclass
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relkind in ('r', 'p') and c.relowner = (select r.oid from pg_roles as r where r.rolname = current_user)
        order by 1
    loop
        execute format('delete from %s where tenant_id::text = any($1)', place) using tenants::text[];
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    return total;
end
$$;
comment on function tenancy.delete_raw_rows(uuid[]) is 'Part of tenancy.delete_tenants: rows in everything the loader owns.';
revoke execute on function tenancy.delete_raw_rows(uuid[]) from public;
grant execute on function tenancy.delete_raw_rows(uuid[]) to aegis_owner;

create or replace function tenancy.delete_raw_rates(files text)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    loads text[];
begin
    with

    gone as (
        delete from raw_manual.currency_rates as r
        where starts_with(r.source_name, delete_raw_rates.files)
            and exists (select from tenancy.tenants as t where t.is_demo)
        returning r.load_id
    )

    select coalesce(array_agg(distinct g.load_id), '{}') into loads from gone as g;
    return loads;
end
$$;
comment on function tenancy.delete_raw_rates(text) is
'Part of tenancy.remove_demo: the demo''s exchange rates, by the begin of their file''s name; returns their loads.';
revoke execute on function tenancy.delete_raw_rates(text) from public;
grant execute on function tenancy.delete_raw_rates(text) to aegis_owner;

set local role aegis_transformer;

create or replace function tenancy.delete_mart_rows(tenants uuid[])
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    place regclass;
    deleted bigint;
    total bigint := 0;
begin
    for place in
        select c.oid::regclass
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relkind in ('r', 'p') and c.relowner = (select r.oid from pg_roles as r where r.rolname = current_user)
        order by 1
    loop
        execute format('delete from %s where tenant_id::text = any($1)', place) using tenants::text[];
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    return total;
end
$$;
comment on function tenancy.delete_mart_rows(uuid[]) is 'Part of tenancy.delete_tenants: rows in everything the transformer owns.';
revoke execute on function tenancy.delete_mart_rows(uuid[]) from public;
grant execute on function tenancy.delete_mart_rows(uuid[]) to aegis_owner;

set local role aegis_owner;
revoke create on schema tenancy from aegis_transformer, aegis_loader;

create or replace function tenancy.delete_tenants(tenants uuid[])
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    place regclass;
    deleted bigint;
    total bigint;
begin
    if '00000000-0000-0000-0000-000000000000' = any(delete_tenants.tenants) then
        raise exception 'the reserved tenant holds the rows for everybody and cannot be deleted' using errcode = '42501';
    end if;

    -- Loads of several tenants have no tenant in the log; those that brought nothing but theirs go with them.
    delete from ops.import_log as l
    where l.tenant_id is null
        and exists (
            select from ops.coverage as c where c.load_id = l.load_id and c.tenant_id = any(delete_tenants.tenants)
        )
        and not exists (
            select from ops.coverage as c where c.load_id = l.load_id and c.tenant_id <> all(delete_tenants.tenants)
        );
    get diagnostics total = row_count;
    total := total + tenancy.delete_raw_rows(delete_tenants.tenants) + tenancy.delete_mart_rows(delete_tenants.tenants);

    for place in
        select c.oid::regclass
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relkind in ('r', 'p')
            and c.relowner = (select r.oid from pg_roles as r where r.rolname = current_user)
            and c.oid not in ('tenancy.tenants'::regclass, 'audit.changes'::regclass)
        order by 1
    loop
        execute format('delete from %s where tenant_id::text = any($1)', place) using delete_tenants.tenants::text[];
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    delete from tenancy.tenants as t where t.tenant_id = any(delete_tenants.tenants);
    get diagnostics deleted = row_count;
    total := total + deleted;

    alter table audit.changes disable trigger changes_append_only;
    delete from audit.changes as a where a.tenant_id = any(delete_tenants.tenants);
    get diagnostics deleted = row_count;
    alter table audit.changes enable trigger changes_append_only;
    return total + deleted;
end
$$;
comment on function tenancy.delete_tenants(uuid[]) is
'Deletes every row of these tenants from every schema, their audit trail included; returns how many. Run by the owner.';
revoke execute on function tenancy.delete_tenants(uuid[]) from public;

create or replace function tenancy.remove_demo(files text)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    demo uuid[] := (select coalesce(array_agg(t.tenant_id), '{}') from tenancy.tenants as t where t.is_demo);
    rate_loads text[];
    deleted bigint;
    total bigint;
begin
    if cardinality(demo) = 0 then
        return 0;
    end if;
    delete from ops.import_log as l where l.tenant_id is null and starts_with(l.source_name, remove_demo.files);
    rate_loads := tenancy.delete_raw_rates(remove_demo.files);
    delete from history.currency_rates as h where h.load_id = any(rate_loads);
    get diagnostics deleted = row_count;
    total := deleted + tenancy.delete_tenants(demo);
    return total;
end
$$;
comment on function tenancy.remove_demo(text) is
'Deletes the demo tenants and the rates from files whose name begins so, from every schema; returns how many. Run by the owner.';
revoke execute on function tenancy.remove_demo(text) from public;
