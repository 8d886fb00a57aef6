{{ config(
    indexes=[{'columns': ['tenant_id', 'platform', 'account_id', 'day', 'check_name', 'subject'], 'unique': true}],
    pre_hook="set local work_mem = '64MB'",
    post_hook="{{ record_findings() }}",
) }}
-- What a vendor's, a file's or a person's data can bring about, in words, for the account-days of this build. Tests
-- on it only warn: a bad account never stops the build of the others.

with

touched as (
    select * from {{ ref('int_ads__touched_account_days') }}
),

reconciled as (
    select reconciled.*, touched.reporting_currency
    from {{ ref('int_reconciliation__account_days') }} as reconciled
    inner join touched
        on
            reconciled.tenant_id = touched.tenant_id
            and reconciled.platform = touched.platform
            and reconciled.account_id = touched.account_id
            and reconciled.day = touched.day
),

mixed_days as (     -- days on which two sources may speak of one key
    select tenant_id, platform, day
    from {{ ref('int_coverage__account_days') }}
    where is_served
    group by tenant_id, platform, day
    having min(source) <> max(weakest_source)
),

candidates as (     -- rows that could have been served: all of mixed days, and totals beside rows below them
    select
        v.tenant_id, v.platform, v.account_id, v.level, v.platform_id, v.day, v.source, v.spend, v.is_withdrawn,
        row_number() over (
            partition by v.tenant_id, v.platform, v.account_id, v.level, v.platform_id, v.day, v.source
            order by v.known_on desc
        ) as recency
    from touched
    left join mixed_days
        on
            touched.tenant_id = mixed_days.tenant_id
            and touched.platform = mixed_days.platform
            and touched.day = mixed_days.day
    cross join lateral (
        select version.* from {{ ref('int_history__performance_versions') }} as version
        where
            version.tenant_id = touched.tenant_id and version.platform = touched.platform
            and version.account_id = touched.account_id and version.day = touched.day
            and (version.level <> 'ad' or mixed_days.day is not null)
        offset 0     -- noqa: AM09
    ) as v
),

overlapping as (
    select
        candidates.tenant_id, candidates.platform, candidates.account_id, candidates.day,
        'overlapping_sources' as check_name,
        candidates.source || ' ' || candidates.level || ' ' || candidates.platform_id as subject,
        'warning' as severity,
        format(
            'The %s row of %s %s (spend %s) is kept, but not served: source %s says %s.',
            candidates.source, candidates.level, candidates.platform_id, coalesce(trim_scale(candidates.spend)::text, 'none'),
            served.source, coalesce(trim_scale(served.spend)::text, 'none')
        ) as message,
        jsonb_build_object(
            'kept', candidates.spend, 'kept_source', candidates.source, 'served', served.spend,
            'served_source', served.source
        ) as evidence
    from candidates
    cross join
        lateral (
            select m.source, m.spend from {{ ref('metrics_daily') }} as m
            where
                m.tenant_id = candidates.tenant_id and m.platform = candidates.platform and m.level = candidates.level
                and m.platform_id = candidates.platform_id and m.day = candidates.day
            offset 0     -- noqa: AM09
        ) as served
    where
        candidates.recency = 1 and not candidates.is_withdrawn
        -- a connected platform's own totals are there to be compared, not to be served
        and candidates.source <> 'api'
        and (candidates.source <> served.source or candidates.spend is distinct from served.spend)
),

without_rate as (
    select
        tenant_id, platform, account_id, day, 'missing_rate' as check_name, '' as subject, 'warning' as severity,
        format('No rate from %s to %s within a week before %s: reporting amounts are empty.', currency, reporting_currency, day)
            as message,
        jsonb_build_object('currency', currency, 'reporting_currency', reporting_currency) as evidence
    from reconciled
    where has_no_rate
),

two_currencies as (
    select
        tenant_id, platform, account_id, day, 'two_currencies' as check_name, '' as subject, 'error' as severity,
        'Rows of one account-day are in two currencies: its totals add them up as one.' as message,
        '{}'::jsonb as evidence
    from reconciled
    where has_two_currencies
),

large_difference as (
    select
        tenant_id, platform, account_id, day, 'totals_differ' as check_name, '' as subject, 'warning' as severity,
        format(
            'The platform''s own totals and its ads differ by %s (%s %%).', trim_scale(round(difference, 2)),
            round(100 * difference / nullif(greatest(campaign_total, account_total), 0), 1)
        ) as message,
        jsonb_build_object(
            'ad_sum', ad_sum, 'campaign_total', campaign_total, 'account_total', account_total
        ) as evidence
    from reconciled
    where abs(difference) > 0.005 * greatest(campaign_total, account_total)
),

final as (
    select * from overlapping
    union all
    select * from without_rate
    union all
    select * from two_currencies
    union all
    select * from large_difference
)

select * from final
