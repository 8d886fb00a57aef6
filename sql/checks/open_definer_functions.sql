/*
What  A function that runs with its owner's rights and that everybody may execute, or whose search_path is not pinned.
Why   The first answers a login about a foreign tenant; the second can be made to call a caller's own functions.
Do    Revoke execute on it from public, and give it "set search_path = pg_catalog, pg_temp".
*/
with

definers as (
    select
        p.oid,
        p.proconfig,
        has_function_privilege('public', p.oid, 'execute') as is_open
    from pg_proc as p
    inner join pg_namespace as n on p.pronamespace = n.oid
    where
        p.prosecdef
        and n.nspname not in ('pg_catalog', 'information_schema')
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
)

select
    d.oid::regprocedure::text as object,
    case when d.is_open then 'is security definer and executable by public' else 'is security definer without a pinned search_path' end as problem
from definers as d
where
    d.is_open
    or not exists (
        select from unnest(d.proconfig) as s
        where s like 'search\_path=%'
    )
order by object;
