"""A real Prefect server, a deployment run by a worker: what `aegis up --scheduler` starts and `aegis down` ends."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.server import Server
from flows import deployments

TORONTO, BERLIN = "238461750920317", "238490113377405"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
CSV = "Day,Campaign ID,Ad set ID,Ad ID,Amount spent (CAD),Impressions,Clicks (all)\n2026-03-01,c1,s1,a1,12.50,1000,20\n"


@dataclass
class Scheduled:
    """A warehouse with a running scheduler; two tenants, of which one's token is dead."""

    warehouse: Any
    page: str
    tokens: list[str]
    good: str
    bad: str

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        answer = requests.request(method, f"{self.page}/api/{path}", json=content, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def run(self, name: str, parameters: dict[str, Any], seconds: float = 240) -> dict[str, Any]:
        """A run of that deployment, to its end."""
        deployment = self.ask("GET", f"deployments/name/{name}")
        made = self.ask("POST", f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.ask("GET", f"flow_runs/{made['id']}")
            if found["state"]["type"] in ENDED:
                return found
            time.sleep(0.5)
        raise AssertionError(f"{name} is still {found['state']['name']} after {seconds} s")

    def tables(self, run: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
        """The run's artifacts by key."""
        found = self.ask("POST", "artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
        return {one["key"]: json.loads(one["data"]) for one in found}


@pytest.fixture(scope="module")
def scheduled(
    new_warehouse: Callable[..., Any],
    emulator: Server,
    connect: Callable[..., str],
    key: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scheduled]:
    warehouse = new_warehouse()
    good = warehouse.add_tenant("Good", "CAD", "America/Toronto")
    bad = warehouse.add_tenant("Bad", "EUR", "Europe/Berlin")
    tokens = [
        connect(warehouse, emulator, good, TORONTO),
        connect(warehouse, emulator, bad, BERLIN),
    ]
    emulator.emulator.meta.tokens.revoke(tokens[1])
    with warehouse.connect("owner") as connection:
        connection.execute(
            "insert into ops.restatement_windows (platform, days, first_load_days) values ('meta', 3, 3)"
        )
    for tenant in ("Good", "Bad"):
        file = tmp_path_factory.mktemp("files") / "export.csv"
        file.write_text(CSV)
        warehouse.run_cli(
            "import", "csv", str(file), "--tenant", tenant, "--platform", "meta", "--account", "7", check=True
        )
    try:
        up = warehouse.run_cli("up", "--scheduler", timeout=400, check=True, AEGIS_KEY=key)
        page = re.search(r"http://127\.0\.0\.1:\d+", up.stdout)
        assert page is not None, up.stdout
        yield Scheduled(warehouse, page[0], tokens, good, bad)
    finally:
        warehouse.run_cli("down")


@pytest.fixture(scope="module")
def morning(scheduled: Scheduled) -> dict[str, Any]:
    """A daily run of all tenants, as the worker did it."""
    return scheduled.run("daily_optimization/daily", {})


def test_the_run_is_failed_and_says_which_account(scheduled: Scheduled, morning: dict[str, Any]) -> None:
    assert morning["state"]["type"] == "FAILED", morning["state"]
    assert f"Bad, meta account {BERLIN}" in morning["state"]["message"]
    failed = scheduled.tables(morning)["failed-accounts"]
    assert [(one["tenant"], one["platform"], one["account"], one["state"]) for one in failed] == [
        ("Bad", "meta", BERLIN, "failed")
    ]
    assert failed[0]["why"]


def test_everything_else_is_done(scheduled: Scheduled, morning: dict[str, Any]) -> None:
    rows = scheduled.tables(morning)["tenants"]
    assert [(one["tenant"], one["status"]) for one in rows] == [("Bad", "done"), ("Good", "done")]
    warehouse = scheduled.warehouse
    assert warehouse.rows(
        "select count(distinct day) from ops.coverage where source = 'api' and tenant_id = %s",
        (scheduled.good,),
    ) == [(4,)]
    spend = warehouse.rows(
        """
        select tenant_id::text, sum(spend)::float from ads.metrics_daily
        where level = 'account' and account_id = '7' group by tenant_id
        """,
        role="transformer",
    )
    assert sorted(spend) == sorted([(scheduled.good, 12.5), (scheduled.bad, 12.5)])


def test_every_account_and_phase_is_a_task(scheduled: Scheduled, morning: dict[str, Any]) -> None:
    found = scheduled.ask(
        "POST", "task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [morning["id"]]}}}
    )
    states = {one["name"]: one["state"]["type"] for one in found}
    assert states[f"read Good, meta account {TORONTO}"] == "COMPLETED"
    assert states[f"read Bad, meta account {BERLIN}"] == "FAILED"
    phases = [name for name in states if name.startswith(("Taking in", "Judging", "Building"))]
    assert len(phases) == 3 and {states[name] for name in phases} == {"COMPLETED"}


@pytest.mark.long
def test_the_others_run_too(scheduled: Scheduled, morning: dict[str, Any]) -> None:
    hourly = scheduled.run("sync/hourly", {"tenant": scheduled.good})
    assert (hourly["state"]["type"], hourly["state"]["message"]) == (
        "COMPLETED",
        "1 accounts up to date, 0 account-days read.",
    )
    day = "2026-11-10"
    backfill = scheduled.run(
        "backfill/backfill", {"first": day, "last": day, "tenant": scheduled.good, "account": TORONTO}
    )
    assert backfill["state"]["message"] == "1 accounts up to date, 1 account-days read."
    assert scheduled.warehouse.rows(
        "select count(*) from ops.coverage where source = 'api' and day = %s", (day,)
    ) == [(1,)]


def test_the_schedules_are_the_tenants_mornings(scheduled: Scheduled) -> None:
    found = {one["name"]: one for one in scheduled.ask("POST", "deployments/filter", {})}
    assert set(found) == {one["name"] for one in deployments.declared()}
    daily = {
        (one["schedule"]["timezone"], one["schedule"]["cron"], one["parameters"]["timezone"], one["active"])
        for one in found["daily"]["schedules"]
    }
    assert daily == {
        ("America/Toronto", "0 6 * * *", "America/Toronto", True),
        ("Europe/Berlin", "0 6 * * *", "Europe/Berlin", True),
    }
    assert [one["schedule"]["cron"] for one in found["hourly"]["schedules"]] == ["0 * * * *"]
    assert [one["schedule"]["cron"] for one in found["shopify-half-hourly"]["schedules"]] == ["30 * * * *"]
    assert found["shopify-half-hourly"]["parameters"] == {"platform": "shopify"}
    assert found["backfill"]["schedules"] == []


def test_no_secret_is_in_anything_prefect_wrote(scheduled: Scheduled, morning: dict[str, Any]) -> None:
    home = Path(scheduled.warehouse.settings.data_dir) / "prefect"
    password = re.search(r"://[^:]+:([^@]+)@", scheduled.warehouse.url())
    assert password is not None
    secrets = [one.encode() for one in (*scheduled.tokens, password[1])]
    written = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.name.startswith("prefect.db") for path in written)
    leaks = [path.name for path in written if any(one in path.read_bytes() for one in secrets)]
    assert leaks == []


def test_its_state_is_told_and_it_goes_without_a_trace(scheduled: Scheduled) -> None:
    state = json.loads((Path(scheduled.warehouse.settings.data_dir) / "scheduler.json").read_text())
    numbers = [state["server"]["pid"], state["worker"]["pid"]]
    told = scheduled.warehouse.run_cli("status", check=True).stdout
    assert f"up    scheduler at {scheduled.page}" in told and all(str(one) in told for one in numbers)
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = int(scheduled.page.rpartition(":")[2])
    assert {one for one in listening if int(one.partition(":")[2], 16) == port} == {f"0100007F:{port:04X}"}

    assert "The scheduler is stopped." in scheduled.warehouse.run_cli("down", check=True).stdout

    for number in numbers:
        assert _read(Path(f"/proc/{number}/cmdline")) == b"", (
            "it is gone, or nobody has asked for its end yet"
        )
    ours = str(scheduled.warehouse.settings.data_dir).encode()
    left = [
        one.name
        for one in Path("/proc").glob("[0-9]*")
        if one.name != str(os.getpid())
        and b"prefect" in _read(one / "cmdline")
        and ours in _read(one / "environ")
    ]
    assert left == []
    assert "down  scheduler" in scheduled.warehouse.run_cli("status", check=True).stdout
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{scheduled.page}/api/health", timeout=5)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
