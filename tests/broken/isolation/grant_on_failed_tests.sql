-- The rows that dbt's failed tests stored, opened for debugging.
-- relation: "ads_dbt_test__audit"."not_null_left"
grant usage on schema ads_dbt_test__audit to public;
grant select on all tables in schema ads_dbt_test__audit to public;
