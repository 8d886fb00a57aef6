{% macro in_currency(amount, from_currency, to_currency, from_rate, to_rate) -%}
    {#- An amount in another currency; null without a rate, never 1. Rates are units for one euro. -#}
    case
        when {{ from_currency }} = {{ to_currency }} then {{ amount }}
        else {{ amount }} * {{ to_rate }} / {{ from_rate }}
    end
{%- endmacro %}
