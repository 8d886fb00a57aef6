"""The decision layer: the database's work for one new day of a large tenant, and a long backtest of a middling one.

CPU seconds of the server's processes are quoted beside wall time: they hardly depend on who else uses the machine.
`AEGIS_BENCH_BACKTEST_DAYS` makes the backtest shorter for a trial.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.connector import server_cpu
from bench.harness import ROOT, Figure, Scratch, scratch

CAMPAIGNS, ADS_EACH, DAYS = 400, 25, 60
BACKTEST_CAMPAIGNS = 200
BACKTEST_DAYS = int(os.environ.get("AEGIS_BENCH_BACKTEST_DAYS", "100"))
LAST = date(2026, 6, 30)
AGES = {
    0: 0.6,
    1: 0.75,
    3: 0.85,
    7: 0.93,
    14: 0.97,
    28: 1.0,
}  # share of a day's conversions known at that age

# Every model from the days of all entities down to the two lists; without the tests, which judge the figures.
RUN_DECISIONS = """
from aegis.database import open_database
from flows.transform import run_dbt
built = run_dbt(
    open_database(say=lambda _: None).connections(),
    [
        "run", "--target", "prod", "--select",
        "int_metrics__entity_days+,+anomalies", "int_metrics__entity_days+,+optimization_recommendations",
    ],
)
assert not built.failures, built.failures
"""


def measure(_: Scratch) -> list[Figure]:
    return _one_new_day() + _backtest()


def _one_new_day() -> list[Figure]:
    """The decision models alone, on a warehouse whose newest day is built: what they cost on every morning."""
    with scratch() as place:
        _import(place, campaigns=CAMPAIGNS, ads_each=ADS_EACH, days=DAYS, ages={0: 1.0})
        place.aegis("optimize")
        postmaster = _postmaster(place)
        before, started = server_cpu(postmaster), time.perf_counter()
        _run_decisions(place)
        wall, cpu = time.perf_counter() - started, server_cpu(postmaster) - before
    name = f"decision layer, one new day of {CAMPAIGNS} campaigns and {CAMPAIGNS * ADS_EACH:,} ads"
    return [
        Figure(f"{name}: CPU of the database", cpu, "s", 10, note=f"{DAYS} days of history"),
        Figure("the same: wall time, dbt included", wall, "s"),
    ]


def _backtest() -> list[Figure]:
    """One tenant, so one session: the slower case. Late conversions restate four weeks of every day."""
    with scratch() as place:
        _import(place, campaigns=BACKTEST_CAMPAIGNS, ads_each=4, days=BACKTEST_DAYS + 40, ages=AGES)
        postmaster = _postmaster(place)
        before = server_cpu(postmaster)
        begin = LAST - timedelta(days=BACKTEST_DAYS - 1)
        wall = place.aegis("backtest", "--from", str(begin), "--to", str(LAST))
        cpu = server_cpu(postmaster) - before
    name = f"`aegis backtest`, {BACKTEST_DAYS} days of {BACKTEST_CAMPAIGNS} campaigns of one tenant"
    return [
        Figure(f"{name}: wall time", wall, "s", 180 if BACKTEST_DAYS >= 100 else None),
        Figure("the same: CPU of the database", cpu, "s", note=f"{cpu / BACKTEST_DAYS:.2f} s a replayed day"),
    ]


def _import(place: Scratch, *, campaigns: int, ads_each: int, days: int, ages: dict[int, float]) -> None:
    ads, described = place.folder / "ads.parquet", place.folder / "campaigns.parquet"
    pq.write_table(_ad_days(campaigns, ads_each, days, ages), ads)
    pq.write_table(_campaigns(campaigns, days), described)
    place.aegis("deploy")
    place.aegis("import", "history", "--ads", str(ads), "--campaigns", str(described), "--create-tenants")


def _account(campaign: int) -> tuple[str, str]:
    platform = ("meta", "google")[campaign % 2]
    return platform, f"{platform}-{campaign % 4 // 2}"


def _ad_days(campaigns: int, ads_each: int, days: int, ages: dict[int, float]) -> pa.Table:
    """Campaigns of very different sizes, noisy, otherwise calm; one in 20 loses its conversions for four days."""
    chance = random.Random(23)
    columns: dict[str, list[object]] = {
        name: []
        for name in (
            "tenant_id", "platform", "account_id", "currency", "campaign_id", "adset_id", "ad_id", "day", "known_on",
            "spend", "impressions", "clicks", "conversions", "conversion_value",
        )
    }  # fmt: skip
    for campaign in range(campaigns):
        platform, account = _account(campaign)
        size = chance.lognormvariate(8, 0.8)
        broken = chance.randrange(10, days - 4) if campaign % 20 == 0 else days
        for offset in range(days):
            day = LAST - timedelta(days=days - 1 - offset)
            for ad in range(ads_each):
                impressions = int(size * chance.lognormvariate(0, 0.15)) + 1
                clicks = int(impressions * 0.02 * chance.lognormvariate(0, 0.1))
                conversions = (
                    0 if broken <= offset < broken + 4 else clicks * 0.06 * chance.lognormvariate(0, 0.2)
                )
                before = -1
                for age, share in ages.items():
                    known_on, known = day + timedelta(days=age), round(conversions * share)
                    if known_on > LAST or known == before:
                        continue
                    before = known
                    row = (
                        "bench", platform, account, "USD", f"c{campaign}", f"s{campaign}-{ad // 5}",
                        f"a{campaign}-{ad}", day, known_on, Decimal(impressions * 9).scaleb(-3),
                        impressions, clicks, Decimal(known), Decimal(known * 60),
                    )  # fmt: skip
                    for values, value in zip(columns.values(), row, strict=True):
                        values.append(value)
    return pa.table(columns)


def _campaigns(campaigns: int, days: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "tenant_id": "bench",
                "platform": _account(campaign)[0],
                "account_id": _account(campaign)[1],
                "campaign_id": f"c{campaign}",
                "campaign_name": f"Campaign {campaign}",
                "status": "active",
                "start_day": LAST - timedelta(days=days - 1),
                "daily_budget": 2000.0,
                "target_roas": 3.0,
                "target_cpa": None,
            }
            for campaign in range(campaigns)
        ]
    )


def _run_decisions(place: Scratch) -> None:
    subprocess.run(
        [sys.executable, "-c", RUN_DECISIONS],
        env=place.environment, cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip


def _postmaster(place: Scratch) -> int:
    from aegis.database import Database
    from aegis.settings import Settings

    database = Database(Settings(root=ROOT, data_dir=Path(place.environment["AEGIS_DATA_DIR"])))
    assert database.server is not None
    postmaster = database.server.state().pid
    assert postmaster is not None
    return postmaster
