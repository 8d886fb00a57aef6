-- What a build writes into ads.anomalies: the rows of incidents that begin, move, end, are withdrawn or come back.
-- Rows that stay as they are are not in here. Both the model and the function ads.detect_anomalies write these rows.
with

runs as (
    select
        tenant_id,
        as_of,
        -- 28 days are judged again in every run; older evidence can no longer be checked.
        as_of - 27 as first_judged,
        (as_of + 1)::timestamp at time zone timezone as ends_at
    from {{ ref('int_run__as_of') }}
),

configured as (
    select * from {{ ref('int_anomalies__configured') }}
),

stored as (
    select
        a.*,
        r.as_of,
        r.first_judged,
        r.ends_at
    from {{ source('decisions', 'anomalies') }} as a
    inner join runs as r on a.tenant_id = r.tenant_id
    inner join configured as c on a.tenant_id = c.tenant_id and a.platform = c.platform
    where a.day <= r.as_of
),

closed as (                 -- what these rows cover is over, or was judged on a later day than this run's
    select * from stored
    where status = 'resolved' or known_as_of > as_of
),

open as (
    select * from stored
    where status <> 'resolved' and known_as_of <= as_of
),

-- 1 which days count

flagged_days as (
    select f.*
    from {{ ref('anomaly_days') }} as f
    where not exists (
        select
        from closed as c
        where
            c.tenant_id = f.tenant_id and c.platform = f.platform and c.level = f.level
            and c.platform_id = f.platform_id and c.anomaly_type = f.anomaly_type and c.metric = f.metric
            and f.day between c.day and c.last_day
    )
),

tested_days as (
    select distinct         -- several tests share a chain
        tenant_id,
        platform,
        account_id,
        level,
        platform_id,
        case test when 'outage' then 'cvr' else test end as chain,
        day
    from {{ ref('int_anomalies__scores') }}
),

paused_days as (
    select
        tenant_id,
        platform,
        account_id,
        platform_id,
        day
    from {{ ref('int_anomalies__series') }}
    where chain = 'spend' and is_paused and day > as_of - 28
),

chains as (
    select *
    from (
        values
        ('spend_spike', 'spend', 'spend_up'), ('spend_drop', 'spend', 'spend_down'), ('cost_spike', 'cpc', 'cpc'),
        ('cost_spike', 'cpa', 'cvr'), ('conversion_drop', 'conversions', 'cvr'), ('ctr_drop', 'ctr', 'ctr'),
        ('roas_drop', 'roas', 'aov')
    ) as c (anomaly_type, metric, chain)
),

watched as (                -- every key that is flagged or open
    select tenant_id, platform, level, platform_id, anomaly_type, metric from flagged_days
    union
    select tenant_id, platform, level, platform_id, anomaly_type, metric from open
),

checked_days as (           -- days that could have been flagged; a paused day is a normal one, a missing one is none
    select w.tenant_id, w.platform, w.level, w.platform_id, w.anomaly_type, w.metric, t.day
    from watched as w
    inner join chains as c on w.anomaly_type = c.anomaly_type and w.metric = c.metric
    inner join tested_days as t
        on
            w.tenant_id = t.tenant_id and w.platform = t.platform and c.chain = t.chain
            and (
                (w.level = t.level and w.platform_id = t.platform_id)
                or (w.level = 'account' and t.level = 'campaign' and w.platform_id = t.account_id)
            )
    union
    select w.tenant_id, w.platform, w.level, w.platform_id, w.anomaly_type, w.metric, p.day
    from watched as w
    inner join paused_days as p
        on
            w.tenant_id = p.tenant_id and w.platform = p.platform
            and w.level = 'campaign' and w.platform_id = p.platform_id
),

days as (
    select
        coalesce(f.tenant_id, c.tenant_id) as tenant_id,
        coalesce(f.platform, c.platform) as platform,
        coalesce(f.level, c.level) as level,
        coalesce(f.platform_id, c.platform_id) as platform_id,
        coalesce(f.anomaly_type, c.anomaly_type) as anomaly_type,
        coalesce(f.metric, c.metric) as metric,
        coalesce(f.day, c.day) as day,
        f.day is not null as is_flagged,
        f.account_id,
        f.observed_sum,
        f.expected_sum,
        f.lower_sum,
        f.upper_sum,
        f.weight,
        f.score,
        f.loss,
        f.loss_share,
        f.currency,
        f.is_tracking_outage,
        f.movement_share
    from flagged_days as f
    full join checked_days as c
        on
            f.tenant_id = c.tenant_id and f.platform = c.platform and f.level = c.level
            and f.platform_id = c.platform_id and f.anomaly_type = c.anomaly_type and f.metric = c.metric
            and f.day = c.day
),

