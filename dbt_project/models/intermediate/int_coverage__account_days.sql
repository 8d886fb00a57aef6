-- depends_on: {{ ref('int_history__performance_versions') }}
{{ config(indexes=[{'columns': ['tenant_id', 'platform', 'account_id', 'day'], 'unique': true}]) }}

with

judged as (
    select
        covered.*,
        -- asked for while the day was not over in the account
        covered.source = 'api'
        and (covered.covered_at at time zone coalesce(accounts.timezone, tenants.timezone, 'UTC'))::date
        <= covered.day as is_partial
    from {{ source('ops', 'coverage') }} as covered
    left join {{ source('tenancy', 'tenants') }} as tenants on covered.tenant_id = tenants.tenant_id
    left join {{ source('tenancy', 'ad_accounts') }} as accounts
        on
            covered.tenant_id = accounts.tenant_id
            and covered.platform = accounts.platform
            and covered.account_id = accounts.account_id
    where covered.state <> 'pending'
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        day,
        bool_or(state in ('accepted', 'provisional')) as is_served,
        -- a hand row covers itself, not the account's other entities
        bool_or(state in ('accepted', 'provisional') and source <> 'manual' and not is_partial) as is_complete,
        -- of the loads that are served, the strongest and the weakest
        coalesce(min(source) filter (where state in ('accepted', 'provisional')), min(source)) as source,
        coalesce(max(source) filter (where state in ('accepted', 'provisional')), max(source)) as weakest_source,
        (array_agg(state order by coverage_id desc))[1] as newest_state,
        (array_agg(reason order by coverage_id desc))[1] as newest_reason,
        (array_agg(rows order by coverage_id desc) filter (where source <> 'manual'))[1] as newest_rows,
        (array_agg(quality_score order by coverage_id desc) filter (where source <> 'manual'))[1] as quality_score,
        max(covered_at) filter (where state in ('accepted', 'provisional')) as loaded_at,
        max(versioned_at) as versioned_at
    from judged
    group by tenant_id, platform, account_id, day
)

select * from final
