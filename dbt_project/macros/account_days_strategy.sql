{% macro get_incremental_account_days_sql(arg_dict) -%}
    {#- Replaces whole account-days: what the touched list names is deleted, also where nothing comes back.
        Keys that a person entered, changed or deleted and that history has not taken in yet stay as they are. -#}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}

    create temporary table hand_keys on commit drop as
    select distinct entered.tenant_id, entered.platform, entered.level, entered.platform_id, entered.day
    from {{ source('raw_manual', 'hand_rows') }} as entered
    inner join {{ source('ops', 'coverage') }} as covered
        on entered.load_id = covered.load_id and entered.tenant_id = covered.tenant_id
    where covered.versioned_at is null and covered.source = 'manual';

    delete from {{ target_relation }} as served
    using {{ ref('int_ads__touched_account_days') }} as touched
    where
        served.tenant_id = touched.tenant_id and served.platform = touched.platform
        and served.account_id = touched.account_id and served.day = touched.day
        {%- if config.get('keeps_hand_keys', true) %}
        and not exists (
            select from hand_keys as h
            where
                h.tenant_id = served.tenant_id and h.platform = served.platform and h.level = served.level
                and h.platform_id = served.platform_id and h.day = served.day
        )
        {%- endif %};

    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }} as built
    {%- if config.get('keeps_hand_keys', true) %}
    where not exists (
        select from hand_keys as h
        where
            h.tenant_id = built.tenant_id and h.platform = built.platform and h.level = built.level
            and h.platform_id = built.platform_id and h.day = built.day
    )
    {%- endif %}
{%- endmacro %}
