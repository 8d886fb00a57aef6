/*
The salt that hashes a tenant's personal data, made on first use. For the loader only: whoever knows it can test a
guess against a hash.
*/

set local role aegis_owner;

create or replace function tenancy.salt_of(tenant uuid)
returns bytea
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into tenancy.tenant_salts as s (tenant_id) values (salt_of.tenant) on conflict do nothing;
    return (select s.salt from tenancy.tenant_salts as s where s.tenant_id = salt_of.tenant);
end
$$;
comment on function tenancy.salt_of(uuid) is 'The salt of a tenant, made on first use.';
revoke execute on function tenancy.salt_of(uuid) from public;
grant execute on function tenancy.salt_of(uuid) to aegis_loader;
