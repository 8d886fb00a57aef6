-- phase: safety checks
-- says: history.performance_versions: aegis_reader has select
grant select on history.performance_versions to aegis_reader;
