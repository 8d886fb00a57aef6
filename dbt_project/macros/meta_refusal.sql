{% macro meta_refusal() -%}
    {#- Why a report's row cannot be used, over `insights` and `listed` (its events); null where it can. A currency that
        is not stated is the account's own. -#}
    coalesce(
        {{ performance_refusal(is_dated=false) }},
        case
            when not is_readable then 'an action has no type, or its figure is no number'
            when spend >= 1e12 or greatest(impressions, clicks, link_clicks, reach) >= 1000000000000000
                then 'a figure is out of range'
        end
    )
{%- endmacro %}