counted as (
    select
        d.*,
        count(case when not d.is_flagged then 1 end) over history as n_normal,
        count(case when not d.is_flagged then 1 end) over key as n_normal_in_all
    from days as d
    window
        key as (
            partition by d.tenant_id, d.platform, d.level, d.platform_id, d.anomaly_type, d.metric
        ),
        history as (
            partition by d.tenant_id, d.platform, d.level, d.platform_id, d.anomaly_type, d.metric order by d.day
        )
),

gaps as (
    select
        c.*,
        c.n_normal - lag(c.n_normal) over (
            partition by c.tenant_id, c.platform, c.level, c.platform_id, c.anomaly_type, c.metric order by c.day
        ) as n_normal_before
    from counted as c
    where c.is_flagged
),

numbered as (               -- two normal days end an incident
    select
        g.*,
        count(case when g.n_normal_before >= 2 then 1 end) over (
            partition by g.tenant_id, g.platform, g.level, g.platform_id, g.anomaly_type, g.metric order by g.day
        ) as place
    from gaps as g
),

summed as (
    select
        tenant_id,
        platform,
        level,
        platform_id,
        anomaly_type,
        metric,
        place,
        max(account_id) as account_id,
        min(day) as first_flagged,
        max(day) as last_flagged,
        max(n_normal_in_all) - max(n_normal) >= 2 as is_over,
        sum(observed_sum) as observed_sum,
        sum(expected_sum) as expected_sum,
        sum(lower_sum) as lower_sum,
        sum(upper_sum) as upper_sum,
        sum(weight) as weight,
        max(score) as score,
        avg(loss) as loss_per_day,
        avg(loss_share) as loss_share,
        max(currency) as currency,
        coalesce(sum(expected_sum) filter (where is_tracking_outage) >= 0.5 * sum(expected_sum), false)
            as is_tracking_outage,
        avg(movement_share) as movement_share
    from numbered
    group by tenant_id, platform, level, platform_id, anomaly_type, metric, place
),

-- 2 what the incident is

valued as (                 -- ratios of sums; a cost is the inverse of what was counted
    select
        s.*,
        case s.metric when 'cpa' then s.weight / nullif(s.observed_sum, 0) else s.observed_sum / nullif(s.weight, 0) end
            as observed,
        case s.metric when 'cpa' then s.weight / nullif(s.expected_sum, 0) else s.expected_sum / nullif(s.weight, 0) end
            as expected,
        case s.metric when 'cpa' then s.weight / nullif(s.upper_sum, 0) else s.lower_sum / nullif(s.weight, 0) end
            as lower_bound,
        case s.metric when 'cpa' then s.weight / nullif(s.lower_sum, 0) else s.upper_sum / nullif(s.weight, 0) end
            as upper_bound,
        -- Money, not sigma: the daily loss as a share of what the tenant spends a day; doubtful ones a level lower.
        case
            when coalesce(s.loss_share, 0) < 0.01 then 1
            when s.loss_share < 0.05 then 2
            when s.loss_share < 0.15 then 3
            else 4
        end - case when s.score < 11 then 1 else 0 end as severity_level
    from summed as s
),

amounts as (
    select
        *,
        case when field like '%budget' and old_value ~ '^[0-9]+(\.[0-9]+)?$' then old_value::numeric end as old_amount,
        case when field like '%budget' and new_value ~ '^[0-9]+(\.[0-9]+)?$' then new_value::numeric end as new_amount
    from {{ ref('int_entities__changes') }}
    where level in ('campaign', 'adset')
),

changes as (                -- pauses, starts and budget steps of more than 30 %, of the campaign or its ad sets
    select
        c.tenant_id,
        c.platform,
        coalesce(e.campaign_id, c.platform_id) as campaign_id,
        c.day,
        c.field,
        case
            when c.field = 'status' then case c.new_value when 'active' then 1 else -1 end
            else sign(c.new_amount - c.old_amount)
        end as direction
    from amounts as c
    left join {{ ref('int_entities__as_of') }} as e
        on
            c.tenant_id = e.tenant_id and c.platform = e.platform and c.level = e.level
            and c.platform_id = e.platform_id
    where c.field = 'status' or abs(c.new_amount / nullif(c.old_amount, 0) - 1) > 0.3
),

