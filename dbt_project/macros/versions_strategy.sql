{% macro get_incremental_versions_sql(arg_dict) -%}
    {#- history.performance_versions: rows of the model replace the stored row of the same key; one whose load_id is
        null only takes the stored row away. Nothing else in the table is touched. -#}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set key = ['tenant_id', 'platform', 'account_id', 'level', 'platform_id', 'day', 'known_on', 'source'] -%}

    delete from {{ arg_dict['target_relation'] }} as stored
    using {{ arg_dict['temp_relation'] }} as incoming
    where {% for column in key %}stored.{{ column }} = incoming.{{ column }}{{ ' and ' if not loop.last }}{% endfor %};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
    where load_id is not null
{%- endmacro %}


{% macro mark_versioned() -%}
    {#- Same transaction and, being repeatable read, same snapshot as the model: exactly the account-days it took in. -#}
    update {{ source('ops', 'coverage') }} set versioned_at = now()
    where versioned_at is null and state in ('accepted', 'provisional')
{%- endmacro %}
