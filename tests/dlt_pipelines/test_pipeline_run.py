"""The only place that builds a dlt pipeline: nothing is believed that the database does not confirm."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from aegis.settings import project_root
from dlt_pipelines import registry, run
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import ContractError, PartialDataError
from dlt_pipelines.common.stamp import stamp
from dlt_pipelines.manual import ImportResult, import_csv, tables

DAY = dt.date(2026, 3, 1)
FILE = "ad_id,day,spend\na1,2026-03-01,1.5\na2,2026-03-01,2\n"


def rates(load_id: str, rows: int) -> pa.Table:
    days = pa.array([DAY + dt.timedelta(days=n) for n in range(rows)], pa.date32())
    table = tables.build(
        "currency_rates",
        {"day": days, "currency": pa.scalar("USD"), "rate": pa.scalar(Decimal(1), tables.RATE)},
        rows,
    )
    return stamp(table, load_id=load_id, loaded_at=dt.datetime.now(dt.UTC), shared=True)


def load(connections: Connections, load_id: str, rows: int = 3) -> dict[str, int]:
    return run.run(
        connections, registry.get("manual").module.manual({"currency_rates": rates(load_id, rows)}), load_id
    )


def test_rows_are_counted_and_confirmed(connections: Connections, warehouse: Any) -> None:
    assert load(connections, "a") == {"currency_rates": 3}
    assert load(connections, "b", rows=5) == {"currency_rates": 5}
    assert warehouse.rows("select load_id, count(*) from raw_manual.currency_rates group by 1 order by 1") == [
        ("a", 3), ("b", 5),
    ]  # fmt: skip
    types = warehouse.rows(
        """
        select column_name, data_type from information_schema.columns
        where table_schema = 'raw_manual' and table_name = 'currency_rates'
            and column_name in ('rate', 'loaded_at', 'day') order by 1
        """
    )
    assert types == [("day", "date"), ("loaded_at", "timestamp with time zone"), ("rate", "numeric")]


def test_a_package_left_by_a_killed_run_is_not_taken_for_the_new_one(
    connections: Connections, warehouse: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """dlt itself would load the old package, ignore the new rows and report success; see the first half."""
    import dlt

    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    manual = registry.get("manual").module.manual

    def pipeline() -> Any:
        return dlt.pipeline(
            "manual",
            destination=dlt.destinations.postgres(credentials=run._url_for_dlt(connections.loader)),
            dataset_name="raw_manual",
        )

    stale = pipeline()
    stale.extract(manual({"currency_rates": rates("stale", 2)}), loader_file_format="parquet")
    stale.normalize()
    pipeline().run(manual({"currency_rates": rates("ignored", 7)}), loader_file_format="parquet")
    loads = "select load_id, count(*) from raw_manual.currency_rates group by 1 order by 1"
    assert warehouse.rows(loads) == [("stale", 2)]

    stale = pipeline()
    stale.extract(manual({"currency_rates": rates("stale again", 2)}), loader_file_format="parquet")
    stale.normalize()
    assert load(connections, "new", rows=4) == {"currency_rates": 4}
    assert warehouse.rows(loads) == [("new", 4), ("stale", 2)]


def test_fewer_rows_in_the_database_than_produced_is_an_error(
    connections: Connections, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dlt

    real = dlt.pipeline

    def lossy(*arguments: Any, **options: Any) -> Any:
        pipeline = real(*arguments, **options)
        loads = pipeline.run

        def lose(*a: Any, **o: Any) -> Any:
            loads(*a, **o)
            with warehouse.connect("admin") as connection:
                connection.execute("delete from raw_manual.currency_rates where day = %s", (DAY,))

        pipeline.run = lose
        return pipeline

    monkeypatch.setattr(dlt, "pipeline", lossy)
    with pytest.raises(PartialDataError, match=r"produced 3 rows for raw_manual\.currency_rates .* holds 2"):
        load(connections, "x")


def test_a_value_the_table_refuses_is_one_sentence(connections: Connections, warehouse: Any) -> None:
    with warehouse.connect("admin") as connection:
        connection.execute(
            "alter table raw_manual.currency_rates add constraint odd check (load_id <> 'odd')"
        )
    with pytest.raises(PartialDataError, match=r"Loading into raw_manual failed: .*odd"):
        load(connections, "odd")
    assert warehouse.rows("select count(*) from raw_manual.currency_rates") == [(0,)]


def test_two_first_loads_at_once(connections: Connections, warehouse: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _in_a_process(connections, name), ("one", "two")))
    assert warehouse.rows("select load_id, count(*) from raw_manual.currency_rates group by 1 order by 1") == [
        ("one", 3), ("two", 3),
    ]  # fmt: skip


def _in_a_process(connections: Connections, name: str) -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests/dlt_pipelines')\n"
        "from dlt_pipelines.common.connections import Connections\n"
        "from test_pipeline_run import load\n"
        f"load(Connections({connections.loader!r}, '', ''), {name!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=project_root(), timeout=120)


def test_old_folders_of_killed_runs_are_cleared_away(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path))
    for name, age in (("old", 3 * 86_400), ("running", 60)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age, time.time() - age))
    load(connections, "a")
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == ["running"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u:p%40@h:1/d?options=-c%20role%3Dx", "postgresql://u:p%40@h:1/d?options=-crole%3Dx"),
        ("postgres://u@h", "postgresql://u@h/u"),
        ("postgresql://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
    ],
)
def test_urls_survive_dlt(given: str, expected: str) -> None:
    assert run._url_for_dlt(given) == expected


def test_unknown_sources_and_rows_without_a_tenant() -> None:
    with pytest.raises(ContractError, match="no source 'nope'"):
        registry.get("nope")
    now = dt.datetime.now(dt.UTC)
    with pytest.raises(ContractError, match="rows without tenant_id"):
        stamp(pa.table({"account_id": ["a"]}), load_id="l", loaded_at=now)
    found = stamp(pa.table({"x": [1]}), load_id="l", loaded_at=now, tenant_id="t", account_id="a")
    assert found.column_names == ["x", "load_id", "loaded_at", "tenant_id", "account_id"]


# -- killed between the load and its coverage --------------------------------------------------------------------

CRASH = """
import datetime as dt, os, sys
from decimal import Decimal
from pathlib import Path
from dlt_pipelines.common import coverage
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.manual import import_csv