explained as (
    select
        v.*,
        case
            when exists (
                select
                from changes as c
                where
                    c.tenant_id = v.tenant_id and c.platform = v.platform and c.campaign_id = v.platform_id
                    and v.level = 'campaign'
                    and c.day between v.first_flagged - 2 and v.first_flagged
                    and (
                        (v.anomaly_type = 'spend_spike' and c.direction > 0)
                        -- a pause or a start in the middle of a day leaves a part of its spend
                        or (v.anomaly_type = 'spend_drop' and (c.direction < 0 or c.field = 'status'))
                    )
            ) then 'change_log'
        end as explained_by
    from valued as v
),

incidents as (
    select
        e.*,
        md5(concat_ws('|', e.platform, e.level, e.platform_id, e.anomaly_type, e.metric)) as anomaly_key,
        r.as_of,
        r.first_judged,
        r.ends_at
    from explained as e
    inner join runs as r on e.tenant_id = r.tenant_id
),

-- 3 which stored row it is

pairs as (
    select
        o.tenant_id,
        o.id,
        o.status as stored_status,
        o.day,
        i.anomaly_key,
        i.place,
        i.first_flagged,
        i.last_flagged
    from open as o
    inner join incidents as i
        on
            o.tenant_id = i.tenant_id and o.anomaly_key = i.anomaly_key
            and o.last_day >= i.first_flagged and o.day <= i.last_flagged
),

newest_pairs as (           -- a row follows the newest incident it overlaps
    select distinct on (p.tenant_id, p.id) p.*
    from pairs as p
    order by p.tenant_id asc, p.id asc, p.last_flagged desc
),

chosen as (                 -- an incident prefers a row that is open to a withdrawn one
    select distinct on (n.tenant_id, n.anomaly_key, n.place) n.*
    from newest_pairs as n
    order by n.tenant_id asc, n.anomaly_key asc, n.place asc, n.stored_status = 'withdrawn' asc, n.day desc
),

moving as (
    select
        i.*,
        o.id,
        o.day,
        case
            when o.status = 'withdrawn' then 'active'
            when i.is_over then 'resolved'
            else o.status
        end as status,
        o.acknowledged_at,
        o.acknowledged_by,
        o.resolved_at as stored_resolved_at,
        o.parent_id as stored_parent_id,
        o.explained_by as stored_explained_by
    from chosen as c
    inner join open as o on c.tenant_id = o.tenant_id and c.id = o.id
    inner join incidents as i on c.tenant_id = i.tenant_id and c.anomaly_key = i.anomaly_key and c.place = i.place
    -- A withdrawn incident whose evidence is back but which is over anyway stays withdrawn.
    where not (o.status = 'withdrawn' and i.is_over)
),

beginning as (
    select
        i.*,
        md5(concat_ws('|', i.tenant_id, i.anomaly_key, i.first_flagged))::uuid as id,
        i.first_flagged as day,
        case when i.is_over then 'resolved' else 'active' end as status,
        null::timestamptz as acknowledged_at,
        null::text as acknowledged_by,
        null::timestamptz as stored_resolved_at,
        null::uuid as stored_parent_id,
        null::text as stored_explained_by
    from incidents as i
    where not exists (
        select
        from pairs as p
        where p.tenant_id = i.tenant_id and p.anomaly_key = i.anomaly_key and p.place = i.place
    )
    -- What restated data adds to the edge of a resolved incident is no incident of its own.
    and not (
        i.is_over
        and exists (
            select
            from closed as c
            where
                c.tenant_id = i.tenant_id and c.anomaly_key = i.anomaly_key
                and i.first_flagged <= c.last_day + 3 and i.last_flagged >= c.day - 3
        )
    )
),

running as (
    select * from moving
    union all
    select * from beginning
),

living as (
    select
        l.tenant_id,
        l.id,
        l.anomaly_key,
        l.platform,
        l.account_id,
        l.level,
        l.platform_id,
        l.anomaly_type,
        l.metric,
        l.day,
        greatest(l.last_flagged, l.day) as last_day,
        round(l.observed, 6) as observed,
        round(l.expected, 6) as expected,
        round(l.lower_bound, 6) as lower_bound,
        round(l.upper_bound, 6) as upper_bound,
        round(l.observed / nullif(l.expected, 0) - 1, 6) as deviation,
        round(l.score, 6) as score,
        round(l.loss_per_day, 6) as loss_per_day,
        l.currency,
        (array['low', 'medium', 'high', 'critical'])[greatest(l.severity_level, 1)] as severity,
        -- The floor of 9 nats was right in about four of five cases on labelled data; 12 nats in more than nine of ten.
        round(least(1 / (1 + exp(-0.35 * (l.score - 5))), 0.99), 4) as confidence,
        l.status,
        l.is_tracking_outage,
        coalesce(l.explained_by, l.stored_explained_by) as explained_by,
        l.as_of as known_as_of,
        l.acknowledged_at,
        l.acknowledged_by,
        case when l.status = 'resolved' then coalesce(l.stored_resolved_at, l.ends_at) end as resolved_at,
        l.movement_share,
        l.stored_parent_id
    from running as l
),

