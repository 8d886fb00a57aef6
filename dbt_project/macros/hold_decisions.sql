{% macro hold_decisions() -%}
    {#- Pre-hook, in the transaction of the merge: nobody decides between the look at what is open and the merge.
        Readers go on; a person's update waits for the seconds of this one model. -#}
    {%- if target.name != 'dev' -%}
        set local lock_timeout = '60s'; lock table {{ this }} in share row exclusive mode
    {%- endif -%}
{%- endmacro %}
