{% macro protect_tenant_rows() -%}
    {#- Post-hook of models/ads, in the transaction that made the table: row security, policies, then grants.
        Views of ads_internal and schemas of target dev get none: no reader may use those schemas. -#}
    {%- if target.name != 'dev'
        and model.config.materialized in ('table', 'incremental')
        and this.schema == 'ads' -%}
        select tenancy.protect('{{ this }}'::regclass)
    {%- endif -%}
{%- endmacro %}
