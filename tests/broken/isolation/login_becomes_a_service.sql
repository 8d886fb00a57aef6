-- A login that can become the transformer.
grant aegis_transformer to READER with inherit false, set true;
-- undo
revoke aegis_transformer from READER;
