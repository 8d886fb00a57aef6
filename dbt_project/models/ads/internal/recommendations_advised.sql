-- What each rule advises for the as-of day, before they are weighed against each other.
with

entities as (
    select * from {{ ref('int_entities__as_of') }}
),

advised as (
    {%- for rule in var('rules') %}
    select
        tenant_id, as_of, platform, account_id, level, platform_id, rule_id, recommendation_type, description, rationale,
        action, evidence, estimated_impact, estimated_impact_low, estimated_impact_high, currency, confidence
    from {{ ref('rec_' ~ rule) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        a.*,
        coalesce(e.campaign_id, case a.level when 'campaign' then a.platform_id end) as campaign_id,
        coalesce((a.evidence -> 'by_label_alone')::boolean, false) as is_by_label,
        a.estimated_impact * a.confidence as expected_gain,
        a.recommendation_type in ('budget_increase', 'budget_decrease', 'pause', 'resume', 'bid_adjustment')
            as moves_money
    from advised as a
    left join entities as e
        on
            a.tenant_id = e.tenant_id and a.platform = e.platform and a.level = e.level
            and a.platform_id = e.platform_id
)

select * from final
