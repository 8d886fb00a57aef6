with

account_days as (
    select * from {{ ref('int_ads__account_days') }}
),

reconciled as (
    select * from {{ ref('int_reconciliation__account_days') }}
),

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

connected as (      -- only an account with a connected API can miss a day; a file says which days it holds
    select
        accounts.tenant_id, accounts.platform, accounts.account_id, accounts.currency, accounts.timezone,
        min(days.day) as first_day
    from {{ source('tenancy', 'ad_accounts') }} as accounts
    inner join account_days as days
        on
            accounts.tenant_id = days.tenant_id
            and accounts.platform = days.platform
            and accounts.account_id = days.account_id
    where accounts.source = 'api' and days.source = 'api'
    group by accounts.tenant_id, accounts.platform, accounts.account_id, accounts.currency, accounts.timezone
),

covered as (
    select
        account_days.tenant_id,
        account_days.platform,
        account_days.account_id,
        account_days.day,
        account_days.data_status as state,
        account_days.loaded_at,
        account_days.rows,
        account_days.maturity,
        coalesce(reconciled.currency, account_days.currency) as currency,
        reconciled.ad_sum,
        reconciled.campaign_total,
        reconciled.account_total,
        reconciled.difference,
        coalesce(
            account_days.reason,
            case account_days.data_status when 'provisional' then 'the platform may still restate this day' end
        ) as reason,
        coalesce(account_days.quality_score, reconciled.quality_score) as quality_score
    from account_days
    left join reconciled
        on
            account_days.tenant_id = reconciled.tenant_id
            and account_days.platform = reconciled.platform
            and account_days.account_id = reconciled.account_id
            and account_days.day = reconciled.day
),

missing as (
    select
        connected.tenant_id,
        connected.platform,
        connected.account_id,
        expected.day::date as day,
        'missing' as state,
        null::timestamptz as loaded_at,
        null::bigint as rows,
        null::numeric as maturity,
        connected.currency,
        null::numeric as ad_sum,
        null::numeric as campaign_total,
        null::numeric as account_total,
        null::numeric as difference,
        'no load covers this day' as reason,
        null::numeric as quality_score
    from connected
    inner join as_of on connected.tenant_id = as_of.tenant_id
    cross join
        lateral generate_series(    -- up to the newest day that is over in the account, whether or not it is judged yet
            connected.first_day,
            greatest(as_of.as_of, (as_of.clock at time zone coalesce(connected.timezone, as_of.timezone))::date - 1),
            interval '1 day'
        ) as expected (day)
    where not exists (
        select from account_days as covered_day
        where
            covered_day.tenant_id = connected.tenant_id
            and covered_day.platform = connected.platform
            and covered_day.account_id = connected.account_id
            and covered_day.day = expected.day
    )
),

both_kinds as (
    select * from covered
    union all
    select * from missing
),

final as (
    select
        tenant_id,
        platform,
        account_id,
        day,
        state,
        loaded_at,
        rows,
        maturity,
        currency,
        ad_sum::numeric(20, 6) as ad_sum,
        campaign_total::numeric(20, 6) as campaign_total,
        account_total::numeric(20, 6) as account_total,
        difference::numeric(20, 6) as difference,
        reason,
        quality_score
    from both_kinds
)

select * from final
