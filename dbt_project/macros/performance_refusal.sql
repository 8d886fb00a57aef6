{% macro performance_refusal(is_dated=true) -%}
    {#- Why a row of figures cannot be used, in words; null where it can. Each reason is one that a table further on
        would refuse with an error, which would stop the build for every tenant. A connected platform's row has no
        known day, currency or conversions of its own yet: is_dated=false. -#}
    case
        when tenant_id is null or tenant_id !~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$'
            then 'tenant_id is no uuid'
        when platform is null or platform not in ('meta', 'tiktok', 'google', 'pinterest')
            then 'platform has no daily figures'
        when level is null or level not in ('account', 'campaign', 'adset', 'ad') then 'level is unknown'
        {%- if is_dated %}
        when account_id is null or platform_id is null or day is null or currency is null
            then 'account, id, day or currency is missing'
        when known_on < day then 'known_on lies before the day'
        when spend < 0 or impressions < 0 or clicks < 0 or link_clicks < 0 or conversions < 0
            or view_through_conversions < 0 then 'a figure is below zero'
        {%- else %}
        when account_id is null or platform_id is null or day is null then 'account, id or day is missing'
        when spend < 0 or impressions < 0 or clicks < 0 or link_clicks < 0 or reach < 0 then 'a figure is below zero'
        {%- endif %}
    end
{%- endmacro %}
