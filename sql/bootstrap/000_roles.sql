/*
What      The cluster's group roles. None can log in; logins become members of exactly one of app, reader,
          buyer and analyst, service logins of owner, loader or transformer.
Why here  Roles belong to the cluster, not to a database, so no migration of one database may own them.
Run by    An administrator: a superuser, or a role with CREATEROLE. Idempotent, and silent where nothing is missing:
          two databases of one cluster may be deployed at the same moment.
*/

do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'aegis_owner', 'aegis_loader', 'aegis_transformer', 'aegis_app',
        'aegis_reader', 'aegis_buyer', 'aegis_analyst'
    ]
    loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception when duplicate_object or unique_violation then
                null;   -- another deployment on this cluster made it a moment ago
            end;
        end if;
    end loop;

    -- A superuser needs no membership; anybody else must be able to become the roles that own things.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        foreach role_name in array array['aegis_owner', 'aegis_loader', 'aegis_transformer', 'aegis_app']
        loop
            if not (pg_has_role(role_name, 'usage') and pg_has_role(role_name, 'set')) then
                execute format('grant %I to %I with inherit true, set true', role_name, current_user);
            end if;
        end loop;
    end if;
end
$$;

do $$
declare
    member_name text;
begin
    foreach member_name in array array['aegis_buyer', 'aegis_analyst']
    loop
        if not pg_has_role(member_name, 'aegis_reader', 'usage') then
            execute format('grant aegis_reader to %I with inherit true, set false', member_name);
        end if;
    end loop;
end
$$;

-- After five executions a prepared statement may get a plan that knows neither the tenant nor the level.
do $$
begin
    if not exists (
        select from pg_db_role_setting as s
        where s.setrole = 'aegis_app'::regrole and s.setdatabase = 0
            and 'plan_cache_mode=force_custom_plan' = any(s.setconfig)
    ) then
        alter role aegis_app set plan_cache_mode = 'force_custom_plan';
    end if;
end
$$;
