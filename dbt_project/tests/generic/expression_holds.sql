{% test expression_holds(model, expression) %}
{#- Fails with each row for which the expression is false; null passes. -#}
select *
from {{ model }}
where not ({{ expression }})
{% endtest %}
