/*
What      The deployment log: one row per phase of every deployment, and one per migration that ran or failed.
Why here  It must exist before the first migration, because each migration and its row commit together.
*/

set local role aegis_owner;

create table if not exists public.deployment_log (
    deployment_id bigint generated always as identity,
    phase text not null,
    name text not null default '',
    hash text,
    status text not null,
    message text not null default '',
    details jsonb,
    duration_ms numeric not null,
    started_at timestamptz not null default clock_timestamp(),
    deployed_by text not null default session_user,
    aegis_version text not null,
    constraint deployment_log_pkey primary key (deployment_id),
    constraint deployment_log_phase_is_known
    check (phase in ('bootstrap', 'functions', 'migration', 'protect', 'event trigger', 'service logins')),
    constraint deployment_log_status_is_known check (status in ('done', 'skipped', 'warning', 'failed'))
);
comment on table public.deployment_log is
'One row per deployment and phase, one per migration: what was applied, when, by whom, how long it took, and what failed.';
comment on column public.deployment_log.hash is
'SHA-256 of the text as it lies in the checkout; a migration whose file no longer has it is refused.';
comment on column public.deployment_log.details is
'Of the phase functions: a fingerprint of every function, by which validate notices one that was changed by hand.';
revoke all on public.deployment_log from public;
grant select on public.deployment_log to aegis_transformer;

reset role;
