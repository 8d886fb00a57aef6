"""The daily run's first phase: connected accounts are read, and no account's failure reaches another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from dlt_pipelines.common import sync as engine
from dlt_pipelines.common.errors import AuthError
from dlt_pipelines.common.tokens import Keyring
from emulator.server import Server
from flows import daily_optimization, tasks
from flows.daily_optimization import optimize

TORONTO, BERLIN = "238461750920317", "238490113377405"


@pytest.fixture(autouse=True)
def short(warehouse: Any, emulator: Server) -> None:
    """First loads of four days."""
    emulator.emulator.reset()
    with warehouse.connect("owner") as connection:
        connection.execute(
            "insert into ops.restatement_windows (platform, days, first_load_days) values ('meta', 3, 3)"
        )


def run(warehouse: Any, keys: Callable[[], Keyring], tenants: list[str] | None = None, **more: Any) -> Any:
    connections = warehouse.database.connections()
    said: list[str] = []
    take_in = tasks.reader(connections, keys, said.append, requested_by="test", **more)
    report = optimize(connections, tenants, progress=said.append, take_in=take_in)
    return report, said


def read_days(warehouse: Any, tenant_id: str) -> int:
    return int(
        warehouse.rows(
            "select count(distinct day) from ops.coverage where source = 'api' and tenant_id = %s",
            (tenant_id,),
        )[0][0]
    )


def test_it_reads_what_is_missing_and_the_next_run_nothing(
    warehouse: Any, stand_in: Any, emulator: Server, connect: Callable[..., str], keyring: Keyring
) -> None:
    tenant = warehouse.add_tenant("Shoes", "CAD", "America/Toronto")
    connect(warehouse, emulator, tenant, TORONTO)

    report, said = run(warehouse, lambda: keyring)

    assert report.ok and [one.state for one in report.accounts] == ["completed"]
    assert said[0] == daily_optimization.SYNC and "4 of 4 days" in " ".join(said)
    assert report.runs[0].status == "done" and report.runs[0].new_account_days == 4
    assert read_days(warehouse, tenant) == 4
    assert warehouse.rows("select distinct requested_by from ops.sync_state") == [("test",)]

    calls = emulator.emulator.calls.count("meta")
    again, _ = run(warehouse, lambda: keyring)
    assert again.ok and emulator.emulator.calls.count("meta") == calls


def test_one_accounts_failure_leaves_the_others_and_all_marts(
    warehouse: Any, stand_in: Any, emulator: Server, connect: Callable[..., str], keyring: Keyring
) -> None:
    good = warehouse.add_tenant("Good", "CAD", "America/Toronto")
    bad = warehouse.add_tenant("Bad", "EUR", "Europe/Berlin")
    connect(warehouse, emulator, good, TORONTO)
    emulator.emulator.meta.tokens.revoke(connect(warehouse, emulator, bad, BERLIN))
    with warehouse.connect("owner") as connection:
        connection.execute(
            """
            insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows)
            values ('earlier', %s, 'meta', %s, %s, 'file', 1)
            """,
            (bad, BERLIN, date.today() - timedelta(days=4)),
        )

    report, _ = run(warehouse, lambda: keyring)

    assert not report.ok and stand_in.builds == 1
    assert [(one.name, one.status) for one in report.runs] == [("Bad", "done"), ("Good", "done")]
    assert read_days(warehouse, good) == 4 and read_days(warehouse, bad) == 0
    assert [row[:4] for row in tasks.account_rows(report.accounts)] == [("Bad", "meta", BERLIN, "failed")]
    assert report.failed_accounts[0].error


def test_even_a_bug_stays_with_its_account(
    warehouse: Any,
    stand_in: Any,
    emulator: Server,
    connect: Callable[..., str],
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenant = warehouse.add_tenant("Shoes", "CAD", "America/Toronto")
    for account in (TORONTO, BERLIN):
        connect(warehouse, emulator, tenant, account)
    described = engine._AccountSync._check

    def check(self: Any, found: Any) -> None:
        if self.account.account_id == BERLIN:
            raise ZeroDivisionError
        described(self, found)

    monkeypatch.setattr(engine._AccountSync, "_check", check)

    report, _ = run(warehouse, lambda: keyring)

    assert {one.account.account_id: one.state for one in report.accounts} == {
        TORONTO: "completed",
        BERLIN: "failed",
    }
    assert "ZeroDivisionError" in (report.failed_accounts[0].error or "")
    assert report.runs[0].status == "done"


def test_without_a_key_the_marts_are_built_and_every_account_says_why(
    warehouse: Any, stand_in: Any, emulator: Server, connect: Callable[..., str]
) -> None:
    tenant = warehouse.add_tenant("Shoes", "CAD", "America/Toronto")
    connect(warehouse, emulator, tenant, TORONTO)
    with warehouse.connect("owner") as connection:
        connection.execute(
            """
            insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows)
            values ('earlier', %s, 'meta', 'a', '2026-03-01', 'file', 1)
            """,
            (tenant,),
        )

    def lost() -> Keyring:
        raise AuthError("There is no key for credentials.", "Put it back.")

    report, _ = run(warehouse, lost)

    assert not report.ok and stand_in.builds == 1
    assert [(one.error, one.hint) for one in report.failed_accounts] == [
        ("There is no key for credentials.", "Put it back.")
    ]


def test_the_demos_accounts_and_other_tenants_are_not_read(
    warehouse: Any, stand_in: Any, emulator: Server, connect: Callable[..., str], keyring: Keyring
) -> None:
    mine = warehouse.add_tenant("Mine", "CAD", "America/Toronto")
    other, demo = warehouse.add_tenant("Other"), warehouse.add_tenant("Demo")
    for tenant, account in ((mine, TORONTO), (other, BERLIN), (demo, "238502661840129")):
        connect(warehouse, emulator, tenant, account)
    with warehouse.connect("owner") as connection:
        connection.execute("update tenancy.tenants set is_demo = true where name = 'Demo'")

    report, _ = run(warehouse, lambda: keyring, [mine, demo])

    assert [one.account.account_id for one in report.accounts] == [TORONTO]
    assert read_days(warehouse, other) == read_days(warehouse, demo) == 0


def test_no_platform_is_read_without_a_reader(
    warehouse: Any, stand_in: Any, emulator: Server, connect: Callable[..., str]
) -> None:
    tenant = warehouse.add_tenant("Shoes", "CAD", "America/Toronto")
    connect(warehouse, emulator, tenant, TORONTO)

    report = optimize(warehouse.database.connections())

    assert report.accounts == [] and emulator.emulator.calls.count("meta") == 0


def test_an_account_that_an_hourly_sync_is_reading_is_waited_for(
    warehouse: Any, stand_in: Any, emulator: Server, connect: Callable[..., str], keyring: Keyring
) -> None:
    tenant = warehouse.add_tenant("Shoes", "CAD", "America/Toronto")
    connect(warehouse, emulator, tenant, TORONTO)
    found: list[Any] = []
    key = f"aegis sync {tenant} meta {TORONTO}"
    with psycopg.connect(warehouse.database.connections().loader, autocommit=True) as other:
        other.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (key,))
        waiting = threading.Thread(target=lambda: found.append(run(warehouse, lambda: keyring)[0]))
        waiting.start()
        deadline = time.monotonic() + 20
        while not warehouse.rows(
            "select from pg_stat_activity where datname = current_database() and query ~ 'pg_try_advisory_lock' "
            "and application_name not in ('aegis daily run')"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found == []
    waiting.join(60)

    assert found[0].ok and read_days(warehouse, tenant) == 4


def test_the_command_tells_who_was_not_read_and_ends_with_1(
    warehouse: Any, emulator: Server, connect: Callable[..., str], key: str
) -> None:
    tenant = warehouse.add_tenant("Shoes", "CAD", "America/Toronto")
    emulator.emulator.meta.tokens.revoke(connect(warehouse, emulator, tenant, TORONTO))

    done = warehouse.run_cli("optimize", AEGIS_KEY=key)

    assert done.returncode == 1
    assert "1 of 1 connected accounts are not up to date" in done.stdout and TORONTO in done.stdout
    assert "aegis account connect meta" in done.stderr

    quiet = warehouse.run_cli("optimize", "--no-sync", AEGIS_KEY=key)
    assert quiet.returncode == 0 and "connected account" not in quiet.stdout
