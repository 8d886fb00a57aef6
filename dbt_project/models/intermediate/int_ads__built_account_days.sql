-- depends_on: {{ ref('int_quality__findings') }}
-- depends_on: {{ ref('metrics_daily') }}
-- depends_on: {{ ref('conversions_daily') }}
-- depends_on: {{ ref('int_entities__seen') }}
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'platform', 'account_id', 'day'],
    on_schema_change='append_new_columns',
    indexes=[{'columns': ['tenant_id', 'platform', 'account_id', 'day'], 'unique': true}],
) }}
-- What every model of the chain was built from; int_ads__touched_account_days compares the next build with it.

select
    tenant_id, platform, account_id, day, versioned_at, fx_rate, reporting_currency, maturity, data_status,
    conversion_event
from {{ ref('int_ads__touched_account_days') }}
