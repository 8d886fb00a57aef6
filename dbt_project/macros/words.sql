{% macro money(amount, currency) -%}
    {#- An amount as people read it: "CAD 1,240", below 100 with cents ("CAD 9.80"), yen without. -#}
    (
        {{ currency }} || ' ' || case
            when abs({{ amount }}) < 100 and {{ currency }} <> 'JPY'
                then to_char(round(({{ amount }})::numeric, 2), 'FM999999999990.00')
            else to_char(round(({{ amount }})::numeric), 'FM999,999,999,999,990')
        end
    )
{%- endmacro %}


{% macro percent(share) -%}
    {#- A share as whole per cent: "97 %". -#}
    (to_char(round((100 * ({{ share }}))::numeric), 'FM999,990') || ' %')
{%- endmacro %}


{% macro target_words(metric, value, currency) -%}
    {#- A figure of the target's kind: "a ROAS of 2.8" or "CAD 12.00 per conversion". -#}
    (
        case {{ metric }}
            when 'roas' then 'a ROAS of ' || to_char(round(({{ value }})::numeric, 1), 'FM999,990.0')
            else {{ money(value, currency) }} || ' per conversion'
        end
    )
{%- endmacro %}
