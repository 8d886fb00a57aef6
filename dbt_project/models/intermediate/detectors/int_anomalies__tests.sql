{{ config(
    materialized='table',
    pre_hook='{{ plan_for_statistics() }}',
    indexes=[{'columns': ['tenant_id', 'platform', 'platform_id', 'chain', 'day']}],
    post_hook='analyze {{ this }}',
    meta={'replay_keeps': {'days': 40, 'setting': 'judged_from', 'back': 0}},
) }}

-- One line per campaign (or tenant), chain and day: the residual and its predictive variance, or the count and its
-- expectation with its dispersion. Spreads are the campaign's own, pulled towards the tenant's median campaign.
with

residuals as (
    select * from {{ ref('int_anomalies__residuals') }}
),

entity_days as (
    select * from {{ ref('int_metrics__entity_days') }}
),

packed as (                 -- all days of a chain once, to be cut from
    select
        tenant_id,
        platform,
        platform_id,
        chain,
        array_agg(case when is_tested then residual end order by day) as residuals,
        array_agg(case when is_base and not is_dropped then abs(residual) end order by day) as off_by,
        array_agg(case when is_base and not is_dropped then x end order by day) as off_at
    from residuals
    where {{ judged_from('day', back=28, chain='chain') }}
    group by tenant_id, platform, platform_id, chain
),

memories as (
    select
        r.*,
        row_number() over (partition by r.tenant_id, r.platform, r.platform_id, r.chain order by r.day)::integer as place,
        sum(case when r.is_tested then r.y end) over last_7 as last_y,
        sum(case when r.is_tested then r.expected_y end) over last_7 as last_expected_y,
        sum(
            case
                when r.is_count and r.is_base and r.expected_y > 0
                    then (least((r.y - r.expected_y) ^ 2 / r.expected_y, 9 + 0.3 * r.expected_y) - 1) * r.expected_y
            end
        ) over before_28_gap as excess,
        sum(case when r.is_count and r.is_base then r.expected_y ^ 2 end) over before_28_gap as squares,
        sum(
            case when r.is_count and r.is_base then least(r.expected_y, 1) * (r.expected_y / (1 + r.expected_y)) ^ 2 end
        ) over before_28_gap as information
    from residuals as r
    where {{ judged_from('r.day', back=28, chain='r.chain') }}
    window
        last_7 as (
            partition by r.tenant_id, r.platform, r.platform_id, r.chain order by r.day
            rows between 7 preceding and 1 preceding
        ),
        before_28_gap as (
            partition by r.tenant_id, r.platform, r.platform_id, r.chain order by r.day
            rows between 28 preceding and 3 preceding
        )
),

spreads as (
    select
        m.*,
        coalesce(off.n, 0) as n_off,
        case m.chain
            when 'aov' then off.by_order / 0.455
            when 'cpc' then greatest((1.4826 * off.by_day) ^ 2 - off.counting, 0)
            else (1.4826 * off.by_day) ^ 2
        end as own_spread,
        greatest(m.excess / nullif(m.squares, 0), 0) as own_phi,
        last.residual as last_residual
    from memories as m
    inner join packed as p
        on
            m.tenant_id = p.tenant_id and m.platform = p.platform and m.platform_id = p.platform_id
            and m.chain = p.chain
    left join lateral (
        select
            count(u.e) as n,
            percentile_cont(0.5) within group (order by u.e) as by_day,
            percentile_cont(0.5) within group (order by u.x * u.e ^ 2) as by_order,
            percentile_cont(0.5) within group (order by 1 / nullif(u.x, 0)) as counting
        from unnest(p.off_by[m.place - 28:m.place - 1], p.off_at[m.place - 28:m.place - 1]) as u (e, x)
        where u.e is not null and not m.is_count
    ) as off on true
    left join lateral (
        select percentile_cont(0.5) within group (order by u.e) as residual
        from unnest(p.residuals[m.place - 3:m.place - 1]) as u (e)
        where not m.is_count
    ) as last on true
    where m.day > m.as_of - 40 and {{ judged_from('m.day', chain='m.chain') }}
),

pools as (
    select
        tenant_id,
        chain,
        day,
        percentile_cont(0.5) within group (order by own_spread) filter (where n_off >= 7) as spread,
        percentile_cont(0.5) within group (order by own_phi) filter (where information >= 3) as phi
    from spreads
    where n_base >= 10
    group by tenant_id, chain, day
),

