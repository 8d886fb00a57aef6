-- phase: safety checks
-- says: default privileges of aegis_transformer: give aegis_reader select in schema ads
alter default privileges for role aegis_transformer in schema ads grant select on tables to aegis_reader;
