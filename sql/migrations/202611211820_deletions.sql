/*
What      The record of deleted tenants, and the removal of functions whose work tenancy.delete_tenants does.
Why       That a deletion happened must be provable; whom it concerned must not be readable.
*/

set local role aegis_owner;

create table ops.tenant_deletions (
    deletion_id bigint generated always as identity,
    tenant_hash text not null,
    deleted_rows bigint not null,
    deleted_by text not null default session_user,
    deleted_at timestamptz not null default now(),
    constraint tenant_deletions_pkey primary key (deletion_id)
);
comment on table ops.tenant_deletions is
'One row per deleted tenant: SHA-256 of its id, so that who knows the id can prove the deletion and nobody else learns it.';

drop function if exists tenancy.remove_demo_raw(text), tenancy.remove_demo_marts();
