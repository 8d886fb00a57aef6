{% macro get_where_subquery(relation) -%}
    {#- As dbt's own, plus one word: `where: __touched__` limits a test to the account-days of this build, because a
        full scan of metrics_daily for every test costs more than the build. `vars: {rebuild: true}` tests all. -#}
    {%- set where = config.get('where', '') -%}
    {%- if not where or (where == '__touched__' and var('rebuild')) -%}
        {{ relation }}
    {%- elif where == '__touched__' -%}
        {%- set touched = api.Relation.create(
            database=relation.database,
            schema=generate_schema_name('intermediate', none) | trim,
            identifier='int_ads__touched_account_days'
        ) -%}
        (
            select tested.* from {{ relation }} as tested
            inner join {{ touched }} as touched
                on tested.tenant_id = touched.tenant_id and tested.platform = touched.platform
                and tested.account_id = touched.account_id and tested.day = touched.day
        ) as dbt_subquery
    {%- else -%}
        (select * from {{ relation }} where {{ where }}) as dbt_subquery
    {%- endif -%}
{%- endmacro %}
