{{ config(pre_hook="set local work_mem = '128MB'") }}

with

versions as (
    select v.*
    from {{ ref('int_ads__as_of_account_days') }} as account_days
    cross join lateral (
        select * from {{ ref('int_history__performance_versions') }} as version
        where
            version.tenant_id = account_days.tenant_id and version.platform = account_days.platform
            and version.account_id = account_days.account_id and version.day = account_days.day
            and version.known_on <= account_days.as_of
        offset 0     -- noqa: AM09
    ) as v
),

{{ cascade_levels('versions') }}

select * from levels
