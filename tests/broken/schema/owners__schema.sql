-- phase: owners
-- says: schema ads: belongs to aegis_owner, not aegis_transformer
alter schema ads owner to aegis_owner;
