/*
What      What the quality step sees in a connected platform's raw tables, how far an account's ads may be from the
          platform's own totals, and a score on every account-day.
Why       A state that is set without its reasons cannot be argued with: the observation is a row, the rule is SQL.
*/

set local role aegis_owner;

alter table ops.coverage add column if not exists quality_score numeric;
comment on column ops.coverage.quality_score is
'Mean of the row scores, 0 to 100, of what a platform''s API delivered; null for files, hand rows and a day without rows.';
grant update (quality_score) on ops.coverage to aegis_transformer;

create table ops.quality_limits (
    platform text not null,
    finding_gap numeric not null,
    withheld_gap numeric not null,
    constraint quality_limits_pkey primary key (platform),
    constraint quality_limits_fit check (finding_gap >= 0 and withheld_gap >= finding_gap)
);
comment on table ops.quality_limits is
'One row per platform, or all: how far ads may be from the platform''s own total of a day, as a share of it.';
comment on column ops.quality_limits.finding_gap is 'Above it the account-day is provisional and a finding is written.';
comment on column ops.quality_limits.withheld_gap is 'Above it rows were lost or doubled: a day that was over is withheld.';
insert into ops.quality_limits (platform, finding_gap, withheld_gap) values ('all', 0.005, 0.05);

create table ops.raw_account_days (
    coverage_id bigint not null,
    raw_table text not null,
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    day date not null,
    load_id text not null,
    days_ahead integer not null,
    rows_covered bigint,
    rows_arrived bigint not null,
    repeated_keys bigint not null,
    sums jsonb not null,
    without_value jsonb not null,
    odd_rows jsonb not null,
    new_fields text,
    rows_without_totals bigint not null,
    gap numeric,
    gap_measure text,
    gap_ads numeric,
    gap_total numeric,
    finding_gap numeric not null,
    withheld_gap numeric not null,
    noted text,
    refused text,
    quality_score numeric,
    constraint raw_account_days_pkey primary key (coverage_id, raw_table)
);
comment on table ops.raw_account_days is
'One row per account-day under judgement, its load and raw table: what the quality step counted. Replaced by each run.';
comment on column ops.raw_account_days.days_ahead is
'The day minus the account''s own day when it was asked for: 0 was not over, more had not begun.';
comment on column ops.raw_account_days.rows_covered is 'Rows that the load counted; null for a table it does not count.';
comment on column ops.raw_account_days.sums is 'Sum of each figure that cannot be negative, by column.';
comment on column ops.raw_account_days.without_value is 'Rows without each figure that every row must have, by column.';
comment on column ops.raw_account_days.odd_rows is 'Rows that look odd and the first of them, by finding.';
comment on column ops.raw_account_days.noted is 'What the load itself found wanting, as it wrote it into ops.coverage.reason.';
comment on column ops.raw_account_days.refused is 'Why one of the rows of this day was refused.';
comment on column ops.raw_account_days.gap is
'Largest difference between the ads and the platform''s own total, beyond rounding, as a share of the larger total.';

create index coverage_pending_idx on ops.coverage (coverage_id) where state = 'pending';

grant select, insert, delete on ops.raw_account_days to aegis_transformer;
grant select on ops.quality_limits to aegis_transformer;
