/*
What      How often a person may ask for a sync, what was asked for, and how far back a first load goes.
Why       The platform's quota belongs to the schedule first: an impatient person, or a script in a person's name, must not use
          it up. Limits are rows.
Notice    Scheduled syncs are not limited. A request of a person is one row, however many accounts it concerns.
*/

set local role aegis_owner;

create table ops.request_limits (
    kind text not null,
    most integer not null,
    per interval not null,
    constraint request_limits_pkey primary key (kind),
    constraint request_limits_positive check (most > 0 and per > interval '0')
);
comment on table ops.request_limits is 'One row per kind of request that one user may make only so often.';
comment on column ops.request_limits.most is 'Requests of one user within any span of `per`.';
insert into ops.request_limits (kind, most, per) values ('on_demand_sync', 10, '1 minute');

create table ops.sync_requests (
    request_id bigint generated always as identity,
    requested_by text not null,
    requested_at timestamptz not null default clock_timestamp(),
    first_day date,
    last_day date,
    is_forced boolean not null default false,
    constraint sync_requests_pkey primary key (request_id)
);
comment on table ops.sync_requests is 'One row per sync or backfill that a person asked for, of one account or of many.';
comment on column ops.sync_requests.first_day is 'Null: everything that is missing or stale.';
comment on column ops.sync_requests.is_forced is 'A backfill: asked for again, whatever was there already.';
create index sync_requests_user_idx on ops.sync_requests (requested_by, requested_at);

alter table ops.sync_state add column request_id bigint;
comment on column ops.sync_state.request_id is 'The person''s request it belongs to; null: the schedule''s own.';

alter table ops.restatement_windows add column first_load_days integer not null default 120;
alter table ops.restatement_windows
add constraint restatement_windows_first_load_positive check (first_load_days > 0);
comment on column ops.restatement_windows.first_load_days is
'Days before today that the first load of an account asks for; without a row 120, as far as the marts look back.';

grant select on ops.request_limits to aegis_loader;
grant select, insert on ops.sync_requests to aegis_loader;
grant select on ops.sync_requests to aegis_transformer;
