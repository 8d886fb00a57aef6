"""The eight serving queries under row security, on five million ad-days of 50 tenants of very different sizes.

The figures are made in SQL, straight into the marts: what is measured is reading. `AEGIS_BENCH_AD_DAYS` makes it smaller
for a trial.
"""

from __future__ import annotations

import math
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from bench.harness import Figure, Scratch

AD_DAYS = int(os.environ.get("AEGIS_BENCH_AD_DAYS", "5000000"))
TENANTS = 50
DAYS = 365
LAST = "date '2026-06-30'"
CLIENTS = 8
REQUESTS_A_SECOND = 5
SECONDS = 20
CPU_SECONDS = 0.6
ROUNDS = 3

# {tenant} is a constant, as our own serving queries write it; {mine} the same as a predicate, or nothing.
QUERIES = {
    "last 30 days by campaign": f"""
        select campaign_id, sum(spend), sum(conversions), sum(conversion_value) / nullif(sum(spend), 0)
        from ads.metrics_daily
        where {{mine}} level = 'campaign' and day > {LAST} - 30
        group by campaign_id order by 2 desc limit 100""",
    "campaign against its baselines": f"""
        select m.spend, b.window_days, b.spend / nullif(b.n_days, 0), m.spend / nullif(b.spend / nullif(b.n_days, 0), 0) - 1
        from ads.metrics_daily as m
        inner join ads.baselines as b
            on m.tenant_id = b.tenant_id and m.platform = b.platform and m.level = b.level and m.platform_id = b.platform_id
        where {{mine_m}} m.platform = 'meta' and m.level = 'campaign' and m.platform_id = '{{number}}-c0' and m.day = {LAST}
            and b.window_days in (7, 30)""",
    "pending recommendations, top 50": """
        select id, description, estimated_impact, priority from ads.optimization_recommendations
        where {mine} status = 'pending' order by estimated_impact desc nulls last limit 50""",
    "active critical anomalies": """
        select id, anomaly_type, platform_id, loss_per_day from ads.anomalies
        where {mine} status = 'active' and severity = 'critical' order by loss_per_day desc""",
    "30 days against the 30 before": f"""
        select platform, sum(spend) filter (where day > {LAST} - 30), sum(spend) filter (where day <= {LAST} - 30),
            sum(conversion_value) filter (where day > {LAST} - 30), sum(conversion_value) filter (where day <= {LAST} - 30)
        from ads.metrics_daily where {{mine}} level = 'account' and day > {LAST} - 60 group by platform""",
    "ROAS by platform and day, 90 days": f"""
        select platform, day, sum(conversion_value) / nullif(sum(spend), 0)
        from ads.metrics_daily where {{mine}} level = 'account' and day > {LAST} - 90 group by platform, day order by 1, 2""",
    "top and bottom 10 ads of 30 days": """
        (select platform_id, roas from ads.baselines
         where {mine} level = 'ad' and window_days = 30 and spend > 0 order by roas desc nulls last limit 10)
        union all
        (select platform_id, roas from ads.baselines
         where {mine} level = 'ad' and window_days = 30 and spend > 0 order by roas limit 10)""",
    "a benchmark comparison": """
        select platform, metric, own_value, benchmark_value, standing from ads.benchmark_comparison
        where {mine} metric in ('ctr', 'cpc', 'roas') order by platform, metric""",
}


