"""A replay says what the daily runs said, touches nothing that people read, and repeats itself.

The world comes in as outsiders bring theirs: `aegis import history` of a file whose figures were restated, on an
otherwise empty database. The replay goes first, the daily runs follow on the same history.
"""

from __future__ import annotations

import csv
import math
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dlt_pipelines.common.errors import AegisError, ContractError
from flows.daily_optimization import optimize
from flows.replay import replay

FIRST, LAST = date(2026, 3, 1), date(2026, 5, 29)
BEGIN = LAST - timedelta(days=3)
TENANTS = [str(uuid.UUID(int=number, version=4)) for number in (1, 2)]
AGES = {0: 0.6, 2: 0.8, 6: 1.0}  # share of a day's conversions known at that age
COLUMNS = ["tenant_id", "platform", "level", "entity_id", "day", "type", "severity"]

ANOMALY = """
    {id}, {as_of}, tenant_id::text, platform, account_id, level, platform_id, anomaly_type, metric, day, last_day,
    observed, expected, lower_bound, upper_bound, deviation, score, loss_per_day, currency, severity, confidence,
    status, is_tracking_outage, explained_by, parent_id, known_as_of
"""
RECOMMENDATION = """
    {id}, {raised_on}, tenant_id::text, platform, account_id, level, platform_id, rule_id, recommendation_type,
    description, rationale, action, evidence, estimated_impact, estimated_impact_low, estimated_impact_high, currency,
    confidence, priority, status, expires_at
"""


def ad_days() -> list[dict[str, Any]]:
    """Two tenants of eight campaigns over 90 days, two of each in trouble at the end and one long unprofitable."""
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    days = [FIRST + timedelta(days=offset) for offset in range((LAST - FIRST).days + 1)]
    for place, tenant in enumerate(TENANTS):
        for number in range(8):
            for day in days:
                factor = math.exp(chance.gauss(0, 0.05))
                impressions = round(20000 * factor)
                clicks = round(impressions * 0.02 * math.exp(chance.gauss(0, 0.05)))
                conversions = clicks * (0.012 if number == 5 else 0.06) * math.exp(chance.gauss(0, 0.1))
                spend = 0.008 * impressions * math.exp(chance.gauss(0, 0.05))
                if number == 1 + place and day >= LAST - timedelta(days=4):
                    spend, impressions, clicks, conversions = (
                        spend * 4,
                        impressions * 4,
                        clicks * 4,
                        conversions * 4,
                    )
                if number == 3 and LAST - timedelta(days=6) <= day <= LAST - timedelta(days=3):
                    conversions = 0.0
                for age, share in AGES.items():
                    if day + timedelta(days=age) <= LAST:
                        known = round(conversions * share)
                        rows.append(
                            {
                                "tenant_id": tenant,
                                "platform": "meta" if number % 2 else "google",
                                "account_id": f"act-{place}-{number % 2}",
                                "currency": "USD",
                                "campaign_id": f"c{place}-{number}",
                                "adset_id": f"s{place}-{number}",
                                "ad_id": f"a{place}-{number}",
                                "day": day,
                                "known_on": day + timedelta(days=age),
                                "spend": round(spend, 2),
                                "impressions": impressions,
                                "clicks": clicks,
                                "conversions": float(known),
                                "conversion_value": known * 40.0,
                            }
                        )
    return rows


