-- phase: safety checks
-- says: LOGIN: is a member of aegis_loader, aegis_reader
create role LOGIN login;
grant aegis_loader to LOGIN with inherit true, set true;
grant aegis_reader to LOGIN with inherit true, set false;
