{{ config(materialized='view', unlogged=none) }}
-- The one place that knows whether history is built here or only read (target dev), and which of a platform's events
-- the account is judged by: another choice is a row, and every version follows.

select
    versions.tenant_id,
    versions.platform,
    versions.account_id,
    versions.level,
    versions.platform_id,
    versions.day,
    versions.known_on,
    versions.source,
    versions.reported_on,
    versions.campaign_id,
    versions.adset_id,
    versions.currency,
    versions.spend,
    versions.impressions,
    versions.clicks,
    versions.link_clicks,
    case
        when versions.events is null then versions.conversions
        else {{ chosen_figure('versions', 'conversions') }}::numeric(20, 6)
    end as conversions,
    case
        when versions.events is null then versions.conversion_value
        else {{ chosen_figure('versions', 'conversion_value') }}::numeric(20, 6)
    end as conversion_value,
    case
        when versions.events is null then versions.view_through_conversions
        else {{ chosen_figure('versions', 'view_through_conversions') }}::numeric(20, 6)
    end as view_through_conversions,
    versions.reach,
    versions.frequency,
    versions.is_withdrawn,
    versions.load_id,
    versions.events
from {{ history_table('performance_versions') }} as versions
