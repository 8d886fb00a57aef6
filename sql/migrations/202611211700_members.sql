/*
What      The application's members, their roles, and what each role may do, as data.
Why       The application asks one question, tenancy.member_may(), and a permission changes without a deploy.
Notice    A member of the reserved tenant acts in every tenant: only a super_admin is one, and a super_admin is nothing else.
          These rights are the application's own. What a login of the database may do is decided by its group role.
*/

set local role aegis_owner;

create table tenancy.role_permissions (
    role text not null,
    permission text not null,
    constraint role_permissions_pkey primary key (role, permission),
    constraint role_permissions_role_is_known check (role in ('super_admin', 'admin', 'manager', 'analyst', 'client')),
    constraint role_permissions_permission_is_resource_action
    check (permission ~ '^([*]|[a-z][a-z_]*):([*]|[a-z][a-z_]*)$')
);
comment on table tenancy.role_permissions is
'One row per role and permission of the form resource:action; * stands for every resource or every action.';

insert into tenancy.role_permissions (role, permission)
values
('super_admin', '*:*'),
('admin', 'accounts:*'),
('admin', 'anomalies:*'),
('admin', 'audit:read'),
('admin', 'budgets:*'),
('admin', 'campaigns:*'),
('admin', 'configuration:*'),
('admin', 'members:*'),
('admin', 'metrics:*'),
('admin', 'recommendations:*'),
('admin', 'reports:*'),
('admin', 'tests:*'),
('manager', 'accounts:read'),
('manager', 'anomalies:*'),
('manager', 'budgets:*'),
('manager', 'campaigns:*'),
('manager', 'configuration:*'),
('manager', 'members:read'),
('manager', 'metrics:*'),
('manager', 'recommendations:*'),
('manager', 'reports:*'),
('manager', 'tests:*'),
('analyst', 'anomalies:read'),
('analyst', 'budgets:read'),
('analyst', 'campaigns:read'),
('analyst', 'configuration:read'),
('analyst', 'metrics:read'),
('analyst', 'recommendations:read'),
('analyst', 'reports:*'),
('analyst', 'tests:read'),
('client', 'campaigns:read'),
('client', 'metrics:read'),
('client', 'reports:read');

create table tenancy.members (
    tenant_id uuid not null,
    person text not null,
    role text not null,
    added_at timestamptz not null default now(),
    added_by text not null default session_user,
    constraint members_pkey primary key (tenant_id, person),
    constraint members_tenant_fkey foreign key (tenant_id) references tenancy.tenants (tenant_id),
    constraint members_person_is_not_empty check (btrim(person) <> ''),
    constraint members_role_is_known check (role in ('super_admin', 'admin', 'manager', 'analyst', 'client')),
    constraint members_super_admin_is_of_all
    check ((role = 'super_admin') = (tenant_id = '00000000-0000-0000-0000-000000000000'))
);
comment on table tenancy.members is
'One row per tenant and person of the application, as it names them in saas.user_id. A super_admin belongs to the reserved tenant.';
create index members_person_idx on tenancy.members (person);

-- Before a tenant's row can go, its members must.
create trigger members_audit after insert or update or delete on tenancy.members
for each row execute function audit.record('tenant_id', 'person');
create trigger role_permissions_audit after insert or update or delete on tenancy.role_permissions
for each row execute function audit.record('role', 'permission');
