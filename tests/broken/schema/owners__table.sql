-- phase: owners
-- says: table ads.anomalies: belongs to aegis_owner, not aegis_transformer
grant create on schema ads to aegis_owner;
alter table ads.anomalies owner to aegis_owner;
revoke create on schema ads from aegis_owner;
