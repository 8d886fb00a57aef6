{% macro default_event(platform) -%}
    {#- The event of an account where nobody chose one and not all campaigns seek leads. -#}
    case {{ platform }}
        {%- for name, event in var('own_conversion_events').items() %}
        when '{{ name }}' then '{{ event }}'
        {%- endfor %}
        else 'purchase'
    end
{%- endmacro %}


{% macro chosen_event(version) -%}
    {#- The event that a version's conversions are of, by its account's row. -#}
    coalesce(
        (
            select accounts.conversion_event from {{ source('tenancy', 'ad_accounts') }} as accounts
            where
                accounts.tenant_id = {{ version }}.tenant_id and accounts.platform = {{ version }}.platform
                and accounts.account_id = {{ version }}.account_id
        ),
        {{ default_event(version ~ '.platform') }}
    )
{%- endmacro %}


{% macro chosen_figure(version, figure) -%}
    {#- conversions, conversion_value or view_through_conversions of a version's chosen event. An event that a platform
        does not list was measured as zero; a conversion without any value has none. -#}
    {%- set windows = "(" ~ version ~ ".events -> " ~ chosen_event(version) ~ ")" -%}
    {%- if figure == 'conversion_value' -%}
    (
        select coalesce((w.figures -> 'default' ->> 1)::numeric, case when coalesce((w.figures -> 'default' ->> 0)::numeric, 0) = 0 then 0 end)
        from (select {{ windows }} as figures) as w
    )
    {%- else -%}
    coalesce(({{ windows }} -> '{{ 'default' if figure == 'conversions' else '1d_view' }}' ->> 0)::numeric, 0)
    {%- endif -%}
{%- endmacro %}


{% macro choose_conversion_events() -%}
    {#- At an account's first load: what its tenant configured, else lead where all campaigns seek leads, else the
        platform's own. Never again: afterwards it is a person's. -#}
    update {{ source('tenancy', 'ad_accounts') }} as accounts
    set conversion_event = coalesce(
        configured.conversion_event,
        case
            when {{ default_event('accounts.platform') }} = 'purchase' and seeking.all_seek_leads then 'lead'
            else {{ default_event('accounts.platform') }}
        end
    )
    from (
        select distinct covered.tenant_id, covered.platform, covered.account_id     -- one row per load and day
        from {{ source('ops', 'coverage') }} as covered
        where covered.source = 'api' and covered.state in ('accepted', 'provisional')
    ) as loaded
    left join {{ source('people', 'platform_configs') }} as configured
        on loaded.tenant_id = configured.tenant_id and loaded.platform = configured.platform
    left join lateral (
        select bool_and(campaigns.seeks_leads) as all_seek_leads
        from ({{ of_platforms('entities') }}) as campaigns
        where
            campaigns.level = 'campaign' and campaigns.tenant_id = loaded.tenant_id
            and campaigns.platform = loaded.platform and campaigns.account_id = loaded.account_id
    ) as seeking on true
    where
        accounts.conversion_event is null and accounts.tenant_id = loaded.tenant_id
        and accounts.platform = loaded.platform and accounts.account_id = loaded.account_id
{%- endmacro %}
