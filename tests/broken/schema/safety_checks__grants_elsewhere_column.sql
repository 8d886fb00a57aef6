-- phase: safety checks
-- says: tenancy.tenants: aegis_app has select of column name
grant select (name) on tenancy.tenants to aegis_app;
