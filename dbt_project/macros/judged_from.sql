{% macro judged_from(column, back=0, setting='judged_from') -%}
    {#- A build judges every day of its window anew. A replay judges those that a changed figure reaches, and keeps the
        others: no day's judgement looks ahead. `back` is how many days before them a step still reads. -#}
    {%- if target.name == 'replay' -%}
        {{ column }} >= (select current_setting('aegis.{{ setting }}')::date) - {{ back }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
