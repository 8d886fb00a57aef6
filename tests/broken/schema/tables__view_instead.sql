-- phase: tables
-- says: ads.entities: is a view, not a table
set role aegis_transformer;
alter table ads.entities rename to entities_old;
create view ads.entities as select * from ads.entities_old;
