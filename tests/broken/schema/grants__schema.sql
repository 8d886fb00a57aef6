-- phase: grants
-- says: schema history: aegis_reader has usage
grant usage on schema history to aegis_reader;
