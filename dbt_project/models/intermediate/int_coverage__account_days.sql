-- depends_on: {{ ref('int_history__performance_versions') }}
{{ config(indexes=[{'columns': ['tenant_id', 'platform', 'account_id', 'day'], 'unique': true}]) }}

with

judged as (
    select * from {{ source('ops', 'coverage') }}
    where state <> 'pending'
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        day,
        bool_or(state in ('accepted', 'provisional')) as is_served,
        -- a hand row covers itself, not the account's other entities
        bool_or(state in ('accepted', 'provisional') and source <> 'manual') as is_complete,
        -- of the loads that are served, the strongest and the weakest
        coalesce(min(source) filter (where state in ('accepted', 'provisional')), min(source)) as source,
        coalesce(max(source) filter (where state in ('accepted', 'provisional')), max(source)) as weakest_source,
        (array_agg(state order by coverage_id desc))[1] as newest_state,
        (array_agg(reason order by coverage_id desc))[1] as newest_reason,
        (array_agg(rows order by coverage_id desc) filter (where source <> 'manual'))[1] as newest_rows,
        max(covered_at) filter (where state in ('accepted', 'provisional')) as loaded_at,
        max(versioned_at) as versioned_at
    from judged
    group by tenant_id, platform, account_id, day
)

select * from final
