-- Running and completed tests, one row per variant, and what keeps a test from being read.
with

as_of as (
    select * from {{ ref('int_run__as_of') }}
),

configured as (
    select * from {{ ref('int_config__effective') }}
),

tests as (
    select
        t.*,
        as_of.as_of,
        least(t.end_date, as_of.as_of) as last_day,
        t.status = 'completed' or coalesce(t.end_date <= as_of.as_of, false) as is_over,
        {{ threshold('ab_tests', 'min_maturity', 0.95) }} as min_maturity,
        ads_internal.variants_defect(t.variants, t.assignment, true) as shape_defect
    from {{ source('decisions', 'ab_tests') }} as t
    left join as_of on t.tenant_id = as_of.tenant_id
    left join configured on t.tenant_id = configured.tenant_id and t.platform = configured.platform
    where
        t.status in ('running', 'completed')
        -- refresh_ab_tests narrows the whole computation to one test where another one's arithmetic breaks
        and t.id::text = coalesce(nullif(current_setting('ads_internal.only_test', true), ''), t.id::text)
),

readable as (
    select * from tests
    where shape_defect is null
),

listed as (
    select
        t.tenant_id,
        t.id,
        v.place,
        v.variant ->> 'name' as name,
        v.variant ->> 'level' as level,
        btrim(v.variant ->> 'platform_id') as platform_id,
        v.variant -> 'is_control' = 'true' as is_marked,
        coalesce((v.variant ->> 'weight')::numeric, 1) as weight,
        case when jsonb_typeof(v.variant -> 'days') = 'array' then v.variant -> 'days' end as days
    from readable as t
    cross join lateral jsonb_array_elements(t.variants) with ordinality as v (variant, place)
),

controls as (
    select
        tenant_id,
        id,
        coalesce(min(case when is_marked then place end), 1) as control_place,
        count(*) as n_variants,
        sum(weight) as total_weight
    from listed
    group by tenant_id, id
),

variants as (
    select
        l.*,
        l.place = c.control_place as is_control,
        l.weight / c.total_weight as share,
        c.n_variants,
        t.as_of,
        exists (
            select
            from {{ ref('entities') }} as e
            where
                e.tenant_id = l.tenant_id and e.platform = t.platform and e.level = l.level
                and e.platform_id = l.platform_id
        )
        or exists (
            select
            from {{ ref('metrics_daily') }} as m
            where
                m.tenant_id = l.tenant_id and m.platform = t.platform and m.level = l.level
                and m.platform_id = l.platform_id
        ) as is_known
    from listed as l
    inner join tests as t on l.tenant_id = t.tenant_id and l.id = t.id
    inner join controls as c on l.tenant_id = c.tenant_id and l.id = c.id
),

unknown as (
    select
        tenant_id,
        id,
        string_agg(format('%s (%s %s)', name, level, platform_id), ', ' order by place) as names
    from variants
    where not is_known and as_of is not null      -- before the first figures nothing is known of anything
    group by tenant_id, id
),

final as (
    select
        t.tenant_id,
        t.id,
        t.platform,
        t.metric,
        t.assignment,
        t.start_date,
        t.last_day,
        t.as_of,
        t.is_over,
        t.min_sample,
        t.min_days,
        t.alpha,
        t.min_maturity,
        coalesce(
            t.shape_defect,
            case when t.alpha not between 0.0001 and 0.5 then 'alpha is not between 0.0001 and 0.5' end,
            'nothing is known on ' || t.platform || ' of ' || u.names
        ) as defect,
        v.place,
        v.name,
        v.level,
        v.platform_id,
        v.is_control,
        v.weight,
        v.share,
        v.days,
        v.n_variants
    from tests as t
    left join variants as v on t.tenant_id = v.tenant_id and t.id = v.id
    left join unknown as u on t.tenant_id = u.tenant_id and t.id = u.id
)

select * from final
