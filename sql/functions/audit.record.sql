/*
Writes one audit row per change of a row that people own. The trigger names the key columns as its arguments.
*/

set local role aegis_owner;

create or replace function audit.record()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    old_row jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
    new_row jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
    any_row jsonb := coalesce(new_row, old_row);
    old_changed jsonb := old_row;
    new_changed jsonb := new_row;
begin
    if tg_op = 'UPDATE' then
        select jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, new_row -> o.key)
        into old_changed, new_changed
        from jsonb_each(old_row) as o
        where o.value is distinct from new_row -> o.key;
        if old_changed is null then
            return null;
        end if;
    end if;

    insert into audit.changes (tenant_id, relation, operation, login, person, row_key, old_values, new_values)
    select
        (any_row ->> 'tenant_id')::uuid,
        format('%s.%s', tg_table_schema, tg_table_name),
        lower(tg_op),
        session_user,
        tenancy.acting_person(),
        (select jsonb_object_agg(k, any_row -> k) from unnest(tg_argv) as k),
        old_changed,
        new_changed;
    return null;
end
$$;
comment on function audit.record() is 'Trigger: appends who changed what, when, with old and new values of the changed columns.';

create or replace function audit.refuse_change()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'the audit trail is append only'
        using errcode = '42501', hint = 'Rows of audit.changes are never changed or removed.';
end
$$;
comment on function audit.refuse_change() is 'Trigger: refuses to change or remove audit rows, whoever asks.';

revoke execute on function audit.record(), audit.refuse_change() from public;
grant execute on function audit.record() to aegis_transformer;
grant usage on schema audit to aegis_transformer;
