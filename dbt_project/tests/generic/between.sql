{% test between(model, column_name, low, high) %}
{#- Fails with each row whose value lies outside low..high; null passes. -#}
select *
from {{ model }}
where not ({{ column_name }} between {{ low }} and {{ high }})
{% endtest %}
