-- The trigger that refuses a key that is there runs with its owner's rights: it tells of other tenants' keys.
-- relation: "ads"."metrics_daily"
alter function ads_internal.fill_hand_row() security definer;
