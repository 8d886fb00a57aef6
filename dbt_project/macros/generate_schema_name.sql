{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- dev: schemas of one's own, "<profile schema>_ads"; every other target: the contract's own names. -#}
    {%- if target.name == 'dev' -%}
        {{ target.schema }}_{{ custom_schema_name or 'ads' }}
    {%- else -%}
        {{ custom_schema_name or target.schema }}
    {%- endif -%}
{%- endmacro %}
