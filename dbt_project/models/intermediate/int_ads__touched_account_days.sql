{{ config(
    indexes=[{'columns': ['tenant_id', 'platform', 'account_id', 'day'], 'unique': true}],
    post_hook="analyze {{ this }}",
) }}
-- The account-days to build: those that are not as int_ads__built_account_days, the last model of the chain, left
-- them. Not a ref, which would be a circle: a build that breaks half way finds the same days again.
{%- set built = load_relation(this.incorporate(path={'identifier': 'int_ads__built_account_days'})) if execute %}
{%- set knows_event = built and 'conversion_event' in
    (adapter.get_columns_in_relation(built) | map(attribute='name') | list) %}

with

account_days as (
    select * from {{ ref('int_ads__account_days') }}
    where is_served
),

changed as (
    select account_days.tenant_id, account_days.platform, account_days.day
    from
        account_days
    {%- if built and not var('rebuild') %}
left join {{ built }} as built
    on
        account_days.tenant_id = built.tenant_id
        and account_days.platform = built.platform
        and account_days.account_id = built.account_id
        and account_days.day = built.day
where
    (
        built.versioned_at, built.fx_rate, built.reporting_currency, built.maturity, built.data_status
    ) is distinct from (
        account_days.versioned_at, account_days.fx_rate, account_days.reporting_currency, account_days.maturity,
        account_days.data_status
    )
    {%- if knows_event %}
    -- another choice of event is another figure on every day of the account
    or (account_days.source = 'api' and built.conversion_event is distinct from account_days.conversion_event)
    {%- endif %}
    {%- endif %}
),

final as (      -- with the day's other accounts: one key may lie in two, and precedence decides between them
    select
        account_days.tenant_id,
        account_days.platform,
        account_days.account_id,
        account_days.day,
        account_days.versioned_at,
        account_days.currency,
        account_days.fx_rate,
        account_days.reporting_currency,
        account_days.maturity,
        account_days.data_status,
        account_days.conversion_event
    from account_days
    where (account_days.tenant_id, account_days.platform, account_days.day) in (
        select changed.tenant_id, changed.platform, changed.day from changed
    )
)

select * from final
