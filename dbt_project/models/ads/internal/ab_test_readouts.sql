{{ config(post_hook="{{ 'select ads_internal.refresh_ab_tests()' if target.name != 'dev' }}") }}

-- The read-out of every running or completed test. The unit is the day: people see ads of both variants in batches, so
-- clicks and conversions scatter more than coins do. docs/decisions/0016 says which formula is whose.
with

variants as (
    select * from {{ ref('ab_test_variants') }}
),

tests as (
    select
        tenant_id, id, platform, metric, assignment, start_date, last_day, as_of, is_over, min_sample, min_days, alpha,
        defect,
        min(case when is_control then place end) as control_place,
        count(*) - 1 as n_comparisons,
        metric in ('ctr', 'cvr', 'roas') as is_higher_better,
        case when metric in ('ctr', 'cpc') then 'clicks' else 'conversions' end as sample_unit,
        case metric
            when 'ctr' then 'impressions'
            when 'cvr' then 'clicks'
            when 'cpc' then 'clicks'
            when 'cpa' then 'conversions'
            else 'spend'
        end as denominator
    from variants
    group by
        tenant_id, id, platform, metric, assignment, start_date, last_day, as_of, is_over, min_sample, min_days, alpha,
        defect
),

days as (
    select * from {{ ref('ab_test_days') }}
),

-- 1 each variant

sums as (
    select
        tenant_id,
        id,
        place,
        count(*) as n_days,
        min(day) as first_day,
        max(day) as last_day,
        sum(events) as events,
        sum(spend) as spend,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value,
        sum(x) as x,
        sum(y) as y,
        sum(x) / nullif(sum(y), 0) as value
    from days
    group by tenant_id, id, place
),

influences as (             -- what a day adds to the ratio's error (delta method)
    select
        d.tenant_id,
        d.id,
        d.place,
        d.day,
        (d.x - s.value * d.y) / (s.y / s.n_days) as influence
    from days as d
    inner join sums as s on d.tenant_id = s.tenant_id and d.id = s.id and d.place = s.place
    where s.y > 0
),

scatter as (
    select
        tenant_id,
        id,
        place,
        var_samp(influence) / count(*) as day_variance
    from influences
    group by tenant_id, id, place
),

arms as (
    select
        v.tenant_id,
        v.id,
        v.place,
        v.name,
        v.level,
        v.platform_id,
        v.is_control,
        v.weight,
        v.share,
        t.is_higher_better,
        coalesce(s.n_days, 0) as n_days,
        coalesce(s.events, 0) as events,
        s.spend,
        s.impressions,
        s.clicks,
        s.conversions,
        s.conversion_value,
        s.value,
        c.day_variance,
        case
            when v.metric in ('ctr', 'cvr') and s.y > 0
                then greatest(least(s.value, 1) * (1 - least(s.value, 1)), 0) / s.y
            else 0
        end as binomial_variance
    from variants as v
    inner join tests as t on v.tenant_id = t.tenant_id and v.id = t.id
    left join sums as s on v.tenant_id = s.tenant_id and v.id = s.id and v.place = s.place
    left join scatter as c on v.tenant_id = c.tenant_id and v.id = c.id and v.place = c.place
    where v.defect is null
),

-- 2 each variant against the control

paired as (                 -- parallel variants share their days: what moves both moves no difference
    select
        i.tenant_id,
        i.id,
        i.place,
        var_samp(i.influence - k.influence) / count(*) as variance,
        var_samp(i.influence / nullif(a.value, 0) - k.influence / nullif(b.value, 0)) / count(*) as log_variance
    from influences as i
    inner join tests as t on i.tenant_id = t.tenant_id and i.id = t.id
    inner join influences as k
        on i.tenant_id = k.tenant_id and i.id = k.id and i.day = k.day and t.control_place = k.place
    inner join arms as a on i.tenant_id = a.tenant_id and i.id = a.id and i.place = a.place
    inner join arms as b on k.tenant_id = b.tenant_id and k.id = b.id and k.place = b.place
    where i.place <> t.control_place and t.assignment <> 'time_split'
    group by i.tenant_id, i.id, i.place
),

