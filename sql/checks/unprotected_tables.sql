/*
What  A table of schema ads without forced row security, or that does not belong to the transformer.
Why   Policies hold only where row security is on; not forced, it would not hold for the owner, and so not inside
      the definer functions.
Do    As aegis_transformer run select tenancy.protect('<table>'::regclass); or drop a table that is a left-over.
*/
select
    c.oid::regclass::text as object,
    case
        when not c.relrowsecurity then 'has no row security'
        when not c.relforcerowsecurity then 'has row security that is not forced'
        else 'belongs to ' || c.relowner::regrole::text
    end as problem
from pg_class as c
where
    c.relnamespace = 'ads'::regnamespace
    and c.relkind in ('r', 'p')
    and (not c.relrowsecurity or not c.relforcerowsecurity or c.relowner <> 'aegis_transformer'::regrole)
order by object;
