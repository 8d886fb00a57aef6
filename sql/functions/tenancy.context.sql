/*
Who is asking, and which tenants that login may see. Policies and definer functions rest on these, so they read
nothing but the catalog, tenancy.role_tenants and two settings. A setting is no credential: for people's logins it
only narrows what was granted; only the application may choose a tenant by setting.
*/

set local role aegis_owner;

create or replace function tenancy.acting_role()
returns text
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(nullif(current_setting('role', true), 'none'), session_user::text)
$$;
comment on function tenancy.acting_role() is
'The role the session acts as, inside definer functions too, where current_user is the definer.';

create or replace function tenancy.is_application()
returns boolean
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select pg_has_role(tenancy.acting_role()::name, 'aegis_app', 'member')
$$;
comment on function tenancy.is_application() is 'Whether the session acts as the trusted application.';

create or replace function tenancy.acting_person()
returns text
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        case
            when tenancy.is_application() or pg_has_role(tenancy.acting_role()::name, 'aegis_owner', 'member')
                then nullif(current_setting('saas.user_id', true), '')
        end,
        session_user::text
    )
$$;
comment on function tenancy.acting_person() is
'Who decides: the user whom the application or the operator''s command names in saas.user_id, else the login.';

create or replace function tenancy.current_tenant_id()
returns uuid
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select nullif(current_setting('saas.tenant_id', true), '')::uuid
$$;
comment on function tenancy.current_tenant_id() is 'The tenant of the setting saas.tenant_id; null when unset; an error when it is no uuid.';

create or replace function tenancy.visible_tenants()
returns uuid[]
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
-- Once in every query of a reader: the two expressions are those of current_tenant_id() and acting_role(), whose calls
-- would cost more than the rest together.
declare
    chosen uuid := nullif(current_setting('saas.tenant_id', true), '')::uuid;
    login oid := to_regrole(quote_ident(coalesce(nullif(current_setting('role', true), 'none'), session_user::text)));
    granted uuid[] := array(select bound.tenant_id from tenancy.role_tenants as bound where bound.role_oid = login);
begin
    if chosen is null then
        return granted;
    elsif chosen = any(granted) then
        return array[chosen];
    end if;
    return '{}';
end
$$;
comment on function tenancy.visible_tenants() is
'The tenants the acting login is bound to, narrowed by saas.tenant_id where that is set.';

create or replace function tenancy.visible_and_shared_tenants()
returns uuid[]
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when cardinality(v.tenants) = 0 then '{}'::uuid[]
        else v.tenants || '00000000-0000-0000-0000-000000000000'::uuid
    end
    from (select tenancy.visible_tenants() as tenants) as v
$$;
comment on function tenancy.visible_and_shared_tenants() is
'visible_tenants() and the reserved tenant, for the two tables whose reserved rows everybody may read.';

create or replace function tenancy.may_use_tenant(tenant_id uuid)
returns boolean
language sql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        pg_has_role(tenancy.acting_role()::name, 'aegis_transformer', 'member')
        or pg_has_role(tenancy.acting_role()::name, 'aegis_owner', 'member')
        or (tenancy.is_application() and may_use_tenant.tenant_id = tenancy.current_tenant_id())
        or may_use_tenant.tenant_id = any(tenancy.visible_tenants()),
        false
    )
$$;
comment on function tenancy.may_use_tenant(uuid) is
'Whether the session may act for the tenant: its own services, the application for its tenant, a login for those it is bound to.';

create or replace function tenancy.require_tenant(tenant_id uuid)
returns uuid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not tenancy.may_use_tenant(require_tenant.tenant_id) then
        raise exception 'tenant % is not one of yours', coalesce(require_tenant.tenant_id::text, '(null)')
            using errcode = '42501',
            hint = 'Name a tenant this login is bound to; the application sets saas.tenant_id first, inside a transaction.';
    end if;
    return require_tenant.tenant_id;
end
$$;
comment on function tenancy.require_tenant(uuid) is 'The tenant where the session may act for it; error 42501 otherwise.';

create or replace function tenancy.require_tenant()
returns uuid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    tenants uuid[];
begin
    if tenancy.current_tenant_id() is not null then
        return tenancy.require_tenant(tenancy.current_tenant_id());
    end if;
    tenants := tenancy.visible_tenants();
    if cardinality(tenants) = 1 then
        return tenants[1];
    end if;
    raise exception 'no tenant is chosen'
        using errcode = '42501', hint = 'BEGIN; SET LOCAL saas.tenant_id = ''<the tenant''''s id>''; … COMMIT;';
end
$$;
comment on function tenancy.require_tenant() is
'The tenant of the setting, or the only one the login is bound to; error 42501 where there is none.';

create or replace function tenancy.currency_of(tenant_id uuid)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select t.currency
    from tenancy.tenants as t
    where t.tenant_id = currency_of.tenant_id and tenancy.may_use_tenant(currency_of.tenant_id)
$$;
comment on function tenancy.currency_of(uuid) is 'The tenant''s reporting currency; null where the session may not act for it.';

revoke execute on all functions in schema tenancy from public;
grant execute on function
tenancy.acting_role(), tenancy.is_application(), tenancy.acting_person(), tenancy.current_tenant_id(),
tenancy.visible_tenants(), tenancy.visible_and_shared_tenants(), tenancy.may_use_tenant(uuid),
tenancy.require_tenant(uuid), tenancy.require_tenant(), tenancy.currency_of(uuid)
to aegis_app, aegis_reader, aegis_transformer, aegis_loader;
