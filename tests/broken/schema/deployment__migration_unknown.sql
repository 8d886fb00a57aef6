-- phase: deployment
-- says: migration 209901010000_new.sql: ran on this database, but this checkout does not know it
insert into public.deployment_log (phase, name, hash, status, duration_ms, aegis_version) values ('migration', '209901010000_new.sql', 'x', 'done', 1, '9');
