/*
What      ads.benchmark_comparison, made empty as the other derived tables: where a tenant stands against each benchmark.
Why       The comparison needs the benchmark's currency, its newest period and enough events: once, not in every query.
*/

set local role aegis_transformer;

create table ads.benchmark_comparison (
    tenant_id uuid not null,
    platform text not null,
    industry text not null,
    objective text not null,
    geography text not null,
    metric text not null,
    statistic text not null,
    source text not null,
    period_start date not null,
    period_end date,
    as_of date not null,
    window_days integer not null,
    own_value numeric,
    benchmark_value numeric,
    p10 numeric,
    p50 numeric,
    p90 numeric,
    difference numeric,
    standing text not null,
    maturity numeric,
    unit text,
    currency text,
    sample_size bigint,
    quality text not null,
    primary key (tenant_id, platform, industry, objective, geography, metric, statistic, source, period_start)
);
comment on table ads.benchmark_comparison is
'One row per tenant and benchmark of its platforms: the tenant''s own last 30 days beside the benchmark''s newest period.';

select tenancy.protect('ads.benchmark_comparison'::regclass);
