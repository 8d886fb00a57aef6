-- What became of advice that was followed. One yardstick for all of it: what an entity's conversions are worth by its
-- target, less what it spent. Advice was right where that is more a day than in the four weeks before, had those gone on
-- as comparable campaigns did. A paused campaign earns and costs nothing; a raised budget must earn its own target.
{%- set before_days = 28 %}

with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

days as (
    select
        *,
        greatest(coalesce(maturity, 1), 0.5) as known_share
    from {{ ref('int_metrics__entity_days') }}
    where level in ('campaign', 'adset', 'ad')
),

changes as (
    select * from {{ ref('int_entities__changes') }}
    where level = 'campaign' and field in ('status', 'daily_budget', 'lifetime_budget')
),

targets as (
    select * from {{ ref('int_entities__targets') }}
),

entities as (
    select * from {{ ref('int_entities__as_of') }}
),

followed as (               -- the change log knows the day better than the person who said so afterwards
    select
        r.*,
        case
            when r.observed_at is not null then (r.observed_at at time zone as_of.timezone)::date - 1
            else (r.applied_at at time zone as_of.timezone)::date
        end as done_on,
        as_of.as_of as run_as_of
    from {{ source('decisions', 'optimization_recommendations') }} as r
    inner join as_of on r.tenant_id = as_of.tenant_id
    where r.observed_at is not null or r.status = 'applied'
),

judged_by as (
    select
        f.*,
        h.horizon_days,
        coalesce(e.campaign_id, f.platform_id) as campaign_id,
        case
            when f.evidence ->> 'target_metric' in ('roas', 'cpa') and jsonb_typeof(f.evidence -> 'target') = 'number'
                then f.evidence ->> 'target_metric'
            else t.target_metric
        end as target_metric,
        case
            when f.evidence ->> 'target_metric' in ('roas', 'cpa') and jsonb_typeof(f.evidence -> 'target') = 'number'
                then (f.evidence ->> 'target')::numeric
            else t.target
        end as target,
        case when jsonb_typeof(f.evidence -> 'cv2') = 'number' then (f.evidence ->> 'cv2')::numeric else 0.5 end as cv2
    from followed as f
    cross join unnest(array[7, 14, 28]) as h (horizon_days)
    left join entities as e
        on
            f.tenant_id = e.tenant_id and f.platform = e.platform and f.level = e.level
            and f.platform_id = e.platform_id
    left join targets as t
        on
            f.tenant_id = t.tenant_id and f.platform = t.platform
            and t.level = case f.level when 'campaign' then 'campaign' else 'adset' end
            and t.platform_id = case f.level when 'ad' then e.adset_id else f.platform_id end
    where f.done_on + h.horizon_days <= f.run_as_of
),

own as (
    select
        j.tenant_id,
        j.id,
        j.horizon_days,
        coalesce(sum(d.spend) filter (where d.day < j.done_on), 0) as spend_before,
        coalesce(sum(d.conversions / d.known_share) filter (where d.day < j.done_on), 0) as conversions_before,
        coalesce(sum(d.conversion_value / d.known_share) filter (where d.day < j.done_on), 0) as value_before,
        {{ before_days }} - count(*) filter (where d.day < j.done_on and d.delivery = 'missing') as n_before,
        coalesce(sum(d.spend) filter (where d.day > j.done_on), 0) as spend_after,
        coalesce(sum(d.conversions / d.known_share) filter (where d.day > j.done_on), 0) as conversions_after,
        coalesce(sum(d.conversion_value / d.known_share) filter (where d.day > j.done_on), 0) as value_after,
        j.horizon_days - count(*) filter (where d.day > j.done_on and d.delivery = 'missing') as n_after,
        coalesce(min(d.known_share) filter (where d.day > j.done_on), 1) as least_known
    from judged_by as j
    left join days as d
        on
            j.tenant_id = d.tenant_id and j.platform = d.platform and j.level = d.level
            and j.platform_id = d.platform_id
            and d.day between j.done_on - {{ before_days }} and j.done_on + j.horizon_days
    group by j.tenant_id, j.id, j.horizon_days
),