differences as (
    select
        a.tenant_id,
        a.id,
        a.place,
        a.name,
        b.name as control,
        a.value as treated,
        b.value as untreated,
        a.value - b.value as difference,
        least(a.n_days, b.n_days) as n_days,
        t.assignment = 'time_split' as is_unpaired,
        case when t.assignment = 'time_split' then a.day_variance + b.day_variance else p.variance end as day_variance,
        a.binomial_variance + b.binomial_variance as binomial_variance,
        a.binomial_variance / nullif(a.value, 0) ^ 2 + b.binomial_variance / nullif(b.value, 0) ^ 2 as log_binomial_variance,
        case
            when t.assignment = 'time_split'
                then a.day_variance / nullif(a.value, 0) ^ 2 + b.day_variance / nullif(b.value, 0) ^ 2
            else p.log_variance
        end as log_variance,
        case
            when t.assignment <> 'time_split' then a.n_days - 1
            when a.n_days > 1 and b.n_days > 1
                then
                    (a.day_variance + b.day_variance) ^ 2
                    / nullif(a.day_variance ^ 2 / (a.n_days - 1) + b.day_variance ^ 2 / (b.n_days - 1), 0)
        end as degrees,
        case
            when t.assignment <> 'time_split' then a.n_days - 1
            when a.n_days > 1 and b.n_days > 1
                then
                    (a.day_variance / nullif(a.value, 0) ^ 2 + b.day_variance / nullif(b.value, 0) ^ 2) ^ 2
                    / nullif(
                        (a.day_variance / nullif(a.value, 0) ^ 2) ^ 2 / (a.n_days - 1)
                        + (b.day_variance / nullif(b.value, 0) ^ 2) ^ 2 / (b.n_days - 1), 0
                    )
        end as log_degrees,
        t.alpha::float8 / t.n_comparisons as alpha,
        t.n_comparisons,
        t.is_higher_better,
        -- fixed before the test by a column that its results do not move
        ads_internal.sequential_prior(t.alpha::float8 / t.n_comparisons, 2 * t.min_days) as prior
    from arms as a
    inner join tests as t on a.tenant_id = t.tenant_id and a.id = t.id
    inner join arms as b on t.tenant_id = b.tenant_id and t.id = b.id and t.control_place = b.place
    left join paired as p on a.tenant_id = p.tenant_id and a.id = p.id and a.place = p.place
    where a.place <> t.control_place
),

errors as (
    select
        d.*,
        sqrt(greatest(d.day_variance, d.binomial_variance)) as se,
        d.binomial_variance > d.day_variance as is_binomial,
        sqrt(case when d.binomial_variance > d.day_variance then d.log_binomial_variance else d.log_variance end) as log_se,
        -- Welch's degrees stand for days where the variants do not share them
        case when d.is_unpaired then d.degrees + 1 else d.n_days end as blocks
    from differences as d
    where greatest(d.day_variance, d.binomial_variance) > 0 and d.day_variance is not null
),

wanted_quantiles as (       -- few, however many tests there are: parallel variants have as many degrees as days
    select tenant_id, alpha, degrees from errors
    union
    select tenant_id, alpha, log_degrees from errors
),

critical as (
    select
        tenant_id,
        alpha,
        degrees,
        ads_internal.student_critical(alpha, degrees) as t
    from wanted_quantiles
),

comparisons as (
    select
        e.*,
        e.difference / e.se as t,
        ads_internal.student_p_value(e.difference / e.se, e.degrees) as p_value,
        ads_internal.sequential_p_value(e.difference / e.se, e.blocks, e.prior) as sequential_p_value,
        c.t * e.se as half_width,
        ads_internal.sequential_critical(e.alpha, e.blocks, e.prior) * e.se as sequential_half_width,
        case when e.treated > 0 and e.untreated > 0 then e.treated / e.untreated end as quotient,
        exp(least(l.t * e.log_se, 50)) as quotient_factor,
        case when e.is_higher_better then e.difference else -e.difference end as gain
    from errors as e
    left join critical as c on e.tenant_id = c.tenant_id and e.alpha = c.alpha and e.degrees = c.degrees
    left join critical as l on e.tenant_id = l.tenant_id and e.alpha = l.alpha and e.log_degrees = l.degrees
),

-- 3 which is best: exactly for two variants, by integration over independent ones for more

measurable as (
    select
        tenant_id,
        id,
        count(*) as n_arms,
        bool_and(day_variance is not null and greatest(day_variance, binomial_variance) > 0) as is_measurable
    from arms
    group by tenant_id, id
),

leads as (                  -- how far each of two is ahead, in standard errors
    select
        a.tenant_id,
        a.id,
        a.place,
        c.se,
        case when a.is_control then -c.gain else c.gain end / c.se as z
    from arms as a
    inner join measurable as m on a.tenant_id = m.tenant_id and a.id = m.id
    inner join comparisons as c on a.tenant_id = c.tenant_id and a.id = c.id
    where m.n_arms = 2
),

