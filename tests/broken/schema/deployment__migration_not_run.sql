-- phase: deployment
-- says: migration 202611201020_triggers.sql: has not run
delete from public.deployment_log where name = '202611201020_triggers.sql';
