{{ config(incremental_strategy='append') }}

select
    measured.tenant_id,
    measured.recommendation_id,
    measured.horizon_days,
    measured.measured_on,
    measured.outcome
from {{ ref('int_outcomes__recommendations') }} as measured
where not exists (      -- a ledger: what was written is not written again
    select
    from {{ this }} as written
    where
        written.tenant_id = measured.tenant_id and written.recommendation_id = measured.recommendation_id
        and written.horizon_days = measured.horizon_days
)
