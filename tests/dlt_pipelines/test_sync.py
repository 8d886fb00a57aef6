"""The engine with a platform made up for the test: states, progress, halving, and what stays whose failure."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest

from dlt_pipelines.common.errors import (
    AccessDeniedError,
    AuthError,
    CancelledError,
    ContractError,
    QuotaError,
    TooMuchDataError,
    TransientError,
)
from dlt_pipelines.common.http import Usage
from dlt_pipelines.common.sync import Account, Described, Pull, Refusal, request, sync_account
from dlt_pipelines.common.windows import Window

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
FIRST = dt.date(2026, 2, 1)


class Platform:
    """Gives one row a day. `fails` is asked before each window; `asked` holds the windows that were answered."""

    platform = "meta"
    history_days = 400

    def __init__(self, window_days: int = 10, fails: Callable[[Window], None] | None = None) -> None:
        self.window_days = window_days
        self.usage = Usage()
        self.notes: list[str] = []
        self.asked: list[Window] = []
        self._fails = fails or (lambda window: None)
        self.refused: list[Refusal] = []
        self.loads = 0

    def describe(self, account: str) -> Described:
        return Described("An account", "EUR", "UTC")

    def entities(self, account: str) -> Pull:
        return Pull()

    def facts(self, account: str, window: Window) -> Pull:
        self.usage.calls += 1
        self._fails(window)
        self.asked.append(window)
        days = list(window)
        table = pa.table(
            {"day": pa.array(days, pa.date32()), "ad_id": [f"1{day:%m%d}" for day in days]},
        )
        return Pull({"insights": [table]}, Counter(days), list(self.refused), len(days))

    def source(self, tables: Mapping[str, Iterator[Any]]) -> Any:
        from dlt_pipelines.meta.source import meta

        self.loads += 1
        return meta(tables)


@pytest.fixture
def account(warehouse: Any, tenant_id: str) -> Account:
    with warehouse.connect("admin") as connection:
        connection.execute(
            "insert into tenancy.ad_accounts (tenant_id, platform, account_id, currency, source) values (%s, 'meta', '7', 'EUR', 'api')",
            (tenant_id,),
        )
    return Account(tenant_id, "Acme", "meta", "7", "EUR", "UTC")


@pytest.fixture
def run(connections: Any, account: Account) -> Callable[..., Any]:
    def sync(platform: Platform, days: int = 20, **more: Any) -> Any:
        options = {"period": Window(FIRST, FIRST + (days - 1) * DAY), "now": NOW, **more}
        return sync_account(connections, lambda cancelled: platform, account, **options)

    return sync


def states(warehouse: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = warehouse.rows(
        "select state, days_total, days_done, days_failed, error_code, finished_at is not null from ops.sync_state order by sync_id"
    )
    return found


def test_windows_are_loaded_one_by_one_newest_first_with_progress(
    warehouse: Any, run: Callable[..., Any]
) -> None:
    seen: list[tuple[str, int, int]] = []
    platform = Platform()
    result = run(platform, 20, progress=lambda one: seen.append((one.state, one.days_done, one.days_total)))
    assert result.is_fine and result.rows == 20
    assert seen == [("syncing", 0, 20), ("syncing", 10, 20), ("syncing", 20, 20), ("completed", 20, 20)]
    assert platform.asked == [Window(FIRST + 10 * DAY, FIRST + 19 * DAY), Window(FIRST, FIRST + 9 * DAY)]
    assert states(warehouse) == [("completed", 20, 20, 0, None, True)]
    assert warehouse.rows(
        "select count(*), count(distinct day), count(distinct load_id) from ops.coverage"
    ) == [(20, 20, 2)]


def test_a_last_day_alone_begins_where_it_would_without(warehouse: Any, run: Callable[..., Any]) -> None:
    assert run(Platform(), 3).is_fine
    platform = Platform()
    until = FIRST + 6 * DAY
    assert run(platform, period=None, until=until).is_fine
    assert sorted(day for window in platform.asked for day in window) == [
        FIRST + n * DAY for n in range(3, 7)
    ]
    before = run(Platform(), period=None, until=FIRST - DAY)
    assert (before.state, before.days_total) == ("failed", 0)
    assert f"begin on {FIRST}" in (before.error or "") and "--from" in before.hint


def test_a_window_that_is_too_large_is_halved_and_grows_again(
    warehouse: Any, run: Callable[..., Any]
) -> None:
    largest = [10, 10, 3, 3, 3]

    def fails(window: Window) -> None:
        if window.days > (largest.pop(0) if largest else 10):
            raise TooMuchDataError("Too much.")

    platform = Platform(window_days=16, fails=fails)
    assert run(platform, 16).is_fine
    assert sorted(day for window in platform.asked for day in window) == [FIRST + n * DAY for n in range(16)]
    assert platform.loads == 1
    assert warehouse.rows("select count(*), sum(rows) from ops.coverage") == [(16, 16)]


def test_a_day_that_is_too_much_fails_alone(warehouse: Any, run: Callable[..., Any]) -> None:
    bad = FIRST + 3 * DAY

    def fails(window: Window) -> None:
        if bad in window:
            raise TooMuchDataError("Too much.")

    result = run(Platform(window_days=5, fails=fails), 20)
    assert (result.state, result.days_done, result.days_failed) == ("partial", 15, 5)
    assert states(warehouse) == [("partial", 20, 15, 5, None, True)]
    again = run(Platform(window_days=5), 20)
    assert (again.state, again.days_total) == ("completed", 5), "only what is missing"


@pytest.mark.parametrize(
    ("problem", "state", "status", "token_dead"),
    [
        (AuthError("Dead."), "failed", "reauthorise", True),
        (AccessDeniedError("Denied."), "failed", "denied", False),
        (QuotaError("Slow.", retry_after=1800), "rate_limited", "active", False),
        (CancelledError("Stop."), "cancelled", "active", False),
        (ContractError("Strange."), "failed", "active", False),
        (TransientError("Down."), "failed", "active", False),
    ],
)
def test_each_family_ends_as_it_should(
    warehouse: Any, run: Callable[..., Any], problem: Exception, state: str, status: str, token_dead: bool
) -> None:
    problem.code = "42"  # type: ignore[attr-defined]

    def fails(window: Window) -> None:
        raise problem

    result = run(Platform(fails=fails), 5)
    assert (result.state, result.is_token_dead) == (state, token_dead)
    assert result.error is not None and result.error.endswith(str(problem.args[0]))
    assert states(warehouse)[0][4] == "42"
    assert warehouse.rows("select status from tenancy.ad_accounts") == [(status,)]
    assert warehouse.rows("select count(*) from ops.coverage") == [(0,)]
    assert warehouse.rows("select status from ops.import_log") == [("failed",)]
    if isinstance(problem, QuotaError):
        assert result.next_retry_at == NOW + dt.timedelta(minutes=30)


def test_what_a_killed_process_left_is_cleared(
    warehouse: Any, connections: Any, account: Account, run: Callable[..., Any]
) -> None:
    import psycopg

    with psycopg.connect(connections.loader) as connection:
        left = request(connection, account, Window(FIRST, FIRST), "nora")
        connection.execute("update ops.sync_state set state = 'syncing' where sync_id = %s", (left,))
    assert run(Platform(), 1).is_fine
    assert [row[0] for row in states(warehouse)] == ["failed", "completed"]


def test_refused_rows_reach_quarantine_with_their_day(warehouse: Any, run: Callable[..., Any]) -> None:
    platform = Platform()
    platform.refused = [
        Refusal("insights", "it is odd", {"a": "zero \x00"}, FIRST),
        Refusal("insights", "no day", {"b": 1}),
    ]
    platform.refused.append(Refusal("campaigns", "not of a day", {}, is_fact=False))
    assert run(platform, 2).refused == 3
    undated = "1 row was refused without a day of this window"
    assert warehouse.rows("select reason, payload from ops.quarantine order by 1") == [
        ("it is odd", {"a": "zero "}),
        ("no day", {"b": 1}),
        ("not of a day", {}),
    ]
    assert warehouse.rows("select day, reason from ops.coverage order by 1") == [
        (FIRST, f"1 row was refused; {undated}"),
        (FIRST + DAY, undated),
    ]
    assert warehouse.rows("select status, rows_failed from ops.import_log") == [("partial", 3)]


def test_force_asks_again(run: Callable[..., Any]) -> None:
    run(Platform(), 3)
    assert run(Platform(), 3).days_total == 0
    assert run(Platform(), 3, force=True).days_total == 3


def test_what_the_platform_no_longer_keeps_is_left_out(run: Callable[..., Any]) -> None:
    platform = Platform()
    platform.history_days = 30
    result = run(platform, 20)
    assert result.is_fine and result.days_total == 13 and "keeps figures since 2026-02-08" in result.notes[0]
