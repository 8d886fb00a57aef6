-- phase: grants
-- says: function ads.mine(): is not one of ours, and aegis_reader may execute it
set role aegis_transformer;
create function ads.mine() returns int language sql as 'select 1';
grant execute on function ads.mine() to aegis_reader;
