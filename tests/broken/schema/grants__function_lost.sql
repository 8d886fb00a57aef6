-- phase: grants
-- says: function tenancy.visible_tenants(): aegis_reader lacks execute
revoke execute on function tenancy.visible_tenants() from aegis_reader;
