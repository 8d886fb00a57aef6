/*
What  A policy on a table of ads that tenancy.protect() did not make, or one of its policies that is not there.
Why   Permissive policies are OR'ed: one more can only open, never close.
Do    drop policy <policy> on <table>; then, as aegis_transformer, select tenancy.protect('<table>'::regclass);
*/
with

protected as (
    select c.oid from pg_class as c
    where c.relnamespace = 'ads'::regnamespace and c.relkind in ('r', 'p') and c.relrowsecurity
),

wanted as (
    select t.oid, w.name, w.command, w.role_name
    from protected as t
    cross join lateral tenancy.policies_of(t.oid) as w
),

present as (
    select
        p.polrelid as oid,
        p.polname::text as name,
        case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
        coalesce((
            select string_agg(o::regrole::text, ', ') from unnest(p.polroles) as o
            where o <> 0
        ), 'public') as role_name
    from pg_policy as p
    inner join protected as t on p.polrelid = t.oid
)

select
    (select o.oid from (values (coalesce(w.oid, p.oid))) as o (oid))::regclass::text as object,
    case
        when w.name is null then format('has a policy %s (%s to %s) that is not ours', p.name, p.command, p.role_name)
        else format('lacks the policy %s (%s to %s)', w.name, w.command, w.role_name)
    end as problem
from wanted as w
full join present as p
    on w.oid = p.oid and w.name = p.name and w.command = p.command and w.role_name = p.role_name
where w.name is null or p.name is null
order by object, problem;
