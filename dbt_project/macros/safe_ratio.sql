{% macro safe_ratio(numerator, denominator, factor=none) -%}
    {#- Null where the denominator is zero or not reported. Of sums, never of ratios. -#}
    ({{ numerator }})::numeric{% if factor %} * {{ factor }}{% endif %} / nullif({{ denominator }}, 0)
{%- endmacro %}
