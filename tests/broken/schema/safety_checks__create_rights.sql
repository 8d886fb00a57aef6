-- phase: safety checks
-- says: schema ads: aegis_analyst may create in it
grant create on schema ads to aegis_analyst;
