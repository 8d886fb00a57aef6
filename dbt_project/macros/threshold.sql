{% macro threshold(rule, name, default) -%}
    {#- A number of a rule or detector: the file's default, or what configuration says under thresholds -> rule -> name.
        Anything that is no number falls back to the default, so one tenant's typo cannot stop a build. -#}
    case
        when jsonb_typeof(configured.thresholds -> '{{ rule }}' -> '{{ name }}') = 'number'
            then (configured.thresholds -> '{{ rule }}' -> '{{ name }}')::numeric
        else {{ default }}
    end
{%- endmacro %}
