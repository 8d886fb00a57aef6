/*
What      The id that somebody else's files give a tenant.
Why       Tenants made by an import of files keep the uuid of the warehouse for themselves; what goes back to the files'
          owner, a replay's export, must name them as the files did.
*/

set local role aegis_owner;

alter table tenancy.tenants add column external_id text;
alter table tenancy.tenants add constraint tenants_external_id_key unique (external_id);
comment on column tenancy.tenants.external_id is
'What the files that made this tenant call it, where that is no uuid; survives a change of its name.';
