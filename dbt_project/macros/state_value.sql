{% macro state_value(field, value) -%}
    {#- A logged value as text that compares: numbers without trailing zeros, and null where a number is none. -#}
    case
        when {{ field }} in ('status', 'learning_state') then {{ value }}
        when {{ value }} ~ '^[0-9]+([.][0-9]+)?$' then trim_scale({{ value }}::numeric)::text
    end
{%- endmacro %}
