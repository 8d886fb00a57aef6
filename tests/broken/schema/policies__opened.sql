-- phase: policies
-- says: policy metrics_daily_reader_select of ads.metrics_daily: reads: select to aegis_reader using (true)
alter policy metrics_daily_reader_select on ads.metrics_daily using (true);
