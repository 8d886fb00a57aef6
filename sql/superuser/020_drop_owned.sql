/*
What      An event trigger that refuses DROP OWNED to everybody but administrators.
Why       The server lets every member of a role say "drop owned by" that role, and counts the policies made for the role
          as its own: one reader could remove every reader's policies, and all tenants would see nothing until the next
          deployment. Nothing but an event trigger can refuse it: only public policies have no role to depend on.
Run by    A superuser. Where the administrator is none, `aegis validate` names the missing policies and `aegis deploy`
          makes them again.
*/

create or replace function public.refuse_drop_owned()
returns event_trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from pg_roles as r where r.rolname in (session_user, current_user) and (r.rolsuper or r.rolcreaterole)
    ) then
        return;
    end if;
    raise exception 'DROP OWNED is for administrators'
        using errcode = '42501', hint = 'Drop what is yours by name: drop table …, drop schema … cascade.';
end
$$;
comment on function public.refuse_drop_owned() is
'Event trigger: only an administrator may DROP OWNED; a member of a group role would drop the policies made for it.';
alter function public.refuse_drop_owned() owner to current_user;
revoke execute on function public.refuse_drop_owned() from public;

do $$
begin
    if not exists (
        select from pg_event_trigger as t
        where t.evtname = 'aegis_refuse_drop_owned' and t.evtenabled = 'O'
            and t.evtfoid = 'public.refuse_drop_owned'::regproc
    ) then
        drop event trigger if exists aegis_refuse_drop_owned;
        create event trigger aegis_refuse_drop_owned on ddl_command_start
        when tag in ('DROP OWNED')
        execute function public.refuse_drop_owned();
    end if;
end
$$;
