/*
What      Tenants, their ad accounts, and which login is bound to which tenants.
Why       A tenant is a row, never code: adding one needs no deploy.
Notice    The reserved tenant 00000000-… owns the rows that everybody may read; no login may be bound to it.
*/

set local role aegis_owner;

create table tenancy.tenants (
    tenant_id uuid not null default gen_random_uuid(),
    name text not null,
    currency text not null default 'USD',
    timezone text not null default 'America/Toronto',
    industry text,
    share_benchmarks boolean not null default false,
    is_demo boolean not null default false,
    created_at timestamptz not null default now(),
    constraint tenants_pkey primary key (tenant_id),
    constraint tenants_name_key unique (name),
    constraint tenants_name_is_not_empty check (btrim(name) <> ''),
    constraint tenants_currency_is_iso check (currency ~ '^[A-Z]{3}$')
);
comment on table tenancy.tenants is 'One row per tenant. The reserved tenant holds the rows for everybody.';
comment on column tenancy.tenants.currency is 'Reporting currency: what *_reporting columns convert into.';
comment on column tenancy.tenants.timezone is 'Decides "today" and schedules; days of figures are the ad account''s own.';
comment on column tenancy.tenants.share_benchmarks is 'Whether this tenant''s ratios may enter percentiles over tenants.';
comment on column tenancy.tenants.is_demo is 'Made by the demo; `aegis demo remove` deletes it completely.';

insert into tenancy.tenants (tenant_id, name)
values ('00000000-0000-0000-0000-000000000000', 'everybody');

create table tenancy.ad_accounts (
    tenant_id uuid not null,
    platform text not null,
    account_id text not null,
    name text,
    currency text not null,
    timezone text,
    conversion_event text,
    source text not null default 'file',
    status text not null default 'active',
    created_at timestamptz not null default now(),
    constraint ad_accounts_pkey primary key (tenant_id, platform, account_id),
    constraint ad_accounts_tenant_fkey foreign key (tenant_id) references tenancy.tenants (tenant_id),
    constraint ad_accounts_platform_is_known
    check (platform in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')),
    constraint ad_accounts_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
    constraint ad_accounts_source_is_known check (source in ('api', 'file', 'manual')),
    constraint ad_accounts_status_is_known check (status in ('active', 'reauthorise', 'suspended'))
);
comment on table tenancy.ad_accounts is 'One row per tenant, platform and ad account.';
comment on column tenancy.ad_accounts.timezone is 'Reporting time zone of the account; null means the tenant''s.';
comment on column tenancy.ad_accounts.source is 'api: connected; file: known from imports; manual: entered by hand.';

create table tenancy.role_tenants (
    role_oid oid not null,
    role_name text not null,
    tenant_id uuid not null,
    kind text not null,
    granted_at timestamptz not null default now(),
    granted_by text not null default session_user,
    constraint role_tenants_pkey primary key (role_oid, tenant_id),
    constraint role_tenants_tenant_fkey foreign key (tenant_id) references tenancy.tenants (tenant_id),
    constraint role_tenants_kind_is_known check (kind in ('reader', 'buyer', 'analyst')),
    constraint role_tenants_not_everybody check (tenant_id <> '00000000-0000-0000-0000-000000000000')
);
comment on table tenancy.role_tenants is
'One row per login and tenant it may see. Keyed by the role''s oid: a login dropped and made again under the same name is not bound again.';

create index role_tenants_tenant_idx on tenancy.role_tenants (tenant_id);

grant select on tenancy.tenants, tenancy.ad_accounts to aegis_transformer, aegis_loader;
grant insert, update on tenancy.ad_accounts to aegis_loader;