CAMPAIGNS = [
    {
        "tenant_id": tenant,
        "platform": "meta" if number % 2 else "google",
        "account_id": f"act-{place}-{number % 2}",
        "campaign_id": f"c{place}-{number}",
        "campaign_name": f"Campaign {number}",
        "objective": "sales",
        "start_day": FIRST,
        "status": "active",
        "daily_budget": 170.0,
        "target_roas": 4.0,
        "target_cpa": None,
    }
    for place, tenant in enumerate(TENANTS)
    for number in range(8)
]
CHANGES = [
    {
        "tenant_id": TENANTS[0], "platform": "meta", "account_id": "act-0-1", "campaign_id": "c0-1",
        "day": LAST - timedelta(days=4), "field": "daily_budget", "old": "170", "new": "680",
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def world(new_warehouse: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("world")
    for name, rows in (("ads", ad_days()), ("campaigns", CAMPAIGNS), ("changes", CHANGES)):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    warehouse = new_warehouse()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(warehouse.settings.data_dir))
        warehouse.run_cli(
            "import", "history", "--ads", str(folder / "ads.parquet"), "--campaigns",
            str(folder / "campaigns.parquet"), "--changes", str(folder / "changes.parquet"), "--create-tenants",
            check=True,
        )  # fmt: skip
        yield warehouse


def contents(warehouse: Any) -> dict[str, str]:
    """A checksum of every table but those a replay writes, so of what is there at all."""
    tables = warehouse.rows(
        """
        select c.oid::regclass::text from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where c.relkind in ('r', 'v', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
        """
    )
    return {
        table: warehouse.rows(
            f"select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} as t"
        )[0][0]
        for (table,) in tables
        if "backtest_" not in table
    }


def replayed(warehouse: Any, table: str, columns: str, day: date | None = None) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        f"select {columns} from ads_internal.{table} where %s::date is null or replay_day = %s order by 1, 2, 3",
        (day, day),
    )


@pytest.fixture(scope="module")
def first_replay(world: Any) -> dict[str, Any]:
    """The tables before and after a replay of four days, with its report and its lists."""
    before = contents(world)
    report = replay(world.database.connections(), BEGIN, LAST)
    return {
        "before": before,
        "after": contents(world),
        "report": report,
        "anomalies": replayed(world, "backtest_anomalies", "*"),
        "recommendations": replayed(world, "backtest_recommendations", "*"),
    }


def test_a_replay_leaves_everything_else_as_it_was(first_replay: dict[str, Any]) -> None:
    assert first_replay["report"].days == 4
    assert first_replay["before"]["history.performance_versions"].split()[0] != "0"
    assert first_replay["after"] == first_replay["before"]


def test_a_second_replay_says_the_same(world: Any, first_replay: dict[str, Any]) -> None:
    replay(world.database.connections(), BEGIN, LAST)
    assert replayed(world, "backtest_anomalies", "*") == first_replay["anomalies"]
    assert replayed(world, "backtest_recommendations", "*") == first_replay["recommendations"]


def test_one_tenants_replay_keeps_to_that_tenant(world: Any, first_replay: dict[str, Any]) -> None:
    replay(world.database.connections(), LAST, LAST, [TENANTS[1]])
    kept = [row for row in first_replay["anomalies"] if str(row[0]) == TENANTS[0]]
    assert kept
    found = replayed(world, "backtest_anomalies", "*")
    assert [row for row in found if str(row[0]) == TENANTS[0]] == kept
    assert {row[1] for row in found if str(row[0]) == TENANTS[1]} == {LAST}
    replay(world.database.connections(), BEGIN, LAST)


def test_a_killed_replay_leaves_nothing_behind(world: Any, first_replay: dict[str, Any]) -> None:
    def kill(done: int, _days: int, _day: date) -> None:
        if done == 2:
            with world.connect("admin") as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'aegis backtest' and datname = current_database()"
                )

    # Another session may be in the middle of a model when it is ended: then the error names the model.
    with pytest.raises((psycopg.OperationalError, AegisError)):
        replay(world.database.connections(), BEGIN, LAST, day_done=kill)
    assert contents(world) == first_replay["before"]
    assert replayed(world, "backtest_anomalies", "*") == first_replay["anomalies"]


