{% macro judged_from(column, back=0, setting='judged_from', chain=none) -%}
    {#- A build judges every day of its window anew. A replay judges those that a changed figure reaches, and keeps the
        others: no day's judgement looks ahead. `back` is how many days before them a step still reads. `chain`: the
        column that tells chains of conversions, which are restated for weeks, from those of delivery, which are not. -#}
    {%- if target.name != 'replay' -%}
        true
    {%- elif chain -%}
        {{ column }} >= case
            when {{ chain }} in ('cvr', 'aov') then (select current_setting('aegis.{{ setting }}')::date)
            else (select current_setting('aegis.delivery_from')::date)
        end - {{ back }}
    {%- else -%}
        {{ column }} >= (select current_setting('aegis.{{ setting }}')::date) - {{ back }}
    {%- endif -%}
{%- endmacro %}
