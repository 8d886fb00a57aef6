{% macro normal_cdf(z) -%}
    {#- Chance that a standard normal number is below z (erf is built in since PostgreSQL 16). -#}
    (0.5 * (1 + erf(({{ z }})::float8 / sqrt(2.0::float8))))
{%- endmacro %}


{% macro count_z(observed, expected, phi) -%}
    {#- How far a count is from its expectation in standard deviations, variance-stabilised for overdispersion phi. -#}
    (
        2 * (
            asinh(sqrt(({{ phi }}) * (({{ observed }}) + 0.375)::float8))
            - asinh(sqrt(({{ phi }}) * (({{ expected }}) + 0.375)::float8))
        ) / sqrt({{ phi }})
    )
{%- endmacro %}
