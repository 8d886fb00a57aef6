-- One login that row security does not hold for.
-- relation: "ads"."metrics_daily"
alter role BUYER bypassrls;
-- undo
alter role BUYER nobypassrls;
