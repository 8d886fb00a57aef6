{% macro budget_amount(amount, currency) -%}
    {#- A budget as one would type it: whole from 100 on and in yen, else to the cent. -#}
    trim_scale(round(
        ({{ amount }})::numeric,
        case when ({{ amount }}) >= 100 or {{ currency }} = 'JPY' then 0 else 2 end
    ))
{%- endmacro %}
