"""A build killed with -9 over a platform's loads: readers never see half, and the next build ends as if nothing was.

The child kills itself before one of the statements dbt sends for a model. A twin of the database is built undisturbed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aegis.database import Database, with_database
from dlt_pipelines.common.windows import Window
from flows.transform import build

AS_OF = dt.date(2026, 11, 19)
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
THREE_DAYS = Window(AS_OF - 2 * DAY, AS_OF)
ACCOUNT = "238461750920317"
CHAIN = ("+int_ads__built_account_days", "+data_status", "+entities")
# model: statements it sends at least, begin and commit among them
STAGES = {
    "versions": {"entity_snapshots": 5, "performance_versions": 6},
    "build": {
        "int_ads__touched_account_days": 5,
        "metrics_daily": 5,
        "conversions_daily": 5,
        "data_status": 5,
    },
}
CHILD = """
import os, signal, sys
from dbt.adapters.sql.connections import SQLConnectionManager
from dbt_common.events.contextvars import get_node_info
from dlt_pipelines.common.connections import Connections
from flows.transform import build

model, left = sys.argv[1], int(sys.argv[2])
original = SQLConnectionManager.add_query

def add_query(self, *arguments, **options):
    global left
    if get_node_info().get("node_name") == model:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *arguments, **options)

SQLConnectionManager.add_query = add_query
result = build(Connections(*sys.argv[3:6]), select=sys.argv[6:])
print(left, [f"{node.name}: {node.message}" for node in result.failures])
"""


@pytest.fixture(autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_DATA_DIR", str(tmp_path_factory.getbasetemp() / "kills-dbt"))


def built(connections: Any) -> None:
    result = build(connections, select=CHAIN)
    assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]


def content(warehouse: Any) -> dict[str, list[Any]]:
    """What a build leaves, without the clock."""
    found = {}
    for table, clock in {
        "ads.metrics_daily": "updated_at",
        "ads.conversions_daily": "",
        "ads.data_status": "",
        "ads.entities": "",
        "history.performance_versions": "",
        "history.entity_snapshots": "",
        "intermediate.int_ads__built_account_days": "versioned_at",
    }.items():
        found[table] = warehouse.rows(f"select (to_jsonb(t) - '{clock}')::text from {table} as t order by 1")
        assert found[table], table
    return found


@dataclasses.dataclass
class Watched:
    """What readers saw of a table: one line a read, over all levels."""

    seen: set[tuple[Any, ...]] = dataclasses.field(default_factory=set)
    reads: int = 0


SUMS = """
select level, sum(spend), sum(impressions), sum(conversions) from ads.metrics_daily group by level order by level
"""


@contextmanager
def watched(url: str) -> Iterator[Watched]:
    """A reader who asks again and again while the block runs."""
    result, stop = Watched(), threading.Event()

    def read() -> None:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as reader:
            while not stop.is_set():
                result.seen.add(tuple(reader.execute(SUMS).fetchall()))
                result.reads += 1
                stop.wait(0.02)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join()


def kill(office: Any, folder: Path, model: str, before: int) -> None:
    """Build in a child that kills itself before the `before`th statement of a model."""
    script = folder / "killed_build.py"
    script.write_text(CHILD)
    connections = office.connections
    done = subprocess.run(
        [
            sys.executable, str(script), model, str(before), connections.loader, connections.transformer,
            connections.owner, *CHAIN,
        ],
        check=False, capture_output=True, text=True, timeout=300, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, f"{model} {before}: {done.stdout[-500:]} {done.stderr[-2000:]}"
    halves = office.warehouse.rows(
        "select count(distinct versioned_at is null) from ops.coverage group by load_id"
    )
    assert {row[0] for row in halves} == {1}, "a load is taken in as a whole"


@pytest.fixture
def killed(office: Any, rig: Any, tmp_path: Path) -> Iterator[Any]:
    """killed(kills): two loads, the first built; then the kills; then what an undisturbed build would have left."""
    office.connect(ACCOUNT)
    with office.warehouse.connect("owner") as connection:
        connection.execute("alter table ops.coverage alter column state set default 'accepted'")
    office.sync(THREE_DAYS)
    built(office.connections)
    rig.emulator.clock.set_as_of(AS_OF + 2 * DAY)
    office.sync(THREE_DAYS, now=NOW + 2 * DAY, force=True)
    cluster = office.warehouse.cluster
    url = office.warehouse.tenant_url(office.tenant_id, "reader")
    name = cluster.create_database(office.warehouse.name)
    settings = dataclasses.replace(
        office.warehouse.settings, database_url=with_database(cluster.admin_url(), name)
    )
    twin = type(office.warehouse)(cluster, name, settings, Database(settings))

    def run(kills: list[tuple[str, int]]) -> None:
        before = tuple(office.warehouse.rows(SUMS))
        with watched(url) as reader:
            for model, statement in kills:
                kill(office, tmp_path, model, statement)
            built(office.connections)
        built(twin.database.connections())
        after = content(twin)
        assert content(office.warehouse) == after
        new = tuple(office.warehouse.rows(SUMS))
        assert before != new, "the second load changed nothing: the test says nothing"
        assert reader.seen <= {before, new} and reader.reads > 20

    yield run
    cluster.drop_database(name)


def plan(stage: str, seed: str, count: int) -> list[tuple[str, int]]:
    chance = random.Random(f"{stage} {seed}")
    models = list(STAGES[stage])
    return [
        (model, chance.randint(1, STAGES[stage][model]))
        for model in (chance.choice(models) for _ in range(count))
    ]


def test_a_kill_in_each_stage_of_a_build_leaves_no_trace(killed: Any) -> None:
    """One seeded kill while versions are stored, one while the marts are built."""
    killed([*plan("versions", "sample", 1), *plan("build", "sample", 1)])


@pytest.mark.long
@pytest.mark.parametrize("stage", STAGES)
def test_five_seeded_kills_in_each_stage_of_a_build(killed: Any, stage: str) -> None:
    killed(plan(stage, "long", 5))
