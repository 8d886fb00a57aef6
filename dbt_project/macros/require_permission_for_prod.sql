{% macro require_permission_for_prod() -%}
    {%- if execute and target.name == 'prod' and env_var('AEGIS_ALLOW_PROD', '') != '1' -%}
        {{ exceptions.raise_compiler_error(
            "Target prod writes into the contract that readers use. "
            ~ "Build into schemas of your own with --target dev, or set AEGIS_ALLOW_PROD=1 if you mean it."
        ) }}
    {%- endif -%}
{%- endmacro %}
