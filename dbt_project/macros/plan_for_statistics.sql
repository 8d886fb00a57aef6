{% macro plan_for_statistics() -%}
    {#- Pre-hook of models that join windows and aggregates: the planner takes those for one row each and then loops or
        merges where a hash join is some ten times faster (2.4 s against 0.9 s on 20,000 campaign-days). -#}
    set local work_mem = '128MB'; set local enable_nestloop = off; set local enable_mergejoin = off; set local jit = off
{%- endmacro %}