def measure(place: Scratch) -> list[Figure]:
    place.aegis("deploy")
    tenants = _fill(place.dsn())
    largest, median = tenants[0], tenants[len(tenants) // 2]
    logins = {name: place.dsn("--tenant", name) for name in (largest[1], median[1])}
    figures = []
    for label, (number, name, tenant_id) in (("largest", largest), ("median", median)):
        paced, _ = _serve(logins[name], number, tenant_id, pace=True)
        figures += [
            Figure(f"{query}, {label} tenant, p95", _p95(times) * 1000, "ms", 50)
            for query, times in paced.items()
        ]
        everything, rate = _serve(logins[name], number, tenant_id, pace=False)
        mixed = [one for times in everything.values() for one in times]
        figures.append(
            Figure(f"saturated, {label} tenant", rate, "requests/s", note=f"p95 {_p95(mixed) * 1000:.0f} ms")
        )
    figures += _policy_overhead(place, largest, logins[largest[1]])
    return figures


# -- data -----------------------------------------------------------------------------------------------------


def _fill(admin_url: str) -> list[tuple[int, str, str]]:
    """(number, name, id) of the tenants, largest first. The n-th has a share of 1/n."""
    weights = [1 / rank for rank in range(1, TENANTS + 1)]
    per_day = AD_DAYS / DAYS
    tenants = []
    with psycopg.connect(admin_url) as connection:
        connection.execute("set role aegis_owner")
        for number in range(TENANTS):
            row = connection.execute(
                "insert into tenancy.tenants (name, currency) values (%s, 'USD') returning tenant_id::text",
                (f"bench {number}",),
            ).fetchone()
            assert row is not None
            tenants.append((number, f"bench {number}", row[0]))
        connection.execute("set role aegis_transformer")
        connection.execute("set work_mem = '256MB'")
        for number, name, tenant_id in tenants:
            ads = max(4, round(per_day * weights[number] / sum(weights)))
            print(f"  {name}: {ads * DAYS:,} ad-days", flush=True)
            for statement in _STATEMENTS:
                connection.execute(
                    statement.encode(), {"tenant": tenant_id, "number": str(number), "ads": ads, "days": DAYS}
                )
            connection.commit()
            connection.execute("set role aegis_transformer")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("vacuum analyze")
    return tenants


_SUMS = """
    min(currency), sum(spend), sum(impressions), sum(clicks), sum(clicks), sum(conversions), sum(conversion_value),
    sum(conversion_value) / nullif(sum(spend), 0), 'final', 'api'"""
_COLUMNS = """
    tenant_id, platform, level, platform_id, day, account_id, campaign_id, adset_id, currency, spend, impressions, clicks,
    link_clicks, conversions, conversion_value, roas, data_status, source"""
_STATEMENTS = (
    f"""
    insert into ads.metrics_daily ({_COLUMNS})
    select
        %(tenant)s::uuid, (array['meta', 'google', 'tiktok', 'pinterest'])[1 + a %% 4], 'ad', %(number)s || '-a' || a,
        d.day, %(number)s || '-acc' || a %% 4, %(number)s || '-c' || a %% 4 + 4 * (a / 80), %(number)s || '-s' || a %% 4 + 4 * (a / 20),
        'USD', spend, impressions, clicks, clicks, conversions, conversions * 60, conversions * 60 / spend, 'final', 'api'
    from generate_series(0, %(ads)s - 1) as a
    cross join generate_series({LAST} - %(days)s + 1, {LAST}, interval '1 day') as d (day)
    cross join lateral (
        select 5 + abs(hashint8(a * 1000 + d.day::date - {LAST})) %% 500 / 10.0 as spend
    ) as s
    cross join lateral (
        select (spend * 90)::bigint as impressions, (spend * 1.3)::bigint as clicks, floor(spend / 20) as conversions
    ) as m
    """,
    f"""
    insert into ads.metrics_daily ({_COLUMNS})
    select tenant_id, platform, 'adset', adset_id, day, account_id, campaign_id, adset_id, {_SUMS}
    from ads.metrics_daily where tenant_id = %(tenant)s::uuid and level = 'ad'
    group by tenant_id, platform, adset_id, day, account_id, campaign_id
    """,
    f"""
    insert into ads.metrics_daily ({_COLUMNS})
    select tenant_id, platform, 'campaign', campaign_id, day, account_id, campaign_id, null, {_SUMS}
    from ads.metrics_daily where tenant_id = %(tenant)s::uuid and level = 'adset'
    group by tenant_id, platform, campaign_id, day, account_id
    """,
    f"""
    insert into ads.metrics_daily ({_COLUMNS})
    select tenant_id, platform, 'account', account_id, day, account_id, null, null, {_SUMS}
    from ads.metrics_daily where tenant_id = %(tenant)s::uuid and level = 'campaign'
    group by tenant_id, platform, account_id, day
    """,
    f"""
    insert into ads.baselines (
        tenant_id, platform, level, platform_id, window_days, as_of, currency, n_days, n_days_with_spend, spend,
        impressions, clicks, conversions, conversion_value, roas, is_sufficient, computed_at
    )
    select
        tenant_id, platform, level, platform_id, w, {LAST}, min(currency), count(*), count(*), sum(spend), sum(impressions),
        sum(clicks), sum(conversions), sum(conversion_value), sum(conversion_value) / nullif(sum(spend), 0), true, now()
    from ads.metrics_daily
    inner join unnest(array[1, 7, 14, 28, 30, 90, 91]) as w on day >= {LAST} - w and day < {LAST}
    where tenant_id = %(tenant)s::uuid and day >= {LAST} - 91
    group by tenant_id, platform, level, platform_id, w
    """,
    f"""
    insert into ads.optimization_recommendations (
        tenant_id, recommendation_key, as_of, platform, account_id, level, platform_id, rule_id, recommendation_type,
        description, rationale, action, evidence, estimated_impact, currency, confidence, priority, status, expires_at
    )
    select distinct on (platform_id, r)
        tenant_id, md5(platform_id || r), {LAST} - r, platform, account_id, level, platform_id, 'rec_increase_budget',
        'budget_increase', repeat('text ', 20), repeat('text ', 40), '{{}}', '{{}}', spend * 10, 'USD', 0.8, 'high',
        case when r = 0 then 'pending' else 'expired' end, {LAST} + 2
    from ads.metrics_daily
    cross join generate_series(0, 9) as r
    where tenant_id = %(tenant)s::uuid and level = 'campaign' and day = {LAST}
    """,
    f"""
    insert into ads.anomalies (
        tenant_id, anomaly_key, platform, account_id, level, platform_id, anomaly_type, metric, day, last_day, currency,
        loss_per_day, severity, confidence, status, known_as_of
    )
    select
        tenant_id, md5(platform_id || r), platform, account_id, level, platform_id, 'spend_spike', 'spend', {LAST} - r,
        {LAST} - r, 'USD', spend, (array['low', 'medium', 'high', 'critical'])[1 + r %% 4], 0.9,
        case when r < 4 then 'active' else 'resolved' end, {LAST} - r
    from ads.metrics_daily
    cross join generate_series(0, 19) as r
    where tenant_id = %(tenant)s::uuid and level = 'campaign' and day = {LAST}
    """,
    f"""
    insert into ads.benchmark_comparison (
        tenant_id, platform, industry, objective, geography, metric, statistic, source, period_start, as_of, window_days,
        own_value, benchmark_value, standing, quality
    )
    select
        %(tenant)s::uuid, p, 'all', 'all', 'all', m, 'average', s, date '2025-01-01', {LAST}, 30, 1, 2, 'better', 'weak'
    from unnest(array['meta', 'google', 'tiktok', 'pinterest']) as p
    cross join unnest(array['ctr', 'cpc', 'cpm', 'cvr', 'cpa', 'roas']) as m
    cross join unnest(array['WordStream', 'LocaliQ', 'Varos']) as s
    """,
)


# -- reading --------------------------------------------------------------------------------------------------


def _text(query: str, number: int, tenant_id: str | None) -> str:
    mine = "" if tenant_id is None else f"tenant_id = '{tenant_id}' and"
    return query.format(mine=mine, mine_m=mine.replace("tenant_id", "m.tenant_id"), number=number)


def _serve(url: str, number: int, tenant_id: str, pace: bool) -> tuple[dict[str, list[float]], float]:
    """Seconds of each request by query, of all clients at once; and requests a second."""
    texts = {name: _text(query, number, tenant_id) for name, query in QUERIES.items()}
    times: dict[str, list[float]] = {name: [] for name in texts}
    lock = threading.Lock()
    begun = time.monotonic() + 0.5
    until = begun + (SECONDS if pace else SECONDS / 2)

    def client(index: int) -> int:
        done = 0
        names = list(texts)
        with psycopg.connect(url, autocommit=True) as connection:
            for text in texts.values():
                connection.execute(text.encode()).fetchall()
            while (now := time.monotonic()) < until:
                due = begun + done / REQUESTS_A_SECOND + index / CLIENTS / REQUESTS_A_SECOND
                if pace and due > now:
                    time.sleep(due - now)
                name = names[(done + index) % len(names)]
                started = time.perf_counter()
                connection.execute(texts[name].encode()).fetchall()
                seconds = time.perf_counter() - started
                done += 1
                with lock:
                    times[name].append(seconds)
        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(client, range(CLIENTS)))
    return times, total / (until - begun)


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


