-- phase: safety checks
-- says: gone: is bound to tenant
insert into tenancy.tenants (name) values ('north');
insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind)
select 4294967295, 'gone', tenant_id, 'reader' from tenancy.tenants where name = 'north';
