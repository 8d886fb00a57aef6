/*
What      An event trigger that enables row security on every table that appears in schema ads by any way.
Why       Without it a table made by hand, or a build without its hook, would be open to whoever it is granted to.
          It enables and does not force: a build fills its new table, as the table's owner, before the policies exist.
Run by    A superuser, because only one may own an event trigger. The function belongs to the superuser as well:
          it runs as whoever issues a command, so nobody else may be able to replace it.
*/

create or replace function public.secure_new_table()
returns event_trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    found regclass;
begin
    for found in
        select distinct c.oid::regclass
        from pg_event_trigger_ddl_commands() as d
        inner join pg_class as c on d.objid = c.oid
        where d.classid = 'pg_class'::regclass
            and c.relnamespace = to_regnamespace('ads')
            and c.relkind in ('r', 'p')
            and not c.relrowsecurity
    loop
        execute format('alter table %s enable row level security', found);
    end loop;
end
$$;
comment on function public.secure_new_table() is
'Event trigger: enables row security on a table of ads that has none; without policies nobody but its owner reads it.';
alter function public.secure_new_table() owner to current_user;
revoke execute on function public.secure_new_table() from public;

do $$
begin
    if not exists (
        select from pg_event_trigger as t
        where t.evtname = 'aegis_ads_row_security' and t.evtenabled = 'O'
            and t.evtfoid = 'public.secure_new_table'::regproc
            and t.evttags @> array['ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO']
    ) then
        drop event trigger if exists aegis_ads_row_security;
        create event trigger aegis_ads_row_security on ddl_command_end
        when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
        execute function public.secure_new_table();
    end if;
end
$$;
