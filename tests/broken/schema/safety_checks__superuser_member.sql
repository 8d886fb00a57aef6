-- phase: safety checks
-- says: LOGIN: is a superuser and a member of one of our roles
create role LOGIN login superuser;
grant aegis_buyer to LOGIN with inherit true, set false;
