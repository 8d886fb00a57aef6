{% macro status_word(column) -%}
    {#- A platform's status word, in any case, as one of active, paused, ended, removed, other; null stays null. -#}
    case
        when nullif(btrim({{ column }}), '') is null then null
        when upper(btrim({{ column }})) in ('ACTIVE', 'ENABLED', 'ENABLE', 'RUNNING', 'ON', 'ELIGIBLE', 'DELIVERING')
            or upper({{ column }}) like '%STATUS\_ENABLE' or upper({{ column }}) like '%DELIVERY\_OK' then 'active'
        when upper(btrim({{ column }})) in (
            'PAUSED', 'PAUSE', 'DISABLED', 'DISABLE', 'INACTIVE', 'OFF', 'SUSPENDED', 'ADVERTISER_DISABLED', 'FROZEN',
            'CAMPAIGN_PAUSED', 'ADSET_PAUSED'
        ) or upper({{ column }}) like '%\_DISABLE' then 'paused'
        when upper(btrim({{ column }})) in ('ENDED', 'COMPLETED', 'FINISHED', 'EXPIRED')
            or upper({{ column }}) like '%STATUS\_DONE' then 'ended'
        when upper(btrim({{ column }})) in ('REMOVED', 'DELETED', 'ARCHIVED', 'DELETED_DRAFT')
            or upper({{ column }}) like '%STATUS\_DELETE' then 'removed'
        else 'other'
    end
{%- endmacro %}
