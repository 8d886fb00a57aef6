-- phase: functions
-- says: function tenancy.visible_tenants(): is volatile, not stable
alter function tenancy.visible_tenants() volatile;
