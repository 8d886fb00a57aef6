{% test unique_combination(model, columns) %}
{#- Fails with each combination of columns that stands in more than one row. -#}
select {{ columns | join(', ') }}, count(*) as n
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