def test_the_files_hold_what_was_open_on_each_day(
    world: Any, first_replay: dict[str, Any], tmp_path: Path
) -> None:
    world.run_cli(
        "backtest", "--from", str(BEGIN), "--to", str(LAST), "--export", str(tmp_path / "out"), check=True
    )
    files = {}
    for name in ("anomalies", "recommendations"):
        with open(tmp_path / "out" / f"{name}.csv", encoding="utf-8", newline="") as file:
            files[name] = list(csv.DictReader(file))
            assert list(files[name][0]) == COLUMNS
    drops = [row for row in files["anomalies"] if row["type"] == "conversion_drop"]
    assert {row["entity_id"] for row in drops} >= {"c0-3", "c1-3"}
    assert {row["tenant_id"] for row in drops} == set(TENANTS)
    assert {row["day"] for row in drops} >= {str(BEGIN), str(BEGIN + timedelta(days=1))}
    spikes = {row["entity_id"] for row in files["anomalies"] if row["type"] == "spend_spike"}
    assert "c1-2" in spikes
    assert "c0-1" not in spikes, "the change log explains it"
    assert world.rows(
        "select distinct explained_by from ads_internal.backtest_anomalies "
        "where platform_id = 'c0-1' and anomaly_type = 'spend_spike'"
    ) == [("change_log",)]
    paused = {(row["entity_id"], row["type"]) for row in files["recommendations"]}
    assert {("c0-5", "pause"), ("c1-5", "pause")} <= paused
    assert {row["severity"] for row in files["recommendations"]} <= {"low", "medium", "high", "critical"}
    assert {row["day"] for row in files["recommendations"]} == {
        str(BEGIN + timedelta(days=n)) for n in range(4)
    }


def test_days_without_figures_are_told_and_no_error(
    world: Any, first_replay: dict[str, Any], tmp_path: Path
) -> None:
    done = world.run_cli(
        "backtest", "--from", "2025-01-01", "--to", "2025-01-03", "--export", str(tmp_path), check=True
    )
    assert "no figures between 2025-01-01 and 2025-01-03" in done.stderr
    assert (tmp_path / "anomalies.csv").read_text() == ",".join(COLUMNS) + "\n"
    early = world.run_cli("backtest", "--from", "2026-02-27", "--to", "2026-03-02", check=True)
    assert "Replayed 2 days of 2 tenants" in early.stdout
    refused = world.run_cli("backtest", "--from", "2026-03-02", "--to", "2026-03-01")
    assert refused.returncode == 1
    assert "is after" in refused.stderr


def test_nothing_to_replay_is_said(warehouse: Any) -> None:
    with pytest.raises(ContractError, match="nothing to replay"):
        replay(warehouse.database.connections(), BEGIN, LAST)
    tenant = warehouse.add_tenant("Empty")
    with pytest.raises(ContractError, match="Empty has no figures yet"):
        replay(warehouse.database.connections(), BEGIN, LAST, [tenant])


def test_a_replayed_day_is_what_the_daily_run_gave(world: Any, first_replay: dict[str, Any]) -> None:
    """Last of the module: it fills the marts."""
    connections = world.database.connections()
    replay(connections, BEGIN, LAST)
    open_before: list[str] = []
    moved = 0
    for offset in range(4):
        day = BEGIN + timedelta(days=offset)
        report = optimize(connections, as_of=day)
        assert report.ok, report.failed_models
        given = world.rows(
            f"select {ANOMALY.format(id='id', as_of='%s::date')} from ads.anomalies "
            "where status in ('active', 'acknowledged') or known_as_of = %s order by 1, 2, 3",
            (day, day),
        )
        assert (
            replayed(world, "backtest_anomalies", ANOMALY.format(id="anomaly_id", as_of="replay_day"), day)
            == given
        )
        advice = world.rows(
            f"select {RECOMMENDATION.format(id='id', raised_on='as_of')} from ads.optimization_recommendations "
            "where status in ('pending', 'approved') or id = any(%s::uuid[]) order by 1, 2, 3",
            (open_before,),
        )
        columns = RECOMMENDATION.format(id="recommendation_id", raised_on="raised_on")
        assert replayed(world, "backtest_recommendations", columns, day) == advice
        assert given and advice
        moved += sum(row[-2] not in ("pending", "approved") for row in advice)
        open_before = [str(row[0]) for row in advice if row[-2] in ("pending", "approved")]
    assert moved, "no recommendation was closed: the comparison would not notice"
    later = world.rows(
        "select count(*) from history.performance_versions where known_on > %s and day <= %s", (BEGIN, BEGIN)
    )
    assert later[0][0] > 0, "nothing was restated after the first day: the comparison would not notice"
