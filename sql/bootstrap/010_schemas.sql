/*
What      The schemas of one database, their owners, and what each role may reach by default: nothing.
Why       Every right is granted by name later on; a schema, table or function that nobody thought of is closed.
Run by    An administrator, once per database and again on every deploy. Idempotent.
*/

do $$
begin
    execute format('revoke create, temporary on database %I from public', current_database());
    execute format(
        'grant connect on database %I to aegis_owner, aegis_loader, aegis_transformer, aegis_app, aegis_reader',
        current_database()
    );
    execute format(
        'grant temporary on database %I to aegis_owner, aegis_loader, aegis_transformer, aegis_analyst', current_database()
    );
    execute format('grant create on database %I to aegis_loader, aegis_transformer', current_database());
end
$$;

create schema if not exists tenancy authorization aegis_owner;
create schema if not exists ops authorization aegis_owner;
create schema if not exists audit authorization aegis_owner;
create schema if not exists raw_manual authorization aegis_loader;
create schema if not exists raw_meta authorization aegis_loader;
create schema if not exists history authorization aegis_owner;
create schema if not exists staging authorization aegis_transformer;
create schema if not exists intermediate authorization aegis_transformer;
create schema if not exists ads_internal authorization aegis_transformer;
create schema if not exists ads authorization aegis_transformer;

comment on schema tenancy is 'Tenants, their ad accounts, who may see whom, and the functions that policies call.';
comment on schema ops is 'What was loaded, refused and run: coverage, quarantine, import log, daily runs, findings.';
comment on schema audit is 'Every change to rows that people own. Append only.';
comment on schema raw_manual is 'Files and hand-entered rows as they arrived. Append only.';
comment on schema raw_meta is 'What Meta''s Marketing API answered, as typed rows. Append only.';
comment on schema history is 'What cannot be recomputed: which figure was known when, entities, changes, currency rates.';
comment on schema staging is 'Raw tables renamed, cast and in common units. No reader may use it.';
comment on schema intermediate is 'Steps between staging and the marts. No reader may use it.';
comment on schema ads_internal is 'Detectors, rules, the views behind the functions, and logs. No reader may use it.';
comment on schema ads is 'The contract: marts that analysts, buyers and BI tools read under row level security.';

revoke all on schema public from public;
revoke all on schema tenancy, ops, audit, raw_manual, raw_meta, history, staging, intermediate, ads_internal, ads from public;

grant usage on schema public to aegis_owner, aegis_transformer;
grant create on schema public to aegis_owner;
grant usage on schema tenancy to aegis_loader, aegis_transformer, aegis_app, aegis_reader;
grant usage on schema ops to aegis_loader, aegis_transformer;
grant usage on schema raw_manual, raw_meta to aegis_transformer;
grant usage on schema history to aegis_loader, aegis_transformer;
grant usage on schema audit to aegis_transformer, aegis_app, aegis_reader;
grant usage on schema ads to aegis_app, aegis_reader, aegis_owner;

alter default privileges for role aegis_owner revoke execute on functions from public;
alter default privileges for role aegis_loader revoke execute on functions from public;
alter default privileges for role aegis_transformer revoke execute on functions from public;
