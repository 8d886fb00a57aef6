-- phase: functions
-- says: function tenancy.visible_tenants(): is security invoker, not definer
alter function tenancy.visible_tenants() security invoker;
