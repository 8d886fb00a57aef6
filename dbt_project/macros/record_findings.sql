{% macro record_findings() -%}
    {#- ops.findings follows what the build found for the account-days it touched; other checks' findings stay. -#}
    {%- if target.name != 'dev' -%}
    delete from {{ source('ops', 'findings') }} as old
    using {{ ref('int_ads__touched_account_days') }} as touched
    where
        old.tenant_id = touched.tenant_id and old.platform = touched.platform
        and old.account_id = touched.account_id and old.day = touched.day
        and old.check_name in ('overlapping_sources', 'missing_rate', 'two_currencies', 'totals_differ');

    insert into {{ source('ops', 'findings') }} (
        tenant_id, platform, account_id, day, check_name, subject, severity, message, evidence
    )
    select tenant_id, platform, account_id, day, check_name, subject, severity, message, evidence from {{ this }}
    on conflict (tenant_id, platform, account_id, day, check_name, subject)
    do update set severity = excluded.severity, message = excluded.message, evidence = excluded.evidence
    {%- endif -%}
{%- endmacro %}
