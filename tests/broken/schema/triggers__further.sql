-- phase: triggers
-- says: trigger extra of ads.anomalies: is not one of ours
create trigger extra before insert on ads.anomalies for each row execute function ads_internal.fill_config();
