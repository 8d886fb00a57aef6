/*
What  A login that is a member of more than one of app, reader, buyer and analyst, or of one of those for people
      and of a service's role.
Why   Policies of several roles add up: the login would see what each of them sees.
Do    revoke <role> from <login>; a person who needs two kinds of access gets two logins.
*/
select
    r.rolname::text as object,
    'is a member of ' || string_agg(g.rolname, ', ' order by g.rolname) as problem
from pg_auth_members as m
inner join pg_roles as r on m.member = r.oid
inner join pg_roles as g on m.roleid = g.oid
where
    r.oid not in ('aegis_buyer'::regrole, 'aegis_analyst'::regrole)
    and (m.inherit_option or m.set_option)
    and g.rolname in (
        'aegis_owner', 'aegis_loader', 'aegis_transformer', 'aegis_app', 'aegis_reader', 'aegis_buyer', 'aegis_analyst'
    )
group by r.rolname
having
    count(distinct g.oid) filter (where g.rolname in ('aegis_app', 'aegis_reader', 'aegis_buyer', 'aegis_analyst')) > 1
    or (
        count(distinct g.oid) > 1
        and count(*) filter (where g.rolname in ('aegis_reader', 'aegis_buyer', 'aegis_analyst')) > 0
    )
order by object;
