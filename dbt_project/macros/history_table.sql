{% macro history_table(name) -%}
    {#- The model where history is built, production's table where it is only read (target dev). -#}
    {%- if target.name == 'dev' -%}
        {{ source('history', name) }}
    {%- else -%}
        {{ ref(name) }}
    {%- endif -%}
{%- endmacro %}
