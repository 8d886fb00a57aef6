{% macro meta_major_units(amount, currency) -%}
    {#- Meta's budgets and bids: text in minor units, hundredths except in currencies without decimals. "0" is unset. -#}
    nullif(case when {{ amount }} ~ '^[0-9]{1,13}([.][0-9]{1,6})?$' then {{ amount }}::numeric end, 0)
    / case
        when {{ currency }} in ('CLP', 'COP', 'CRC', 'HUF', 'ISK', 'IDR', 'JPY', 'KRW', 'PYG', 'TWD', 'VND') then 1
        when {{ currency }} is not null then 100
    end
{%- endmacro %}


{% macro meta_status(effective_status, ends_at, loaded_at) -%}
    {#- What really delivers, a parent's pause included. A run that is over stays ACTIVE at Meta. -#}
    case
        when upper({{ effective_status }}) in ('DELETED', 'ARCHIVED') then 'removed'
        when {{ ends_at }} <= {{ loaded_at }} then 'ended'
        when upper({{ effective_status }}) in ('PAUSED', 'CAMPAIGN_PAUSED', 'ADSET_PAUSED') then 'paused'
        when upper({{ effective_status }}) = 'ACTIVE' then 'active'
        when {{ effective_status }} is not null then 'other'
    end
{%- endmacro %}


{% macro meta_events(actions, action_values) -%}
    {#- A row's lists as {event: {window: [conversions, value]}}, laterally. One event stands there under several types
        at once, so of each event only the highest tier that is there counts, and the same one for the value. A type of
        no event keeps its name as `vendor:<type>`. `is_readable` is false where a type or a number cannot be read. -#}
    {%- set tiers = {
        'purchase': [
            ['omni_purchase'], ['purchase'],
            ['offsite_conversion.fb_pixel_purchase', 'onsite_conversion.purchase', 'onsite_web_purchase',
             'onsite_app_purchase', 'app_custom_event.fb_mobile_purchase', 'web_in_store_purchase'],
        ],
        'add_to_cart': [
            ['omni_add_to_cart'], ['add_to_cart'],
            ['offsite_conversion.fb_pixel_add_to_cart', 'onsite_conversion.add_to_cart',
             'app_custom_event.fb_mobile_add_to_cart'],
        ],
        'initiate_checkout': [
            ['omni_initiated_checkout'], ['initiate_checkout'],
            ['offsite_conversion.fb_pixel_initiate_checkout', 'app_custom_event.fb_mobile_initiated_checkout'],
        ],
        'lead': [
            [], ['lead'],
            ['offsite_conversion.fb_pixel_lead', 'onsite_conversion.lead_grouped', 'leadgen.other'],
        ],
        'complete_registration': [
            ['omni_complete_registration'], ['complete_registration'],
            ['offsite_conversion.fb_pixel_complete_registration', 'app_custom_event.fb_mobile_complete_registration'],
        ],
        'view_content': [
            ['omni_view_content'], ['view_content'],
            ['offsite_conversion.fb_pixel_view_content', 'app_custom_event.fb_mobile_content_view'],
        ],
    } -%}
    {%- set lists = {'count': actions, 'value': action_values} -%}
    lateral (
        with

        listed as (
            {%- for kind, list in lists.items() %}
            select '{{ kind }}' as kind, element.value as element
            from json_array_elements(case when json_typeof({{ list }}) = 'array' then {{ list }} else '[]'::json end) as element
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        ),

        figures as (
            select
                listed.kind,
                listed.element ->> 'action_type' as action_type,
                case figure.key when 'value' then 'default' else figure.key end as attribution_window,
                case
                    when figure.value ~ case listed.kind
                        when 'value' then '^-?[0-9]{1,12}([.][0-9]{1,20})?$' else '^[0-9]{1,12}([.][0-9]{1,20})?$'
                    end then round(figure.value::numeric, 6)
                end as figure
            from listed
            cross join lateral json_each_text(
                case when json_typeof(listed.element) = 'object' then listed.element else '{"value": null}'::json end
            ) as figure
            where figure.key = 'value' or figure.key ~ '^[0-9]+d_(click|view|ev)$'
        ),

        by_tier as (
            select
                coalesce(known.event, 'vendor:' || figures.action_type) as event,
                coalesce(known.tier, 3) as tier,
                figures.attribution_window,
                sum(figures.figure) filter (where figures.kind = 'count') as conversions,
                sum(figures.figure) filter (where figures.kind = 'value') as conversion_value,
                bool_or(figures.figure is null) as is_unreadable
            from figures
            left join (
                values
                {%- for event, of_event in tiers.items() %}
                {%- set last_event = loop.last %}
                {%- for types in of_event %}
                {%- set tier = loop.index %}
                {%- for type in types %}
                ('{{ type }}', '{{ event }}', {{ tier }}){{ ',' if not (last_event and tier == 3 and loop.last) }}
                {%- endfor %}
                {%- endfor %}
                {%- endfor %}
            ) as known (action_type, event, tier) on figures.action_type = known.action_type
            group by 1, 2, 3        -- noqa: AM06
        ),

        of_events as (
            select
                *,
                coalesce(
                    min(tier) filter (where conversions is not null) over (partition by event),
                    min(tier) over (partition by event)
                ) as counted_tier
            from by_tier
        ),

        by_event as (
            select
                event,
                jsonb_object_agg(attribution_window, jsonb_build_array(conversions, conversion_value))
                    filter (where tier = counted_tier) as windows,
                bool_or(is_unreadable) or event is null as is_unreadable
            from of_events
            group by event
        )

        select
            coalesce(jsonb_object_agg(event, windows) filter (where event is not null), '{}'::jsonb) as events,
            not coalesce(bool_or(is_unreadable), false)
            and coalesce(json_typeof({{ actions }}), 'array') in ('array', 'null')
            and coalesce(json_typeof({{ action_values }}), 'array') in ('array', 'null') as is_readable
        from by_event
    )
{%- endmacro %}
