-- A login that can become the transformer.
-- class: roles
grant aegis_transformer to READER with inherit false, set true;
-- undo
revoke aegis_transformer from READER;