of_two as (
    select
        tenant_id,
        id,
        place,
        ads_internal.normal_cdf(z) as probability_best,
        se * ads_internal.normal_pdf(z) - se * z * ads_internal.normal_cdf(-z) as expected_loss
    from leads
),

posteriors as (
    select
        a.tenant_id,
        a.id,
        a.place,
        case when a.is_higher_better then a.value else -a.value end as mu,
        sqrt(greatest(a.day_variance, a.binomial_variance)) as sd
    from arms as a
    inner join measurable as m on a.tenant_id = m.tenant_id and a.id = m.id
    where m.n_arms > 2 and m.is_measurable
),

{%- set steps = 4000 %}

grids as (                  -- the trapezoid rule is exact to rounding where a step is a small part of each curve
    select
        tenant_id,
        id,
        min(mu - 9 * sd) as low,
        (max(mu + 9 * sd) - min(mu - 9 * sd)) / {{ steps }} as step
    from posteriors
    group by tenant_id, id
),

points as (
    select
        g.tenant_id,
        g.id,
        p.place,
        g.step,
        g.low + k.k * g.step as at,
        ads_internal.normal_pdf((g.low + k.k * g.step - p.mu) / p.sd) / p.sd as density,
        ads_internal.normal_cdf((g.low + k.k * g.step - p.mu) / p.sd) as below
    from grids as g
    inner join posteriors as p on g.tenant_id = p.tenant_id and g.id = p.id
    cross join lateral generate_series(0, {{ steps }}) as k (k)
),

others as (
    select
        a.tenant_id,
        a.id,
        a.place,
        a.at,
        a.step,
        a.density,
        exp(sum(ln(greatest(b.below, 1e-300)))) as others_below
    from points as a
    inner join points as b on a.tenant_id = b.tenant_id and a.id = b.id and a.at = b.at
    where a.place <> b.place
    group by a.tenant_id, a.id, a.place, a.at, a.step, a.density
),

chances as (
    select
        tenant_id,
        id,
        place,
        sum(density * others_below) * min(step) as probability_best,
        sum(at * density * others_below) * min(step) as share_of_maximum
    from others
    group by tenant_id, id, place
),

best as (
    select tenant_id, id, place, probability_best, greatest(expected_loss, 0) as expected_loss
    from of_two
    union all
    select
        c.tenant_id,
        c.id,
        c.place,
        c.probability_best,
        greatest(sum(c.share_of_maximum) over (partition by c.tenant_id, c.id) - p.mu, 0) as expected_loss
    from chances as c
    inner join posteriors as p on c.tenant_id = p.tenant_id and c.id = p.id and c.place = p.place
),

-- 4 whether people were split as planned: on the one day with the most people, since reach does not add up over days

reached as (
    select
        d.tenant_id,
        d.id,
        d.day,
        sum(d.reach) as reach
    from days as d
    inner join tests as t on d.tenant_id = t.tenant_id and d.id = t.id
    where t.assignment = 'platform_split_test'
    group by d.tenant_id, d.id, d.day, t.n_comparisons
    having count(d.reach) = t.n_comparisons + 1 and sum(d.reach) > 0
),

widest_days as (
    select distinct on (tenant_id, id) *
    from reached
    order by tenant_id asc, id asc, reach desc, day asc
),

splits as (
    select
        w.tenant_id,
        w.id,
        w.day,
        ads_internal.chi_square_p_value(
            sum((d.reach - w.reach * a.share) ^ 2 / (w.reach * a.share))::float8, (count(*) - 1)::integer
        ) as srm_p_value
    from widest_days as w
    inner join days as d on w.tenant_id = d.tenant_id and w.id = d.id and w.day = d.day
    inner join arms as a on d.tenant_id = a.tenant_id and d.id = a.id and d.place = a.place
    group by w.tenant_id, w.id, w.day
),

-- 5 what was done to the variants meanwhile

edits as (
    select
        v.tenant_id,
        v.id,
        string_agg(
            distinct format('%s (%s on %s)', v.name, replace(c.field, '_', ' '), c.day), ', '  -- one entity may change often
        ) as names
    from variants as v
    inner join {{ ref('int_entities__changes') }} as c
        on
            v.tenant_id = c.tenant_id and v.platform = c.platform and v.level = c.level
            and v.platform_id = c.platform_id
    where
        v.defect is null and v.assignment <> 'time_split' and c.field not like '%name' and c.field <> 'learning_state'
        and c.day > v.start_date and c.day <= v.last_day
    group by v.tenant_id, v.id
),