size_classes as (           -- the chance that an enabled campaign of this size delivers nothing on a day
    select
        spend.tenant_id,
        spend.day,
        floor(log((ctr.sum_x / nullif(ctr.n_kept, 0))::numeric)) as size_class,
        (sum(spend.zero_spells) + 0.5) / (sum(spend.enabled_days) + 50) as zero_share
    from residuals as spend
    inner join residuals as ctr
        on
            spend.tenant_id = ctr.tenant_id and spend.platform = ctr.platform
            and spend.platform_id = ctr.platform_id and spend.day = ctr.day
    where
        spend.chain = 'spend' and ctr.chain = 'ctr' and ctr.sum_x > 0 and ctr.n_kept > 0
        and spend.day > spend.as_of - 40 and {{ judged_from('spend.day', chain='spend.chain') }}
    group by spend.tenant_id, spend.day, floor(log((ctr.sum_x / nullif(ctr.n_kept, 0))::numeric))
),

chances as (
    select
        s.*,
        ctr.sum_x / nullif(ctr.n_kept, 0) as usual_impressions,
        (s.zero_days + 5 * c.zero_share::float8) / (s.enabled_days + 5) as zero_chance,
        case
            when s.chain = 'aov' then null
            else greatest(
                (s.n_off * coalesce(s.own_spread, 0) + 14 * coalesce(p.spread, 0.04)) / (s.n_off + 14), 0.0064
            )
        end as spread,
        (s.n_off * coalesce(s.own_spread, 0) + 14 * coalesce(p.spread, 1)) / (s.n_off + 14) as order_spread,
        greatest(
            (coalesce(s.information, 0) * coalesce(s.own_phi, 0) + 14 * coalesce(p.phi, 0.02))
            / (coalesce(s.information, 0) + 14), 0.004
        ) + 1 / (coalesce(s.sum_y, 0) + 0.5) + (0.3 * s.movement) ^ 2 as phi
    from spreads as s
    left join pools as p on s.tenant_id = p.tenant_id and s.chain = p.chain and s.day = p.day
    left join residuals as ctr
        on
            s.chain = 'spend' and ctr.chain = 'ctr'
            and s.tenant_id = ctr.tenant_id and s.platform = ctr.platform
            and s.platform_id = ctr.platform_id and s.day = ctr.day
    left join size_classes as c
        on
            s.tenant_id = c.tenant_id and s.day = c.day
            and floor(log(nullif(ctr.sum_x / nullif(ctr.n_kept, 0), 0)::numeric)) = c.size_class
),

remembered as (
    select
        c.*,
        case
            when not c.is_count then 0.5 * least(greatest(coalesce(c.last_residual, 0), -0.6), 0.6)
            -- A week, and most of it: ads that tire lose a little every day, and that is no incident.
            when c.last_expected_y > 0
                then 0.8 * least(greatest(ln((c.last_y + 1 / c.phi) / (c.last_expected_y + 1 / c.phi)), -0.6), 0.6)
            else 0
        end as memory
    from chances as c
),

campaign_tests as (
    select
        c.tenant_id,
        c.platform,
        c.account_id,
        'campaign' as level,
        c.platform_id,
        c.chain,
        c.is_count,
        c.day,
        c.as_of,
        c.currency,
        c.y,
        c.x,
        c.movement,
        c.is_tested or (c.chain = 'spend' and c.is_zero and c.n_base >= 10) as is_tested,
        c.chain = 'spend' and c.is_zero as is_zero,
        least(-ln(c.zero_chance), c.usual_impressions) as zero_llr,
        c.phi,
        c.residual - c.memory as residual,
        c.expected_v + c.memory as expected_v,
        case c.chain
            when 'spend' then c.spread * (1 + 1.57 / c.n_level) + (0.3 * c.movement) ^ 2
            when 'cpc' then c.spread * (1 + 1.57 / c.n_level) + 1 / nullif(c.x, 0) + (0.3 * c.movement) ^ 2
            when 'aov'
                then
                    ln(1 + c.order_spread / nullif(c.x, 0)) + ln(1 + c.order_spread / nullif(c.sum_x, 0)) + 0.0009
                    + (0.3 * c.movement) ^ 2
        end as variance,
        c.expected_y * exp(c.memory) as expected_y,
        c.memory,
        d.spend::float8 as spend,
        d.fx_rate::float8 as fx_rate,
        aov.level as aov_level
    from remembered as c
    left join entity_days as d
        on
            d.level = 'campaign' and c.tenant_id = d.tenant_id and c.platform = d.platform
            and c.platform_id = d.platform_id and c.day = d.day
    left join residuals as aov
        on
            c.chain = 'cvr' and aov.chain = 'aov'
            and c.tenant_id = aov.tenant_id and c.platform = aov.platform
            and c.platform_id = aov.platform_id and c.day = aov.day
),

