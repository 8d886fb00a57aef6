{% macro two_digits(value) -%}
    {#- Rounded to two significant digits; zero stays zero. -#}
    case
        when {{ value }} > 0
            then round({{ value }}::numeric, (1 - floor(log({{ value }}::numeric)))::integer)
        else {{ value }}::numeric
    end
{%- endmacro %}