others as (                 -- campaigns of the platform that delivered before and after, and that nobody touched
    select
        j.tenant_id,
        j.id,
        j.horizon_days,
        d.platform_id,
        sum(d.spend * d.fx_rate) filter (where d.day < j.done_on) as spend_before,
        sum(d.conversions / d.known_share) filter (where d.day < j.done_on) as conversions_before,
        sum(w.worth) filter (where d.day < j.done_on) as worth_before,
        sum(d.spend * d.fx_rate) filter (where d.day > j.done_on) as spend_after,
        sum(d.conversions / d.known_share) filter (where d.day > j.done_on) as conversions_after,
        sum(w.worth) filter (where d.day > j.done_on) as worth_after
    from judged_by as j
    inner join days as d
        on
            j.tenant_id = d.tenant_id and j.platform = d.platform and d.level = 'campaign'
            and d.day between j.done_on - {{ before_days }} and j.done_on + j.horizon_days
    cross join
        lateral (
            values (case j.target_metric when 'roas' then d.conversion_value * d.fx_rate else d.conversions end / d.known_share)
        ) as w (worth)
    where
        d.platform_id <> j.campaign_id and d.delivery = 'delivered'
        and not exists (
            select
            from changes as c
            where
                c.tenant_id = d.tenant_id and c.platform = d.platform and c.platform_id = d.platform_id
                and c.day between j.done_on - {{ before_days }} and j.done_on + j.horizon_days
        )
        and not exists (
            select
            from followed as f
            where
                f.tenant_id = d.tenant_id and f.platform = d.platform and f.platform_id = d.platform_id
                and f.done_on between j.done_on - {{ before_days }} and j.done_on + j.horizon_days
        )
    group by j.tenant_id, j.id, j.horizon_days, d.platform_id
),

drifts as (
    select
        tenant_id,
        id,
        horizon_days,
        count(*) as n_comparable,
        sum(conversions_before) as conversions_before,
        sum(conversions_after) as conversions_after,
        (sum(worth_after) / nullif(sum(spend_after), 0)) / nullif(sum(worth_before) / nullif(sum(spend_before), 0), 0) as drift
    from others
    where spend_before > 0 and spend_after > 0
    group by tenant_id, id, horizon_days
    having sum(conversions_before) >= 10 and sum(conversions_after) >= 10
),

measured as (
    select
        j.*,
        o.spend_before,
        o.spend_after,
        o.n_before,
        o.n_after,
        o.conversions_before,
        o.conversions_after,
        coalesce(d.n_comparable, 0) as n_comparable,
        coalesce(least(greatest(d.drift, 0.25), 4), 1) as drift,
        coalesce(1 / d.conversions_before + 1 / d.conversions_after, 0) as drift_noise,
        case j.target_metric
            when 'roas' then o.value_before / nullif(j.target, 0)
            else o.conversions_before * j.target
        end as worth_before,
        case j.target_metric
            when 'roas' then o.value_after / nullif(j.target, 0)
            else o.conversions_after * j.target
        end as worth_after,
        case j.target_metric when 'roas' then 1 + j.cv2 else 1 end as noise
    from judged_by as j
    inner join own as o on j.tenant_id = o.tenant_id and j.id = o.id and j.horizon_days = o.horizon_days
    left join drifts as d on j.tenant_id = d.tenant_id and j.id = d.id and j.horizon_days = d.horizon_days
    where o.least_known >= 0.9 or j.done_on + j.horizon_days + 28 <= j.run_as_of
),

gains as (
    select
        m.*,
        30 * (
            (m.worth_after - m.spend_after) / nullif(m.n_after, 0)
            - (m.worth_before * m.drift - m.spend_before) / nullif(m.n_before, 0)
        ) as gain,
        30 * sqrt((
            m.worth_after ^ 2 * m.noise / greatest(m.conversions_after, 1) / nullif(m.n_after, 0) ^ 2
            + (m.worth_before * m.drift) ^ 2 * m.noise * (1 / greatest(m.conversions_before, 1) + m.drift_noise)
            / nullif(m.n_before, 0) ^ 2
        )::float8)::numeric as gain_sd
    from measured as m
),

final as (
    select
        tenant_id,
        id as recommendation_id,
        horizon_days,
        run_as_of as measured_on,
        jsonb_build_object(
            'rule_id', rule_id,
            'recommendation_type', recommendation_type,
            'platform', platform,
            'level', level,
            'platform_id', platform_id,
            'done_on', done_on,
            'is_observed', observed_at is not null,
            'currency', currency,
            'target_metric', target_metric,
            'target', round(target, 4),
            'spend_before_a_day', round(spend_before / nullif(n_before, 0), 2),
            'spend_after_a_day', round(spend_after / nullif(n_after, 0), 2),
            'worth_before_a_day', round(worth_before / nullif(n_before, 0), 2),
            'worth_after_a_day', round(worth_after / nullif(n_after, 0), 2),
            'comparable_campaigns', n_comparable,
            'drift', round(drift, 4),
            'expected_gain', round(estimated_impact, 2),
            'gain', round(gain, 2),
            'gain_interval', case
                when gain is not null then jsonb_build_array(round(gain - 1.645 * gain_sd, 2), round(gain + 1.645 * gain_sd, 2))
            end,
            'was_right', gain > 0,
            'is_beyond_doubt', abs(gain) > 1.645 * gain_sd,
            'reason', case
                when target is null or target = 0 then 'Nothing is known of what a conversion may cost or return.'
                when n_before <= 0 or n_after <= 0 then 'No day before or after it has figures.'
                when n_comparable = 0 then 'No comparable campaign: taken as if nothing else had changed.'
            end
        ) as outcome
    from gains
)

select * from final
