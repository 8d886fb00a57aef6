/*
How triggers say in words what a person cannot enter. It lies in tenancy because triggers run as the person, who reaches
no function of ads_internal.
*/

set local role aegis_owner;

create or replace function tenancy.refuse_first(problems text[])
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text := (select p.text from unnest(problems) with ordinality as p (text, place) where p.text is not null order by p.place limit 1);
begin
    if problem is not null then
        raise exception '%', regexp_replace(problem, '[|][^|]*$', '')
            using errcode = '23514', hint = substring(problem from '[^|]*$');
    end if;
end
$$;
comment on function tenancy.refuse_first(text[]) is
'Raises the first of the given problems, written "what is wrong|what to do"; nothing where all are null.';

revoke execute on function tenancy.refuse_first(text[]) from public;
grant execute on function tenancy.refuse_first(text[]) to aegis_app, aegis_buyer, aegis_transformer;
