-- phase: schemas
-- says: schema staging: is missing
drop schema staging cascade;
