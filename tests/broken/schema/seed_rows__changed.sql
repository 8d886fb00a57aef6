-- phase: seed rows
-- says: default configuration of meta: max_cpa is 51
update ads.platform_configs set max_cpa = 51 where platform = 'meta';
