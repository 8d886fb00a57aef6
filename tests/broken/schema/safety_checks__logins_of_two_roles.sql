-- phase: safety checks
-- says: LOGIN: is a member of aegis_app, aegis_buyer
create role LOGIN login;
grant aegis_app to LOGIN with inherit true, set false;
grant aegis_buyer to LOGIN with inherit true, set false;
