{% macro history_table(name) -%}
    {#- The model where history is built, the stored table where it is only read (targets dev and replay). -#}
    {%- if target.name in ('dev', 'replay') -%}
        {{ source('history', name) }}
    {%- else -%}
        {{ ref(name) }}
    {%- endif -%}
{%- endmacro %}
