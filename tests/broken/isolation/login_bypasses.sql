-- One login that row security does not hold for.
alter role BUYER bypassrls;
-- undo
alter role BUYER nobypassrls;
