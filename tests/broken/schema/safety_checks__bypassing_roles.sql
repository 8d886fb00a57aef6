-- phase: safety checks
-- says: LOGIN: has BYPASSRLS
create role LOGIN login bypassrls;
grant aegis_reader to LOGIN with inherit true, set false;
