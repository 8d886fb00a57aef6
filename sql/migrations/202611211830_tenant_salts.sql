/*
What      One salt a tenant, with which personal data is hashed before it is stored.
Why       The same person of two tenants has two hashes, and without the salt, deleted with the tenant, no hash can be
          traced to anybody.
*/

set local role aegis_owner;

create table tenancy.tenant_salts (
    tenant_id uuid not null,
    salt bytea not null default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    created_at timestamptz not null default now(),
    constraint tenant_salts_pkey primary key (tenant_id),
    constraint tenant_salts_tenant_fkey foreign key (tenant_id) references tenancy.tenants (tenant_id)
);
comment on table tenancy.tenant_salts is 'One row per tenant whose personal data was hashed. Nobody but tenancy.salt_of reads it.';