# -- what row security costs ----------------------------------------------------------------------------------


def _policy_overhead(place: Scratch, tenant: tuple[int, str, str], reader_url: str) -> list[Figure]:
    """CPU of the reader's backend against a superuser's, who has no policies; both without parallel plans and JIT."""
    number, _, tenant_id = tenant
    ratios, blind = {}, {}
    with (
        psycopg.connect(place.dsn(), autocommit=True) as free,
        psycopg.connect(reader_url, autocommit=True) as bound,
    ):
        free.execute("set max_parallel_workers_per_gather = 0")
        free.execute("set jit = off")
        for name, query in QUERIES.items():
            said = _text(query, number, tenant_id).encode()
            silent = _text(query, number, None).encode()
            ratios[name] = _ratio(bound, said, free, said)
            blind[name] = _ratio(bound, silent, free, said)
    mean = math.exp(statistics.fmean(math.log(value) for value in ratios.values()))
    worst = max(ratios, key=lambda name: ratios[name])
    mean_blind = math.exp(statistics.fmean(math.log(value) for value in blind.values()))
    return [
        Figure("policy overhead in CPU, query names its tenant, geometric mean", mean, "x", 1.05),
        Figure("the worst of the eight", ratios[worst], "x", 1.15, note=worst),
        Figure("the same without the predicate, geometric mean", mean_blind, "x"),
    ]


def _ratio(
    one: psycopg.Connection[Any], query: bytes, other: psycopg.Connection[Any], other_query: bytes
) -> float:
    """Median of alternating rounds: CPU of the one's backend against the other's, for as many calls."""
    calls = _calls_for(one, query)
    return statistics.median(
        _cpu(one, query, calls) / max(_cpu(other, other_query, calls), 1e-9) for _ in range(ROUNDS)
    )


def _calls_for(connection: psycopg.Connection[Any], query: bytes) -> int:
    calls = 4
    while (spent := _cpu(connection, query, calls)) < CPU_SECONDS / 4:
        calls *= 4
    return max(4, round(calls * CPU_SECONDS / spent))


def _cpu(connection: psycopg.Connection[Any], query: bytes, calls: int) -> float:
    """Seconds of the backend."""
    before = _ticks(connection.info.backend_pid)
    for _ in range(calls):
        connection.execute(query).fetchall()
    return (_ticks(connection.info.backend_pid) - before) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
