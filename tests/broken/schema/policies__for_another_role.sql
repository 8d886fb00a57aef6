-- phase: policies
-- says: policy metrics_daily_reader_select of ads.metrics_daily: reads: select to public
alter policy metrics_daily_reader_select on ads.metrics_daily to public;
