-- All flagged days: the union of the detectors, what a running conversion drop makes of its weaker days, and one
-- account row where several campaigns broke together.
with

detected as (
    {%- for detector in var('detectors') %}
    select
        tenant_id, platform, account_id, level, platform_id, anomaly_type, metric, day, observed_sum, expected_sum,
        lower_sum, upper_sum, weight, score, loss, loss_share, currency, is_tracking_outage, movement_share, known_as_of
    from {{ ref('anomaly_' ~ detector) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

conversion_evidence as (    -- the same days in conversions rather than in cost per conversion
    select * from {{ ref('int_anomalies__scores') }}
    where test = 'outage'
),

drops_so_far as (
    select
        d.*,
        d.metric = 'cpa'
        and max(case when d.anomaly_type = 'conversion_drop' then d.day end) over (
            partition by d.tenant_id, d.platform, d.level, d.platform_id, d.metric in ('conversions', 'cpa')
            order by d.day
        ) >= d.day - 3 as continues_drop
    from detected as d
),

retyped as (
    select
        d.tenant_id,
        d.platform,
        d.account_id,
        d.level,
        d.platform_id,
        case when d.continues_drop then 'conversion_drop' else d.anomaly_type end as anomaly_type,
        case when d.continues_drop then 'conversions' else d.metric end as metric,
        d.day,
        case when d.continues_drop then c.observed_sum else d.observed_sum end as observed_sum,
        case when d.continues_drop then c.expected_sum else d.expected_sum end as expected_sum,
        case when d.continues_drop then c.lower_sum else d.lower_sum end as lower_sum,
        case when d.continues_drop then c.upper_sum else d.upper_sum end as upper_sum,
        case when d.continues_drop then c.weight else d.weight end as weight,
        d.score,
        d.loss,
        d.loss_share,
        d.currency,
        d.is_tracking_outage,
        d.movement_share,
        d.known_as_of
    from drops_so_far as d
    left join conversion_evidence as c
        on
            d.tenant_id = c.tenant_id and d.platform = c.platform and d.level = c.level
            and d.platform_id = c.platform_id and d.day = c.day
            and d.continues_drop
),

watched_campaigns as (
    select
        tenant_id,
        platform,
        account_id,
        day,
        count(*) as n_campaigns
    from {{ ref('int_anomalies__scores') }}
    where level = 'campaign' and test = 'spend_down'
    group by tenant_id, platform, account_id, day
),

account_spend as (          -- campaigns that were replaced stopped too, and their account spends as before
    select tenant_id, platform, account_id, day, spend
    from {{ ref('int_metrics__entity_days') }}
    where level = 'account'
),

accounts as (               -- tracking lost in several campaigns at once; delivery stopped in all of them
    select
        r.tenant_id,
        r.platform,
        r.account_id,
        'account' as level,
        r.account_id as platform_id,
        r.anomaly_type,
        r.metric,
        r.day,
        sum(r.observed_sum) as observed_sum,
        sum(r.expected_sum) as expected_sum,
        sum(r.lower_sum) as lower_sum,
        sum(r.upper_sum) as upper_sum,
        max(r.weight) as weight,
        sum(r.score) as score,
        sum(r.loss) as loss,
        sum(r.loss_share) as loss_share,
        max(r.currency) as currency,
        r.anomaly_type = 'conversion_drop' as is_tracking_outage,
        0::numeric as movement_share,
        max(r.known_as_of) as known_as_of
    from retyped as r
    left join watched_campaigns as w
        on r.tenant_id = w.tenant_id and r.platform = w.platform and r.account_id = w.account_id and r.day = w.day
    left join account_spend as s
        on r.tenant_id = s.tenant_id and r.platform = s.platform and r.account_id = s.account_id and r.day = s.day
    where
        r.level = 'campaign'
        and (r.anomaly_type = 'spend_drop' or (r.anomaly_type = 'conversion_drop' and r.is_tracking_outage))
    group by r.tenant_id, r.platform, r.account_id, r.anomaly_type, r.metric, r.day
    having
        count(*) >= 2
        and (
            r.anomaly_type = 'conversion_drop'
            or (count(*) >= max(w.n_campaigns) and coalesce(max(s.spend) < 0.5 * sum(r.expected_sum), true))
        )
),

final as (
    select r.*
    from retyped as r
    where
        not exists (      -- the sum of what broke says more than the account with what did not
            select
            from accounts as a
            where
                r.tenant_id = a.tenant_id and r.platform = a.platform and r.level = a.level
                and r.platform_id = a.platform_id and r.anomaly_type = a.anomaly_type and r.metric = a.metric
                and r.day = a.day
        )
    union all
    select * from accounts
)

select * from final
