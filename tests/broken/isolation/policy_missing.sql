-- A mart without row security: the event trigger was off when it was switched off.
-- relation: "ads"."entities"
alter event trigger aegis_ads_row_security disable;
alter table ads.entities disable row level security;
