{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'as_of'],
    full_refresh=false,
    on_schema_change='fail',
    post_hook="delete from {{ this }} as old using {{ ref('int_run__as_of') }} as run where old.tenant_id = run.tenant_id and old.as_of < run.as_of - 400",
) }}
-- Older as-of days of ads.baselines, campaigns and accounts only, for 400 days.

select
    tenant_id,
    platform,
    level,
    platform_id,
    window_days,
    as_of,
    currency,
    n_days,
    n_days_with_spend,
    spend,
    impressions,
    clicks,
    link_clicks,
    conversions,
    conversion_value,
    maturity,
    is_sufficient,
    computed_at
from {{ ref('baselines') }}
where level in ('account', 'campaign')
