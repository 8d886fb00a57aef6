{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- dev: schemas of one's own, "<profile schema>_ads"; replay: temporary tables of the session that runs the
        compiled models; every other target: the contract's own names. -#}
    {%- if target.name == 'dev' -%}
        {{ target.schema }}_{{ custom_schema_name or 'ads' }}
    {%- elif target.name == 'replay' -%}
        pg_temp
    {%- else -%}
        {{ custom_schema_name or target.schema }}
    {%- endif -%}
{%- endmacro %}