-- 4 rows whose evidence is gone

unseen as (
    select
        o.*,
        count(d.day) filter (where d.day between o.day and o.last_day) as n_checked_within,
        count(d.day) filter (where d.day > o.last_day and not d.is_flagged) as n_normal_after
    from open as o
    left join days as d
        on
            o.tenant_id = d.tenant_id and o.platform = d.platform and o.level = d.level
            and o.platform_id = d.platform_id and o.anomaly_type = d.anomaly_type and o.metric = d.metric
    where
        o.status <> 'withdrawn'
        and not exists (
            select from living as l
            where l.tenant_id = o.tenant_id and l.id = o.id
        )
    group by
        o.tenant_id, o.id, o.anomaly_key, o.platform, o.account_id, o.level, o.platform_id, o.anomaly_type, o.metric,
        o.day, o.last_day, o.observed, o.expected, o.lower_bound, o.upper_bound, o.deviation, o.score, o.loss_per_day,
        o.currency, o.severity, o.confidence, o.status, o.is_tracking_outage, o.explained_by, o.parent_id,
        o.known_as_of, o.acknowledged_at, o.acknowledged_by, o.resolved_at, o.as_of, o.first_judged, o.ends_at
),

ending as (
    select
        u.*,
        case
            when u.day >= u.first_judged and u.n_checked_within > 0 then 'withdrawn'
            when u.n_normal_after >= 2 or u.last_day < u.as_of - 13 then 'resolved'
            else u.status
        end as new_status
    from unseen as u
),

-- 5 parents

parents as (                -- the account's or the tenant's incident that a campaign's is part of
    select
        l.tenant_id,
        l.id,
        (
            array_agg(p.id order by p.level = 'tenant' asc, p.day desc)
        )[1] as parent_id
    from living as l
    inner join living as p
        on
            l.tenant_id = p.tenant_id and l.anomaly_type = p.anomaly_type and l.metric = p.metric
            and l.day <= p.last_day and l.last_day >= p.day
    where
        l.level = 'campaign'
        and (
            (p.level = 'account' and l.platform = p.platform and l.account_id = p.platform_id)
            or (p.level = 'tenant' and l.movement_share >= 0.6)
        )
    group by l.tenant_id, l.id
),

final as (
    select
        l.tenant_id,
        l.id,
        l.anomaly_key,
        l.platform,
        l.account_id,
        l.level,
        l.platform_id,
        l.anomaly_type,
        l.metric,
        l.day,
        l.last_day,
        l.observed,
        l.expected,
        l.lower_bound,
        l.upper_bound,
        l.deviation,
        l.score,
        l.loss_per_day::numeric(20, 6) as loss_per_day,
        l.currency,
        l.severity,
        l.confidence,
        l.status,
        l.is_tracking_outage,
        l.explained_by,
        coalesce(p.parent_id, former.id) as parent_id,
        l.known_as_of,
        l.acknowledged_at,
        l.acknowledged_by,
        l.resolved_at
    from living as l
    left join parents as p on l.tenant_id = p.tenant_id and l.id = p.id
    -- A parent that is over stays the parent; one that was withdrawn gives its children back.
    left join stored as former
        on
            l.tenant_id = former.tenant_id and l.stored_parent_id = former.id and former.status <> 'withdrawn'
            and not exists (
                select from ending as e
                where e.tenant_id = former.tenant_id and e.id = former.id and e.new_status = 'withdrawn'
            )
    union all
    select
        e.tenant_id,
        e.id,
        e.anomaly_key,
        e.platform,
        e.account_id,
        e.level,
        e.platform_id,
        e.anomaly_type,
        e.metric,
        e.day,
        e.last_day,
        e.observed,
        e.expected,
        e.lower_bound,
        e.upper_bound,
        e.deviation,
        e.score,
        e.loss_per_day,
        e.currency,
        e.severity,
        e.confidence,
        e.new_status as status,
        e.is_tracking_outage,
        e.explained_by,
        e.parent_id,
        e.as_of as known_as_of,
        e.acknowledged_at,
        e.acknowledged_by,
        case when e.new_status = 'resolved' then e.ends_at end as resolved_at
    from ending as e
    where e.new_status <> e.status
)

select * from final
