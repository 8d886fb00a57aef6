/*
Rows that people insert into ads.metrics_daily. The BEFORE trigger only fills what was not given and returns the row:
one that returned null would skip the policies' checks. The AFTER trigger copies the row to raw_manual, where a
rebuild finds it again.
*/

set local role aegis_transformer;

create or replace function ads_internal.fill_hand_row()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known record;
    home_currency text := tenancy.currency_of(new.tenant_id);
    headline bigint;
begin
    if tg_op = 'INSERT' then
        if new.platform not in ('meta', 'tiktok', 'google', 'pinterest') then
            raise exception 'platform "%" has no rows in metrics_daily', new.platform
                using errcode = '23514', hint = 'Use one of meta, tiktok, google, pinterest; a shop''s figures are in shop_daily.';
        end if;
        if new.level not in ('account', 'campaign', 'adset', 'ad') then
            raise exception 'level "%" is unknown', new.level
                using errcode = '23514', hint = 'Use one of account, campaign, adset, ad.';
        end if;
        if new.day > ((now() at time zone 'UTC') + interval '14 hours')::date then
            raise exception 'day % is in the future', new.day
                using errcode = '23514', hint = 'Figures can be entered for days that have begun.';
        end if;
        if exists (
            select from ads.metrics_daily as m
            where m.tenant_id = new.tenant_id and m.platform = new.platform and m.level = new.level
                and m.platform_id = new.platform_id and m.day = new.day
        ) then
            raise exception 'there already is a row of % % % on %', new.platform, new.level, new.platform_id, new.day
                using errcode = '23505',
                hint = 'Rows that people entered (source ''manual'') can be updated or deleted; those of a platform or file cannot.';
        end if;

        select e.account_id, e.campaign_id, e.adset_id, e.currency
        into known
        from ads.entities as e
        where e.tenant_id = new.tenant_id and e.platform = new.platform and e.level = new.level
            and e.platform_id = new.platform_id;

        new.account_id := coalesce(
            new.account_id, known.account_id, case when new.level = 'account' then new.platform_id end, 'manual'
        );
        new.campaign_id := case new.level
            when 'account' then null
            when 'campaign' then new.platform_id
            else coalesce(new.campaign_id, known.campaign_id, new.account_id || '~unattributed')
        end;
        new.adset_id := case new.level
            when 'adset' then new.platform_id
            when 'ad' then coalesce(new.adset_id, known.adset_id, new.campaign_id || '~unattributed')
        end;
        new.currency := coalesce(new.currency, known.currency, home_currency);
        new.source := 'manual';
        new.data_status := 'final';
        new.maturity := 1;
    end if;

    if new.spend < 0 or new.impressions < 0 or new.clicks < 0 or new.link_clicks < 0
        or new.conversions < 0 or new.view_through_conversions < 0 or new.reach < 0 or new.frequency < 0
    then
        raise exception 'figures of % % % on % are below zero', new.platform, new.level, new.platform_id, new.day
            using errcode = '23514', hint = 'Spend, impressions, clicks and conversions are zero or more.';
    end if;

    if 'NaN' in (new.spend, new.conversions, new.conversion_value, new.view_through_conversions, new.frequency) then
        raise exception 'figures of % % % on % are no numbers', new.platform, new.level, new.platform_id, new.day
            using errcode = '23514', hint = 'Leave out what is not known.';
    end if;

    headline := new.clicks;
    new.roas := new.conversion_value / nullif(new.spend, 0);
    new.cpa := new.spend / nullif(new.conversions, 0);
    new.cpc := new.spend / nullif(headline, 0);
    new.cpm := new.spend * 1000 / nullif(new.impressions, 0);
    new.ctr := headline::numeric / nullif(new.impressions, 0);
    new.cvr := new.conversions / nullif(headline, 0);
    new.reporting_currency := home_currency;
    new.fx_rate := case when new.currency = home_currency then 1 end;
    new.spend_reporting := new.spend * new.fx_rate;
    new.conversion_value_reporting := new.conversion_value * new.fx_rate;
    new.updated_at := now();
    return new;
end
$$;
comment on function ads_internal.fill_hand_row() is
'Trigger: fills account, parents, currency and ratios of a hand-entered row; says in words what cannot be entered.';

create or replace function ads_internal.record_hand_row()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    entered ads.metrics_daily := case when tg_op = 'DELETE' then old else new end;
    load_name text := 'hand-' || gen_random_uuid();
begin
    insert into raw_manual.hand_rows (
        load_id, operation, tenant_id, platform, account_id, level, platform_id, campaign_id, adset_id, day, currency,
        spend, impressions, clicks, link_clicks, conversions, conversion_value, view_through_conversions, reach,
        frequency, entered_by
    )
    values (
        load_name, lower(tg_op), entered.tenant_id, entered.platform, entered.account_id, entered.level,
        entered.platform_id, entered.campaign_id, entered.adset_id, entered.day, entered.currency, entered.spend,
        entered.impressions, entered.clicks, entered.link_clicks, entered.conversions, entered.conversion_value,
        entered.view_through_conversions, entered.reach, entered.frequency, tenancy.acting_person()
    );
    insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows)
    values (load_name, entered.tenant_id, entered.platform, entered.account_id, entered.day, 'manual', 1);
    return null;
end
$$;
comment on function ads_internal.record_hand_row() is
'Trigger: copies a person''s insert, update or delete to raw_manual with its coverage, so that every rebuild finds it.';

revoke execute on function ads_internal.fill_hand_row(), ads_internal.record_hand_row() from public;
