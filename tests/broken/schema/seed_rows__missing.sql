-- phase: seed rows
-- says: default configuration of tiktok: is missing
delete from ads.platform_configs where platform = 'tiktok';
