{% macro cascade_levels(versions) -%}
{#-
    CTEs from versions to the rows of all four levels; the last one is `levels`. Used for the newest figures and for
    those of an as-of day, so that both mean the same.

    versions    a CTE with rows of history.performance_versions, whole tenant-platform-days (a key may lie in two
                accounts, and precedence decides between them)

    One key is served by one source: api before file before manual (their alphabetical order). Where an entity has both
    a row of its own and rows below it, the stronger source counts, and on a tie the sum of the rows below: except a
    hand row, which keeps its own level and is left out above. Reach and frequency are never summed.
-#}
{%- set measures = [
    'spend', 'impressions', 'clicks', 'link_clicks', 'conversions', 'conversion_value', 'view_through_conversions'
] -%}
{%- set figures = measures + ['reach', 'frequency'] -%}
{%- set derived_is_hidden -%}
    given.source < sums.source or (given.source = 'manual' and sums.source = 'manual')
{%- endset -%}
newest_versions as (
    select
        *,
        row_number() over (
            partition by key_hash, tenant_id, platform, level, platform_id, day, source
            order by known_on desc, load_id desc
        ) as recency
    from (
        select
            *,
            -- one integer sorts several times faster than five texts; the texts decide where integers collide
            hash_record_extended(row(tenant_id, platform, level, platform_id, day), 0) as key_hash
        from {{ versions }}
    ) as hashed
),

served as (
    select distinct on (key_hash, tenant_id, platform, level, platform_id, day)     -- the strongest source of a key
        tenant_id, platform, account_id, level, platform_id, day, source, currency,
        coalesce(campaign_id, account_id || '~unattributed') as campaign_id,
        coalesce(adset_id, coalesce(campaign_id, account_id || '~unattributed') || '~unattributed') as adset_id,
        {{ figures | join(', ') }}
    from newest_versions
    where recency = 1 and not is_withdrawn
    order by key_hash, tenant_id, platform, level, platform_id, day, source
),

adset_sums as (
    select
        tenant_id, platform, adset_id, day,
        min(account_id) as account_id,
        coalesce(min(campaign_id) filter (where campaign_id not like '%~unattributed'), min(campaign_id))
            as campaign_id,
        min(source) as source,
        min(currency) as currency
        {%- for measure in measures %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from served
    where level = 'ad'
    group by tenant_id, platform, adset_id, day
),

given_adsets as (
    select * from served where level = 'adset'
),

adset_rows as (
    select
        sums.tenant_id, sums.platform, sums.account_id, sums.campaign_id, sums.adset_id, sums.day, sums.source,
        sums.currency,
        {% for measure in measures %}sums.{{ measure }}, {% endfor -%}
        given.reach, given.frequency,
        coalesce(not ({{ derived_is_hidden }}), true) as is_shown,
        coalesce(not (given.source < sums.source), true) as counts_above
    from adset_sums as sums
    left join given_adsets as given
        on sums.tenant_id = given.tenant_id and sums.platform = given.platform
        and sums.adset_id = given.platform_id and sums.day = given.day
    union all
    select
        given.tenant_id, given.platform, given.account_id, given.campaign_id, given.platform_id, given.day,
        given.source, given.currency,
        {% for measure in measures %}given.{{ measure }}, {% endfor -%}
        given.reach, given.frequency,
        sums.source is null or {{ derived_is_hidden }} as is_shown,
        sums.source is null or given.source < sums.source as counts_above
    from given_adsets as given
    left join adset_sums as sums
        on given.tenant_id = sums.tenant_id and given.platform = sums.platform
        and given.platform_id = sums.adset_id and given.day = sums.day
),

campaign_sums_of_adsets as (
    select
        tenant_id, platform, campaign_id, day,
        coalesce(min(account_id) filter (where account_id <> 'manual'), min(account_id)) as account_id,
        min(source) as source,
        min(currency) as currency
        {%- for measure in measures %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from adset_rows
    where counts_above
    group by tenant_id, platform, campaign_id, day
),

given_campaigns as (
    select * from served where level = 'campaign'
),

-- What a platform's own campaign report says beyond its ads and ad sets.
residuals as (
    select * from (
        select
            given.tenant_id, given.platform, given.account_id, given.platform_id as campaign_id,
            given.platform_id || '~unattributed' as adset_id, given.day, given.source, given.currency
            {%- for measure in measures %},
            case when given.{{ measure }} is not null
                then greatest(given.{{ measure }} - coalesce(sums.{{ measure }}, 0), 0) end as {{ measure }}
            {%- endfor %}
        from given_campaigns as given
        left join campaign_sums_of_adsets as sums
            on given.tenant_id = sums.tenant_id and given.platform = sums.platform
            and given.platform_id = sums.campaign_id and given.day = sums.day
        where given.source = 'api'
    ) as differences
    where {% for measure in measures %}{{ measure }} > 0{{ ' or ' if not loop.last }}{% endfor %}
),

adset_levels as (
    select
        tenant_id, platform, account_id, campaign_id, adset_id, day, source, currency,
        {{ figures | join(', ') }}
    from adset_rows
    where is_shown and adset_id not like '%~unattributed'
    union all
    select          -- an unattributed ad set may hold both ads without a parent and a residual
        tenant_id, platform, min(account_id), min(campaign_id), adset_id, day, min(source), min(currency),
        {% for measure in measures %}sum({{ measure }}), {% endfor -%}
        max(reach), max(frequency)
    from (
        select
            tenant_id, platform, account_id, campaign_id, adset_id, day, source, currency,
            {{ figures | join(', ') }}
        from adset_rows
        where is_shown and adset_id like '%~unattributed'
        union all
        select
            tenant_id, platform, account_id, campaign_id, adset_id, day, source, currency,
            {{ measures | join(', ') }}, null, null
        from residuals
    ) as unattributed
    group by tenant_id, platform, adset_id, day
),

campaign_sums as (
    select
        coalesce(sums.tenant_id, residuals.tenant_id) as tenant_id,
        coalesce(sums.platform, residuals.platform) as platform,
        coalesce(sums.campaign_id, residuals.campaign_id) as campaign_id,
        coalesce(sums.day, residuals.day) as day,
        coalesce(sums.account_id, residuals.account_id) as account_id,
        least(sums.source, residuals.source) as source,
        coalesce(sums.currency, residuals.currency) as currency
        {%- for measure in measures %},
        case when coalesce(sums.{{ measure }}, residuals.{{ measure }}) is not null
            then coalesce(sums.{{ measure }}, 0) + coalesce(residuals.{{ measure }}, 0) end as {{ measure }}
        {%- endfor %}
    from campaign_sums_of_adsets as sums
    full outer join residuals
        on sums.tenant_id = residuals.tenant_id and sums.platform = residuals.platform
        and sums.campaign_id = residuals.campaign_id and sums.day = residuals.day
),

campaign_rows as (
    select
        sums.tenant_id, sums.platform, sums.account_id, sums.campaign_id, sums.day, sums.source, sums.currency,
        {% for measure in measures %}sums.{{ measure }}, {% endfor -%}
        given.reach, given.frequency,
        coalesce(not ({{ derived_is_hidden }}), true) as is_shown,
        coalesce(not (given.source < sums.source), true) as counts_above
    from campaign_sums as sums
    left join given_campaigns as given
        on sums.tenant_id = given.tenant_id and sums.platform = given.platform
        and sums.campaign_id = given.platform_id and sums.day = given.day
    union all
    select
        given.tenant_id, given.platform, given.account_id, given.platform_id, given.day, given.source, given.currency,
        {% for measure in measures %}given.{{ measure }}, {% endfor -%}
        given.reach, given.frequency,
        sums.source is null or {{ derived_is_hidden }} as is_shown,
        sums.source is null or given.source < sums.source as counts_above
    from given_campaigns as given
    left join campaign_sums as sums
        on given.tenant_id = sums.tenant_id and given.platform = sums.platform
        and given.platform_id = sums.campaign_id and given.day = sums.day
),

account_sums as (
    select
        tenant_id, platform, account_id, day,
        min(source) as source,
        min(currency) as currency
        {%- for measure in measures %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from campaign_rows
    where counts_above
    group by tenant_id, platform, account_id, day
),

given_accounts as (
    select * from served where level = 'account'
),

account_levels as (
    select
        sums.tenant_id, sums.platform, sums.account_id, sums.day, sums.source, sums.currency,
        {% for measure in measures %}sums.{{ measure }}, {% endfor -%}
        given.reach, given.frequency
    from account_sums as sums
    left join given_accounts as given
        on sums.tenant_id = given.tenant_id and sums.platform = given.platform
        and sums.account_id = given.platform_id and sums.day = given.day
    where not coalesce({{ derived_is_hidden }}, false)
    union all
    select
        given.tenant_id, given.platform, given.platform_id, given.day, given.source, given.currency,
        {% for measure in measures %}given.{{ measure }}, {% endfor -%}
        given.reach, given.frequency
    from given_accounts as given
    left join account_sums as sums
        on given.tenant_id = sums.tenant_id and given.platform = sums.platform
        and given.platform_id = sums.account_id and given.day = sums.day
    where sums.source is null or {{ derived_is_hidden }}
),

levels as (
    select
        tenant_id, platform, level, platform_id, day, account_id, campaign_id, adset_id, source, currency,
        {{ figures | join(', ') }}
    from served
    where level = 'ad'
    union all
    select
        tenant_id, platform, 'adset', adset_id, day, account_id, campaign_id, adset_id, source, currency,
        {{ figures | join(', ') }}
    from adset_levels
    union all
    select
        tenant_id, platform, 'campaign', campaign_id, day, account_id, campaign_id, null, source, currency,
        {{ figures | join(', ') }}
    from campaign_rows
    where is_shown
    union all
    select
        tenant_id, platform, 'account', account_id, day, account_id, null, null, source, currency,
        {{ figures | join(', ') }}
    from account_levels
)
{%- endmacro %}
