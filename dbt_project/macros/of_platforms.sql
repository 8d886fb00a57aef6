{% macro of_platforms(kind) -%}
    {#- The staging views of one kind of every connected platform, as one: `entities` or `performance`. A platform is one
        word in the var and a folder with these views, all with the same columns. -#}
    {%- set kinds = {
        'entities': {
            'views': ['accounts', 'campaigns', 'adsets', 'ads'],
            'columns': {
                'tenant_id': 'uuid', 'platform': 'text', 'account_id': 'text', 'level': 'text', 'platform_id': 'text',
                'campaign_id': 'text', 'adset_id': 'text', 'name': 'text', 'status': 'text', 'objective': 'text',
                'seeks_leads': 'boolean', 'started_at': 'timestamptz', 'daily_budget': 'numeric',
                'lifetime_budget': 'numeric', 'budget_level': 'text', 'target_roas': 'numeric',
                'target_cpa': 'numeric', 'learning_state': 'text', 'url': 'text', 'load_id': 'text',
                'loaded_at': 'timestamptz',
            },
        },
        'performance': {
            'views': ['performance_daily', 'performance_totals'],
            'columns': {
                'tenant_id': 'uuid', 'platform': 'text', 'account_id': 'text', 'level': 'text', 'platform_id': 'text',
                'campaign_id': 'text', 'adset_id': 'text', 'day': 'date', 'currency': 'text', 'spend': 'numeric',
                'impressions': 'bigint', 'clicks': 'bigint', 'link_clicks': 'bigint', 'reach': 'bigint',
                'frequency': 'numeric', 'events': 'jsonb', 'load_id': 'text', 'loaded_at': 'timestamptz',
            },
        },
        'refused': {
            'views': ['performance_daily__refused', 'performance_totals__refused'],
            'columns': {
                'tenant_id': 'uuid', 'platform': 'text', 'account_id': 'text', 'level': 'text', 'platform_id': 'text',
                'day': 'date', 'load_id': 'text', 'reason': 'text',
            },
        },
    } -%}
    {%- set columns = kinds[kind]['columns'] -%}
    select
        {%- for column, type in columns.items() %}
        null::{{ type }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    where false
    {%- for platform in var('platforms') %}
    {%- for view in kinds[kind]['views'] %}
    union all
    select {{ columns.keys() | join(', ') }} from {{ ref('stg_' ~ platform ~ '__' ~ view) }}
    {%- endfor %}
    {%- endfor %}
{%- endmacro %}