coverage.publish = lambda *a, **o: os.kill(os.getpid(), 9)
import_csv(Connections(*sys.argv[1:4]), Path(sys.argv[4]), tenant_id=sys.argv[5], platform="meta")
"""


def test_a_run_killed_before_its_coverage_leaves_nothing_visible(
    connections: Connections, tenant_id: str, tmp_path: Path, warehouse: Any, stored: Callable[..., Any]
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(FILE)
    urls = (connections.loader, connections.transformer, connections.owner)
    killed = subprocess.run(
        [sys.executable, "-c", CRASH, *urls, str(path), tenant_id],
        check=False,
        cwd=project_root(),
        timeout=120,
    )
    assert killed.returncode == -9
    assert warehouse.rows("select count(*) from raw_manual.performance") == [(2,)]
    assert warehouse.rows("select status, finished_at from ops.import_log") == [("running", None)]
    for table in ("ops.coverage", "tenancy.ad_accounts", "ops.quarantine"):
        assert warehouse.rows(f"select count(*) from {table}") == [(0,)]
    assert stored("platform_id") == []

    again: ImportResult = import_csv(connections, path, tenant_id=tenant_id, platform="meta")
    assert (again.unchanged, again.rows_imported) == (False, 2)
    assert stored("platform_id, spend") == [("a1", 1.5), ("a2", 2)]


def test_a_failure_while_publishing_takes_everything_back(
    connections: Connections, tenant_id: str, tmp_path: Path, warehouse: Any
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(FILE)
    with warehouse.connect("admin") as connection:
        connection.execute("alter table ops.coverage add constraint odd check (rows <> 2)")
    with pytest.raises(psycopg.errors.CheckViolation):
        import_csv(connections, path, tenant_id=tenant_id, platform="meta")
    assert warehouse.rows("select status, left(error, 7) from ops.import_log") == [("failed", "new row")]
    assert warehouse.rows(
        "select (select count(*) from ops.coverage) + (select count(*) from tenancy.ad_accounts)"
    ) == [(0,)]
