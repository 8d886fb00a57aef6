"""Builds on databases of their own. A Feed puts raw rows and coverage where an import puts them, row by row.

dbt's parsed project is kept per worker, so only a worker's first build parses it.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flows.transform import BuildResult, build

FIXTURES = Path(__file__).parent / "fixtures"
NORTHWIND = "aaaaaaaa-0000-4000-8000-000000000001"
HARBOUR = "bbbbbbbb-0000-4000-8000-000000000002"
TENANT = "cccccccc-0000-4000-8000-000000000003"
CHAIN = (
    "+int_ads__built_account_days",
    "+data_status",
)  # down to metrics_daily and findings: no detectors, no rules


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(autouse=True)
def data_folder(dbt_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_DATA_DIR", str(dbt_folder))


class Feed:
    """One warehouse with one tenant (USD) and one meta account `act_1`, ready to be fed."""

    def __init__(self, warehouse: Any) -> None:
        self.warehouse = warehouse
        self._loads = itertools.count(1)
        with warehouse.connect() as connection:
            connection.execute(
                "insert into tenancy.tenants (tenant_id, name, currency) values (%s, 'Fed', 'USD')", (TENANT,)
            )
            connection.execute(
                "insert into tenancy.ad_accounts (tenant_id, platform, account_id, currency) values (%s, 'meta', 'act_1', 'USD')",
                (TENANT,),
            )

    def load(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        covered: Iterable[date] = (),
        state: str = "accepted",
        load_id: str | None = None,
    ) -> str:
        """One file: rows with at least ad_id or platform_id, and day. Covers their days and those named."""
        number = next(self._loads)
        load_id = load_id or f"load-{number:04d}"
        full = [self._row(row, load_id, line) for line, row in enumerate(rows, start=1)]
        with self.warehouse.connect() as connection:
            for row in full:
                columns = ", ".join(row)
                connection.execute(
                    f"insert into raw_manual.performance ({columns}) values ({', '.join(['%s'] * len(row))})",
                    list(row.values()),
                )
            days = {(row["platform"], row["account_id"], row["day"]) for row in full}
            days |= {("meta", "act_1", day) for day in covered}
            for platform, account, day in sorted(days):
                connection.execute(
                    """
                    insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows, state)
                    values (%s, %s, %s, %s, %s, 'file', %s, %s)
                    """,
                    (load_id, TENANT, platform, account, day, sum(r["day"] == day for r in full), state),
                )
        return load_id

    def _row(self, row: Mapping[str, Any], load_id: str, line: int) -> dict[str, Any]:
        full: dict[str, Any] = {
            "tenant_id": TENANT,
            "account_id": "act_1",
            "load_id": load_id,
            "platform": "meta",
            "currency": "USD",
            "level": "ad",
            "campaign_id": "c1",
            "adset_id": "s1",
            "known_on": None,
            "reported_on": None,
            "spend": 10,
            "impressions": 1000,
            "clicks": 20,
            "conversions": 2,
            "conversion_value": 100,
            "source_name": "file.csv",
            "line": line,
            **row,
        }
        full.setdefault("platform_id", full.pop("ad_id", "a1"))
        full["loaded_at"] = f"2026-07-01 00:{int(load_id.rsplit('-', 1)[-1]) % 60:02d}:00+00"
        if full["reported_on"] is None:
            full["reported_on"] = full["known_on"]
        return full

    def describe(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """A campaigns, changes or rates file that ended well."""
        load_id = f"described-{next(self._loads):04d}"
        with self.warehouse.connect() as connection:
            for line, row in enumerate(rows, start=1):
                full = {
                    **row,
                    "load_id": load_id,
                    "loaded_at": f"2026-07-01 01:{line:02d}:00+00",
                    "line": line,
                }
                if table != "currency_rates":
                    full = {"tenant_id": TENANT, "account_id": "act_1", "platform": "meta", **full}
                connection.execute(
                    f"insert into raw_manual.{table} ({', '.join(full)}) values ({', '.join(['%s'] * len(full))})",
                    list(full.values()),
                )
            connection.execute(
                "insert into ops.import_log (load_id, kind, source_name, status) values (%s, %s, 'file.csv', 'completed')",
                (load_id, table),
            )

    def ran(self, as_of: date) -> None:
        """The daily run of that day is done."""
        with self.warehouse.connect() as connection:
            connection.execute(
                "insert into ops.daily_runs (tenant_id, as_of, status) values (%s, %s, 'done') on conflict do nothing",
                (TENANT, as_of),
            )
            connection.execute(
                """
                insert into ops.as_of (tenant_id, as_of) values (%s, %s)
                on conflict (tenant_id) do update set as_of = excluded.as_of
                """,
                (TENANT, as_of),
            )

    def judge(self) -> None:
        with self.warehouse.connect("transformer") as connection:
            connection.execute("select * from ops.judge_coverage()")

    def build(self, *select: str, **options: Any) -> BuildResult:
        result = build(self.warehouse.database.connections(), select=select or CHAIN, **options)
        assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]
        return result

    def versions(self) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(  # type: ignore[no-any-return]
            """
            select platform_id, day, known_on, source, spend::float8, conversions::float8, is_withdrawn
            from history.performance_versions
            order by platform_id, day, source, known_on
            """
        )

    def served(self, level: str = "ad") -> dict[tuple[str, date], tuple[float, str]]:
        """(platform_id, day) -> (spend, source) of metrics_daily."""
        return {
            (platform_id, day): (spend, source)
            for platform_id, day, spend, source in self.warehouse.rows(
                "select platform_id, day, spend::float8, source from ads.metrics_daily where level = %s",
                (level,),
            )
        }

    def as_buyer(self, statement: str, parameters: Any = None) -> None:
        with psycopg.connect(self.warehouse.tenant_url(TENANT, "buyer"), connect_timeout=10) as connection:
            connection.execute(statement, parameters)


@pytest.fixture
def feed(warehouse: Any) -> Feed:
    return Feed(warehouse)


@pytest.fixture(scope="module")
def small_world(new_warehouse: Callable[..., Any], dbt_folder: Path) -> Iterator[Any]:
    """fixtures/small_world.sql, built once for the module. Tests only read it."""
    warehouse = new_warehouse()
    with warehouse.connect() as connection:
        connection.execute((FIXTURES / "small_world.sql").read_text(encoding="utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        result = build(warehouse.database.connections())
    assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]
    yield warehouse


def new_id() -> str:
    return str(uuid.uuid4())
