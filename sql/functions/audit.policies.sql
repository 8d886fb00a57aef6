/*
The policies of the audit trail, made again at each deploy where one is missing: the server counts a policy as a
possession of the role it is for, and lets the role's members drop it (sql/superuser/020_drop_owned.sql).
*/

set local role aegis_owner;

do $$
begin
    if to_regclass('audit.changes') is null then
        return;   -- the first deployment: its migrations make the table and the policies
    end if;
    if not exists (
        select from pg_policy as p where p.polrelid = 'audit.changes'::regclass and p.polname = 'changes_reader_select'
    ) then
        create policy changes_reader_select on audit.changes for select to aegis_reader
        using (tenant_id = any((select tenancy.visible_tenants())::uuid[]));
    end if;
    if not exists (
        select from pg_policy as p where p.polrelid = 'audit.changes'::regclass and p.polname = 'changes_app_select'
    ) then
        create policy changes_app_select on audit.changes for select to aegis_app
        using (tenant_id = (select nullif(current_setting('saas.tenant_id', true), '')::uuid));
    end if;
end
$$;