-- 6 the verdict

poorest as (
    select
        tenant_id,
        id,
        min(n_days) as n_days,
        min(events) as events,
        (array_agg(name order by events asc, place asc))[1] as poorest,
        string_agg(name, ', ' order by place) filter (where value is null) as unvalued
    from arms
    group by tenant_id, id
),

evidence as (
    select
        tenant_id,
        id,
        least(min(p_value) * min(n_comparisons), 1) as p_value,
        least(min(sequential_p_value) * min(n_comparisons), 1) as sequential_p_value,
        count(*) filter (where sequential_p_value <= alpha and gain > 0) as n_better,
        count(*) filter (where sequential_p_value <= alpha and gain < 0) as n_worse,
        (array_agg(name order by gain desc) filter (where sequential_p_value <= alpha and gain > 0))[1] as best_treatment,
        bool_or(abs(quotient - 1) > 0.5) as has_large_change
    from comparisons
    group by tenant_id, id
),

leaders as (
    select distinct on (b.tenant_id, b.id)
        b.tenant_id,
        b.id,
        b.probability_best,
        b.expected_loss,
        a.name as leader
    from best as b
    inner join arms as a on b.tenant_id = a.tenant_id and b.id = a.id and b.place = a.place
    order by b.tenant_id asc, b.id asc, b.probability_best desc, b.place asc
),

judged as (
    select
        t.*,
        n.n_days,
        n.events,
        n.poorest,
        n.unvalued,
        m.is_measurable,
        c.p_value,
        c.sequential_p_value,
        c.n_better,
        c.n_worse,
        c.best_treatment,
        c.has_large_change,
        l.leader,
        l.probability_best,
        l.expected_loss,
        s.srm_p_value,
        s.day as split_day,
        e.names as edited,
        k.name as control
    from tests as t
    left join poorest as n on t.tenant_id = n.tenant_id and t.id = n.id
    left join measurable as m on t.tenant_id = m.tenant_id and t.id = m.id
    left join evidence as c on t.tenant_id = c.tenant_id and t.id = c.id
    left join leaders as l on t.tenant_id = l.tenant_id and t.id = l.id
    left join splits as s on t.tenant_id = s.tenant_id and t.id = s.id
    left join edits as e on t.tenant_id = e.tenant_id and t.id = e.id
    left join arms as k on t.tenant_id = k.tenant_id and t.id = k.id and t.control_place = k.place
),

verdicts as (
    select
        j.*,
        case
            when j.defect is not null then 'invalid'
            when j.srm_p_value < 0.001 then 'invalid'
            when
                j.as_of is null or coalesce(j.n_days, 0) < j.min_days or coalesce(j.events, 0) < j.min_sample
                or j.is_measurable is not true or j.sequential_p_value is null
                then 'too_early'
            when j.assignment not in ('platform_split_test', 'geo_split') or j.edited is not null then 'directional'
            when j.n_better > 0 or j.n_worse = j.n_comparisons then 'winner'
            when j.is_over then 'no_difference'
            else 'too_early'
        end as verdict
    from judged as j
),

explained as (
    select
        v.*,
        case when v.verdict = 'winner' then coalesce(v.best_treatment, v.control) end as winner,
        case
            when v.defect is not null then format('The test cannot be read: %s.', v.defect)
            when v.srm_p_value < 0.001
                then format(
                    'People were not split as planned (on %s; so uneven by chance once in a thousand at most): whatever caused '
                    'that may have caused the result.',
                    v.split_day
                )
            when v.as_of is null then 'No figures of this tenant are there yet.'
            when v.start_date > v.as_of then format('It begins on %s.', v.start_date)
            when coalesce(v.n_days, 0) = 0
                then case
                    when v.metric = 'roas' then 'No day is complete for all variants yet, or none reports a conversion value.'
                    else 'No day is complete for all variants yet.'
                end || case when v.metric in ('ctr', 'cpc') then '' else ' Days whose conversions are still coming in wait.' end
            when v.unvalued is not null then format('No %s yet: %s.', v.denominator, v.unvalued)
            when v.n_days < v.min_days
                then format('%s of at least %s days%s.', v.n_days, v.min_days, case when v.is_over then ', and it is over' else '' end)
            when v.events < v.min_sample
                then format(
                    '%s has %s of at least %s %s%s.', v.poorest, trim_scale(round(v.events, 1)), v.min_sample, v.sample_unit,
                    case when v.is_over then ', and it is over' else '' end
                )
            when v.is_measurable is not true or v.sequential_p_value is null
                then 'The figures do not vary from day to day, so the difference has no error to judge it by.'
            when v.assignment not in ('platform_split_test', 'geo_split')
                then format(
                    '%s is ahead, but who saw which variant was not left to chance (%s): the difference may have another cause.',
                    v.leader, replace(v.assignment, '_', ' ')
                )
            when v.edited is not null
                then format('%s is ahead, but a variant was edited during the test: %s.', v.leader, v.edited)
            when v.verdict = 'winner'
                then format(
                    '%s is better than %s (always-valid p-value %s).', coalesce(v.best_treatment, v.control),
                    case when v.best_treatment is null then 'every other variant' else v.control end,
                    case when v.sequential_p_value < 0.001 then 'below 0.001' else round(v.sequential_p_value::numeric, 3)::text end
                )
            when v.verdict = 'no_difference' then 'It is over, and the variants differ by no more than chance explains.'
            else 'Enough days and events, but no variant is clearly better yet: let it run.'
        end as reason
    from verdicts as v
),