account_tests as (          -- a pixel lost in an account of small campaigns shows in none of them alone
    select
        tenant_id,
        platform,
        account_id,
        day,
        min(as_of) as as_of,
        min(currency) as currency,
        sum(case when is_tested then y end) as y,
        sum(case when is_tested then x end) as x,
        -- Two campaigns at least, and none of them alone to blame.
        count(case when is_tested and expected_y > 0 then 1 end) >= 2
        and max(case when is_tested then greatest(expected_y - y, 0) end)
        <= 0.7 * sum(case when is_tested then greatest(expected_y - y, 0) end) as is_tested,
        sum(case when is_tested then phi * expected_y ^ 2 end)
        / nullif(sum(case when is_tested then expected_y end) ^ 2, 0) + 0.01 as phi,
        sum(case when is_tested then expected_y end) as expected_y,
        ln(
            nullif(sum(case when is_tested then expected_y end), 0)
            / nullif(sum(case when is_tested then expected_y * exp(-memory) end), 0)
        ) as memory,
        sum(spend) as spend,
        min(fx_rate) as fx_rate,
        ln(
            sum(case when is_tested then exp(aov_level) * expected_y end)
            / nullif(sum(case when is_tested and aov_level is not null then expected_y end), 0)
        ) as aov_level
    from campaign_tests
    where chain = 'cvr' and account_id is not null
    group by tenant_id, platform, account_id, day
),

movements as (
    select distinct         -- the same for every campaign of the tenant
        tenant_id, chain, as_of, day, tenant_movement as movement, n_campaigns
    from residuals
    where is_tested and n_campaigns >= 6
),

movement_spreads as (
    select
        m.*,
        usual.n,
        greatest((1.4826 * usual.off_by) ^ 2, 0.0064) * (1 + 1.57 / nullif(usual.n, 0)) as variance,
        0.5 * least(greatest(coalesce(usual.last_movement, 0), -0.6), 0.6) as memory
    from movements as m
    left join lateral (
        select
            count(*) as n,
            percentile_cont(0.5) within group (order by abs(b.movement)) as off_by,
            percentile_cont(0.5) within group (order by b.movement) filter (where b.day >= m.day - 3) as last_movement
        from movements as b
        where b.tenant_id = m.tenant_id and b.chain = m.chain and b.day < m.day and b.day >= m.day - 28
    ) as usual on m.day > m.as_of - 40
    where m.day > m.as_of - 40 and {{ judged_from('m.day', chain='m.chain') }}
),

tenant_facts as (
    select
        r.tenant_id,
        r.chain,
        r.day,
        sum(r.y * case when r.chain in ('ctr', 'cvr') then 1 else d.fx_rate end) as y,
        sum(r.x) as x,
        sum(d.spend * d.fx_rate)::float8 as spend
    from residuals as r
    inner join entity_days as d
        on
            r.tenant_id = d.tenant_id and r.platform = d.platform and d.level = 'campaign'
            and r.platform_id = d.platform_id and r.day = d.day
    where r.is_tested and r.day > r.as_of - 40 and {{ judged_from('r.day', chain='r.chain') }}
    group by r.tenant_id, r.chain, r.day
),

final as (
    select
        tenant_id, platform, account_id, level, platform_id, chain, is_count, day, as_of, currency, y, x, movement,
        is_tested, is_zero, zero_llr, phi, residual, expected_v, variance, expected_y, memory, spend,
        fx_rate, aov_level
    from campaign_tests
    union all
    select
        a.tenant_id,
        a.platform,
        a.account_id,
        'account' as level,
        a.account_id as platform_id,
        'cvr' as chain,
        true as is_count,
        a.day,
        a.as_of,
        a.currency,
        a.y,
        a.x,
        0 as movement,
        coalesce(a.is_tested, false) as is_tested,
        false as is_zero,
        null as zero_llr,
        a.phi,
        null as residual,
        null as expected_v,
        null as variance,
        a.expected_y,
        a.memory,
        a.spend,
        a.fx_rate,
        a.aov_level
    from account_tests as a
    union all
    select
        m.tenant_id,
        'all' as platform,
        null as account_id,
        'tenant' as level,
        m.tenant_id::text as platform_id,
        m.chain,
        false as is_count,
        m.day,
        m.as_of,
        run.currency,
        f.y,
        case m.chain when 'spend' then 1 else f.x end as x,
        0 as movement,
        m.n >= 10 as is_tested,
        false as is_zero,
        null as zero_llr,
        null as phi,
        m.movement - m.memory as residual,
        ln(nullif(f.y, 0)) - case when m.chain in ('spend', 'ctr', 'cvr') then 0 else ln(nullif(f.x, 0)) end
        - (m.movement - m.memory) as expected_v,
        m.variance,
        f.y * exp(-(m.movement - m.memory)) as expected_y,
        m.memory,
        f.spend,
        1 as fx_rate,
        null as aov_level
    from movement_spreads as m
    inner join {{ ref('int_run__as_of') }} as run on m.tenant_id = run.tenant_id
    left join tenant_facts as f on m.tenant_id = f.tenant_id and m.chain = f.chain and m.day = f.day
)

select * from final
