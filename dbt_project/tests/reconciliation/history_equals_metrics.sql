{{ config(severity='error') }}
-- Where an account-day holds rows of level ad from one source only, the account's figures are the exact sum of the
-- newest versions: neither the cascade nor a join may lose or double a row.

with

touched as (
    select touched.tenant_id, touched.platform, touched.account_id, touched.day
    from {{ ref('int_ads__touched_account_days') }} as touched
    inner join {{ ref('int_coverage__account_days') }} as covered
        on touched.tenant_id = covered.tenant_id and touched.platform = covered.platform
        and touched.account_id = covered.account_id and touched.day = covered.day
    where covered.source = covered.weakest_source and covered.source <> 'manual'
),

versions as (
    select
        v.tenant_id, v.platform, v.account_id, v.day, v.level, v.spend, v.impressions, v.conversions, v.is_withdrawn,
        v.known_on = max(v.known_on) over (
            partition by hash_record_extended(row(v.tenant_id, v.platform, v.account_id, v.level, v.platform_id, v.day), 0)
        ) as is_newest
    from {{ ref('int_history__performance_versions') }} as v
    inner join touched
        on v.tenant_id = touched.tenant_id and v.platform = touched.platform
        and v.account_id = touched.account_id and v.day = touched.day
),

expected as (
    select
        tenant_id, platform, account_id, day, sum(spend) as spend, sum(impressions) as impressions,
        sum(conversions) as conversions
    from versions
    where is_newest and not is_withdrawn
    group by tenant_id, platform, account_id, day
    having bool_and(level = 'ad')
)

select expected.*, served.spend as served_spend
from expected
left join {{ ref('metrics_daily') }} as served
    on expected.tenant_id = served.tenant_id and expected.platform = served.platform
    and served.level = 'account' and expected.account_id = served.platform_id and expected.day = served.day
where
    (served.spend, served.impressions, served.conversions)
    is distinct from (expected.spend, expected.impressions::bigint, expected.conversions)
