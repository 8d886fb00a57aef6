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
    if tg_op = 'INSERT' then
        new.created_by := tenancy.acting_person();
    end if;
    perform tenancy.refuse_first(array[
        case when new.platform not in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')
            then format('platform "%s" is unknown|Use one of meta, tiktok, google, pinterest, shopify.', new.platform) end,
        case when nullif(btrim(new.campaign_id), '') is null
            then 'a budget is for one campaign, and none is given|Give campaign_id, as the platform writes it.' end,
        case when new.budget is null or new.budget < 0 or new.budget = 'NaN'
            then format('a budget of %s cannot be set|Give an amount of zero or more.', coalesce(new.budget::text, 'nothing')) end,
        case when new.currency !~ '^[A-Z]{3}$'
            then format('"%s" is no currency|Write its three letters: EUR, USD, CAD.', new.currency) end,
        case when new.period_end < new.period_start
            then format('the period ends on %s, before it begins on %s|Exchange the two days.', new.period_end, new.period_start) end,
        case when new.period_end - new.period_start > 1099
            then format('a budget cannot run from %s to %s|A period lasts three years at most.', new.period_start, new.period_end) end
    ]);
    return new;
end
$$;
comment on function ads_internal.fill_budget() is
'Trigger: the tenant''s currency and the end of the period''s first month where none is given, who created the row; says in words what cannot be entered.';

create or replace function ads_internal.check_test()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform tenancy.refuse_first(array[
        case when nullif(btrim(new.name), '') is null then 'a test needs a name|Give one that people recognise.' end,
        case when new.platform not in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')
            then format('platform "%s" is unknown|Use one of meta, tiktok, google, pinterest, shopify.', new.platform) end,
        case when new.test_type not in ('creative', 'audience', 'bidding', 'placement', 'timing')
            then format('a test of type "%s" is unknown|Use one of creative, audience, bidding, placement, timing.', new.test_type) end,
        case when new.metric not in ('ctr', 'cvr', 'cpc', 'cpa', 'roas')
            then format('a test cannot be decided by "%s"|Use one of ctr, cvr, cpc, cpa, roas.', new.metric) end,
        case when new.assignment not in ('platform_split_test', 'geo_split', 'time_split', 'observational')
            then format(
                'assignment "%s" is unknown|Use one of platform_split_test, geo_split, time_split, observational.', new.assignment
            ) end,
        case when new.status not in ('draft', 'running', 'completed', 'cancelled')
            then format('a test cannot be "%s"|Use one of draft, running, completed, cancelled.', new.status) end,
        case when new.variants is null or jsonb_typeof(new.variants) <> 'array'
            then 'the variants of a test are a list|Write [{"name": "A", "level": "ad", "platform_id": "1", "is_control": true}, …].' end,
        case when not (new.alpha > 0 and new.alpha < 1)
            then format('an alpha of %s is no probability|Give a share between 0 and 1; 0.05 is usual.', new.alpha) end,
        case when new.end_date < new.start_date
            then format('the test ends on %s, before it begins on %s|Exchange the two days.', new.end_date, new.start_date) end
    ]);
    return new;
end
$$;
comment on function ads_internal.check_test() is 'Trigger: says in words what cannot be entered as a test.';

create or replace function ads_internal.fill_config()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := now();
    new.updated_by := tenancy.acting_person();
    perform tenancy.refuse_first(array[
        case when new.platform not in ('meta', 'tiktok', 'google', 'pinterest', 'shopify')
            then format('platform "%s" is unknown|Use one of meta, tiktok, google, pinterest, shopify.', new.platform) end,
        case when new.max_cpa <= 0 or new.max_cpa = 'NaN'
            then format('a max_cpa of %s cannot be reached|Give an amount above zero, or null for the default.', new.max_cpa) end,
        case when new.target_roas <= 0 or new.target_roas = 'NaN'
            then format('a target_roas of %s is no target|Give a number above zero, or null for the default.', new.target_roas) end,
        case when new.min_roas < 0 or new.min_roas = 'NaN'
            then format('a min_roas of %s is below every figure|Give zero or more, or null for the default.', new.min_roas) end,
        case when new.max_daily_budget < 0 or new.max_daily_budget = 'NaN'
            then format('a max_daily_budget of %s cannot be kept|Give zero or more, or null for none.', new.max_daily_budget) end,
        case when new.currency !~ '^[A-Z]{3}$'
            then format('"%s" is no currency|Write its three letters: EUR, USD, CAD.', new.currency) end,
        case when jsonb_typeof(new.thresholds) <> 'object'
            then 'thresholds are names with values|Write a JSON object: {"name": 1.5}.' end
    ]);
    return new;
end
$$;
comment on function ads_internal.fill_config() is
'Trigger: who changed a configuration, and when; says in words what cannot be entered.';

revoke execute on function
ads_internal.guard_recommendation(), ads_internal.guard_anomaly(), ads_internal.fill_budget(), ads_internal.fill_config(),
ads_internal.check_test()
from public;
