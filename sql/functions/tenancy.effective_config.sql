/*
The only place that resolves a tenant's configuration: its own row, column by column, over the reserved tenant's.
Owned by the transformer, which reads configurations of all tenants; it answers for permitted tenants only.
*/

set local role aegis_owner;
grant create on schema tenancy to aegis_transformer;
set local role aegis_transformer;

create or replace function tenancy.effective_config(tenant_id uuid, platform text)
returns table (
    max_cpa numeric,
    target_roas numeric,
    min_roas numeric,
    auto_pause boolean,
    anomaly_detection_enabled boolean,
    thresholds jsonb,
    conversion_event text,
    max_daily_budget numeric,
    currency text,
    legacy_rules boolean,
    max_cpa_source text,
    target_roas_source text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with

    rates as (
        select distinct on (r.currency) r.currency, r.rate
        from history.currency_rates as r
        order by r.currency asc, r.day desc
    ),

    resolved as (
        select
            own.max_cpa as own_max_cpa,
            own.target_roas as own_target_roas,
            own.max_daily_budget as own_max_daily_budget,
            base.max_cpa as base_max_cpa,
            base.max_daily_budget as base_max_daily_budget,
            base.currency as base_currency,
            coalesce(own.currency, tenant.currency) as currency,
            coalesce(own.target_roas, base.target_roas) as target_roas,
            coalesce(own.min_roas, base.min_roas) as min_roas,
            coalesce(own.auto_pause, base.auto_pause) as auto_pause,
            coalesce(own.anomaly_detection_enabled, base.anomaly_detection_enabled) as anomaly_detection_enabled,
            coalesce(base.thresholds, '{}') || coalesce(own.thresholds, '{}') as thresholds,
            coalesce(own.conversion_event, base.conversion_event) as conversion_event,
            coalesce(own.legacy_rules, base.legacy_rules) as legacy_rules
        from tenancy.tenants as tenant
        inner join ads.platform_configs as base
            on base.tenant_id = '00000000-0000-0000-0000-000000000000' and base.platform = effective_config.platform
        left join ads.platform_configs as own
            on tenant.tenant_id = own.tenant_id and own.platform = effective_config.platform
        where tenant.tenant_id = effective_config.tenant_id
            and tenancy.may_use_tenant(effective_config.tenant_id)
    ),

    converted as (
        select
            r.*,
            case
                when r.currency = r.base_currency then 1
                else
                    case r.currency when 'EUR' then 1 else to_rate.rate end
                    / case r.base_currency when 'EUR' then 1 else from_rate.rate end
            end as base_factor
        from resolved as r
        left join rates as to_rate on r.currency = to_rate.currency
        left join rates as from_rate on r.base_currency = from_rate.currency
    )

    select
        coalesce(c.own_max_cpa, round(c.base_max_cpa * c.base_factor, 2)),
        c.target_roas,
        c.min_roas,
        c.auto_pause,
        c.anomaly_detection_enabled,
        c.thresholds,
        c.conversion_event,
        coalesce(c.own_max_daily_budget, round(c.base_max_daily_budget * c.base_factor, 2)),
        c.currency,
        c.legacy_rules,
        case when c.own_max_cpa is not null then 'tenant' else 'default' end,
        case when c.own_target_roas is not null then 'tenant' else 'default' end
    from converted as c
$$;
comment on function tenancy.effective_config(uuid, text) is
'One row: the configuration in force for a tenant and platform. Amounts of the default row are converted into the tenant''s currency, null without a rate.';

revoke execute on function tenancy.effective_config(uuid, text) from public;
grant execute on function tenancy.effective_config(uuid, text) to aegis_app, aegis_reader, aegis_owner;

set local role aegis_owner;
revoke create on schema tenancy from aegis_transformer;
