-- Somebody wanted to look something up.
-- relation: "raw_manual"."performance"
grant usage on schema raw_manual to aegis_reader;
grant select on raw_manual.performance to aegis_reader;
