/*
What      What the marts need of a connected platform: every event of a version, a load's quality score, and the
          transformer's right to note which event an account is judged by.
Why       A version keeps all events, so that another event can be chosen later without asking the platform again.
Notice    history.performance_versions.conversions of source api is the number at load time; the models read events.
*/

set local role aegis_owner;

alter table ops.coverage add column quality_score numeric;
alter table ops.coverage add constraint coverage_quality_score_is_percent check (quality_score between 0 and 100);
comment on column ops.coverage.quality_score is 'Mean row score of the account-day, 0 to 100, by the quality step; null unknown.';
grant update (quality_score) on ops.coverage to aegis_transformer;

alter table history.performance_versions add column events jsonb;
comment on column history.performance_versions.events is
'Source api: {event: {attribution window: [conversions, conversion_value]}}, every event the platform reports; null for files and hand rows.';

-- Written once, at the account's first load, and changed by a person only.
grant update (conversion_event) on tenancy.ad_accounts to aegis_transformer;
comment on column tenancy.ad_accounts.conversion_event is
'The event that conversions and conversion_value of the marts are of. Written at the first load, then a person''s.';

set local role aegis_transformer;

create index conversions_daily_account_day_idx on ads.conversions_daily (tenant_id, platform, account_id, day);
