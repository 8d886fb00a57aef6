-- phase: functions
-- says: function tenancy.visible_tenants(): sets nothing, not search_path
alter function tenancy.visible_tenants() reset search_path;
