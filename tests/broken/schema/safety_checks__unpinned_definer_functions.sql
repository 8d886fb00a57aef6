-- phase: safety checks
-- says: is security definer without a pinned search_path
set role aegis_owner;
create function ops.helper() returns int language sql security definer as 'select 1';
