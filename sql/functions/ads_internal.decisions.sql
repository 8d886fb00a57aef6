/*
The life cycles of recommendations and incidents: which status may follow which, and what a decision writes down.
A build never takes a person's decision back: where one decided while the build ran, the decision stays.
*/

set local role aegis_transformer;

create or replace function ads_internal.guard_recommendation()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    by_person boolean := current_user <> 'aegis_transformer';
begin
    if new.status = old.status then
        return new;
    end if;

    if not (
        old.status = 'pending'
        or (old.status = 'approved' and new.status in ('applied', 'rejected', 'expired'))
    ) then
        if not by_person then
            return old;
        end if;
        raise exception 'a recommendation that is % cannot become %', old.status, new.status
            using errcode = '23514',
            hint = 'pending may become anything; approved may become applied, rejected or expired; the others are final.';
    end if;

    if new.status = 'approved' then
        new.approved_at := coalesce(new.approved_at, now());
    elsif new.status = 'applied' then
        new.approved_at := coalesce(old.approved_at, new.approved_at, now());
        new.applied_at := coalesce(new.applied_at, now());
    elsif new.status = 'rejected' then
        new.rejected_at := coalesce(new.rejected_at, now());
    end if;
    if by_person then
        new.decided_by := tenancy.acting_person();
    end if;
    return new;
end
$$;
comment on function ads_internal.guard_recommendation() is
'Trigger: allows only the legal transitions of a recommendation and records who decided and when.';

create or replace function ads_internal.guard_anomaly()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    by_person boolean := current_user <> 'aegis_transformer';
begin
    if new.day <> old.day then
        raise exception 'the first day of an incident never changes'
            using errcode = '23514', hint = 'A later incident is a row of its own.';
    end if;
    if new.status = old.status then
        return new;
    end if;

    if not (
        (old.status = 'active' and new.status in ('acknowledged', 'resolved', 'withdrawn'))
        or (old.status = 'acknowledged' and new.status in ('resolved', 'withdrawn'))
        or (old.status = 'withdrawn' and new.status = 'active')
    ) then
        if not by_person then
            new.status := old.status;
            return new;
        end if;
        raise exception 'an anomaly that is % cannot become %', old.status, new.status
            using errcode = '23514',
            hint = 'active may become acknowledged, resolved or withdrawn; acknowledged may become resolved or withdrawn.';
    end if;

    if new.status = 'acknowledged' then
        new.acknowledged_at := coalesce(new.acknowledged_at, now());
        new.acknowledged_by := tenancy.acting_person();
    elsif new.status = 'resolved' then
        new.resolved_at := coalesce(new.resolved_at, now());
    end if;
    return new;
end
$$;
comment on function ads_internal.guard_anomaly() is
'Trigger: allows only the legal transitions of an incident and records who acknowledged it.';

create or replace function ads_internal.fill_budget()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.currency := coalesce(new.currency, tenancy.currency_of(new.tenant_id));
    new.period_end := coalesce(new.period_end, (date_trunc('month', new.period_start) + interval '1 month - 1 day')::date);
    if new.period_end < new.period_start or new.period_end - new.period_start > 1099 then
        raise exception 'a budget cannot run from % to %', new.period_start, new.period_end
            using errcode = '23514', hint = 'The period ends on or after its first day, and lasts three years at most.';
    end if;
    if tg_op = 'INSERT' then
        new.created_by := tenancy.acting_person();
    end if;
    return new;
end
$$;
comment on function ads_internal.fill_budget() is
'Trigger: the tenant''s currency and the end of the period''s first month where none is given, and who created the row; refuses a period that cannot be.';

create or replace function ads_internal.fill_config()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := now();
    new.updated_by := tenancy.acting_person();
    return new;
end
$$;
comment on function ads_internal.fill_config() is 'Trigger: who changed a configuration, and when.';

revoke execute on function
ads_internal.guard_recommendation(), ads_internal.guard_anomaly(), ads_internal.fill_budget(), ads_internal.fill_config()
from public;