variant_lists as (
    select
        a.tenant_id,
        a.id,
        jsonb_agg(
            jsonb_build_object(
                'name', a.name, 'level', a.level, 'platform_id', a.platform_id, 'is_control', a.is_control,
                'weight', a.weight, 'days', a.n_days, 'spend', a.spend, 'impressions', a.impressions, 'clicks', a.clicks,
                'conversions', a.conversions, 'conversion_value', a.conversion_value, 'value', a.value,
                'standard_error', sqrt(greatest(a.day_variance, a.binomial_variance)),
                'probability_best', b.probability_best, 'expected_loss', b.expected_loss
            )
            order by a.place
        ) as variants
    from arms as a
    left join best as b on a.tenant_id = b.tenant_id and a.id = b.id and a.place = b.place
    group by a.tenant_id, a.id
),

comparison_lists as (
    select
        tenant_id,
        id,
        jsonb_agg(
            jsonb_build_object(
                'variant', name, 'control', control, 'difference', difference, 'standard_error', se,
                'standard_error_from', case when is_binomial then 'binomial' else 'days' end,
                'degrees_of_freedom', degrees, 'confidence', 1 - alpha,
                'p_value', p_value,
                'interval', jsonb_build_array(difference - half_width, difference + half_width),
                'sequential_p_value', sequential_p_value,
                'sequential_interval', case
                    when sequential_half_width is not null
                        then jsonb_build_array(difference - sequential_half_width, difference + sequential_half_width)
                end,
                'relative_difference', quotient - 1,
                'relative_interval', case
                    when quotient is not null and quotient_factor is not null
                        then jsonb_build_array(quotient / quotient_factor - 1, quotient * quotient_factor - 1)
                end
            )
            order by place
        ) as comparisons
    from comparisons
    group by tenant_id, id
),

final as (
    select
        e.tenant_id,
        e.id,
        jsonb_build_object(
            'reason', e.reason,
            'as_of', e.as_of,
            'metric', e.metric,
            'better', case when e.is_higher_better then 'higher' else 'lower' end,
            'days', coalesce(e.n_days, 0),
            'sample_unit', e.sample_unit,
            'sample', coalesce(e.events, 0),
            'leader', e.leader,
            'split_day', e.split_day,
            'warnings', to_jsonb(array_remove(array[
                case when e.has_large_change then 'A variant differs by more than 50 %: check the set-up before believing it.' end,
                case
                    when e.assignment = 'platform_split_test' and e.defect is null and e.srm_p_value is null
                        then 'The platform reports no reach for the variants, so the split cannot be checked.'
                end
            ], null)),
            'variants', coalesce(v.variants, '[]'::jsonb),
            'comparisons', coalesce(c.comparisons, '[]'::jsonb)
        ) as results,
        e.winner,
        e.p_value::numeric as p_value,
        e.sequential_p_value::numeric as sequential_p_value,
        e.probability_best::numeric as probability_best,
        e.expected_loss::numeric as expected_loss,
        e.srm_p_value::numeric as srm_p_value,
        e.verdict
    from explained as e
    left join variant_lists as v on e.tenant_id = v.tenant_id and e.id = v.id
    left join comparison_lists as c on e.tenant_id = c.tenant_id and e.id = c.id
)

select * from final
