"""What is not stale is not asked for: the calls of each case are counted at the emulator."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

from dlt_pipelines.common.windows import Window

AS_OF = dt.date(2026, 11, 19)
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)  # 09:00 in Toronto
ACCOUNT = "238461750920317"
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
QUARTER = Window(AS_OF - 89 * DAY, AS_OF)
# Of one window: its ads, the campaigns' totals and the account's. The account itself is read once a sync, its four
# edges (here one page each) once an hour at most.
REPORTS, ACCOUNT_NODE, EDGES = 3, 1, 4


def asked(rig: Any) -> set[tuple[str, str]]:
    ranges = [call["parameters"].get("time_range") for call in rig.emulator.calls.report(500)["last"]]
    found = [orjson.loads(each) for each in ranges if each]
    return {(each["since"], each["until"]) for each in found}


def days_ago(first: int, last: int, today: dt.date) -> tuple[str, str]:
    return str(today - first * DAY), str(today - last * DAY)


@pytest.fixture
def loaded(office: Any, rig: Any) -> Any:
    """A quarter and today, read at NOW: what such a sync leaves, without its rows."""
    office.connect(ACCOUNT)
    with office.warehouse.connect("admin") as connection:
        connection.execute(
            """
            insert into ops.import_log (load_id, tenant_id, platform, account_id, kind, source_name, status)
            values ('planted', %(tenant)s, 'meta', %(account)s, 'api', 'planted', 'completed');
            """,
            {"tenant": office.tenant_id, "account": ACCOUNT},
        )
        connection.execute(
            """
            insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows, covered_at)
            select 'planted', %(tenant)s, 'meta', %(account)s, d, 'api', 1, %(now)s
            from generate_series(%(first)s::date, %(last)s::date, interval '1 day') as d
            """,
            {
                "tenant": office.tenant_id,
                "account": ACCOUNT,
                "now": NOW,
                "first": QUARTER.first,
                "last": AS_OF + DAY,
            },
        )
        connection.execute(
            """
            insert into ops.sync_state (tenant_id, platform, account_id, first_day, last_day, state, entities_at)
            values (%s, 'meta', %s, %s, %s, 'completed', %s)
            """,
            (office.tenant_id, ACCOUNT, QUARTER.first, AS_OF + DAY, NOW),
        )
    return office


def test_the_same_period_again_within_the_hour(loaded: Any, rig: Any) -> None:
    """A 90-day period asked for twice."""
    for minutes in (0, 30, 58):
        result = loaded.sync(QUARTER, now=NOW + dt.timedelta(minutes=minutes)).results[0]
        assert (result.state, result.days_total, result.calls) == ("completed", 0, 0)
    assert rig.calls() == 0


def test_an_hour_later_today_and_yesterday(loaded: Any, rig: Any) -> None:
    result = loaded.sync(None, now=NOW + HOUR).results[0]
    assert result.days_total == 2
    assert asked(rig) == {days_ago(1, 0, AS_OF + DAY)}
    assert rig.calls("GET account/insights") == REPORTS
    assert rig.calls() == REPORTS + ACCOUNT_NODE + edge_calls(rig)


def test_a_minute_early_is_the_hour(loaded: Any, rig: Any) -> None:
    """A schedule that starts a moment before the full hour must not skip every second one."""
    assert loaded.sync(None, now=NOW + HOUR - dt.timedelta(seconds=61)).results[0].days_total == 0
    assert loaded.sync(None, now=NOW + HOUR - dt.timedelta(seconds=59)).results[0].days_total == 2


def test_the_next_day_the_restatement_window_once(loaded: Any, rig: Any) -> None:
    rig.emulator.clock.set_as_of(AS_OF + DAY)
    later = NOW + DAY + HOUR
    result = loaded.sync(None, now=later).results[0]
    # Ages 0 to 28 of the new day: one window of 28 days and one day.
    assert result.days_total == 29
    assert asked(rig) == {days_ago(28, 1, AS_OF + 2 * DAY), days_ago(0, 0, AS_OF + 2 * DAY)}
    assert rig.calls("GET account/insights") == 2 * REPORTS
    rig.emulator.calls.clear()
    assert loaded.sync(None, now=later + dt.timedelta(minutes=30)).results[0].days_total == 0
    assert rig.calls() == 0
    # Later that day the deep window is not read again: it was, this night.
    result = loaded.sync(None, now=later + 8 * HOUR).results[0]
    assert result.days_total == 2


def test_before_midnight_of_the_account_the_deep_window_waits(loaded: Any, rig: Any) -> None:
    """23:30 in Toronto is the next day in UTC: the night begins half an hour later."""
    evening = dt.datetime(2026, 11, 21, 4, 30, tzinfo=dt.UTC)
    assert loaded.sync(None, now=evening).results[0].days_total == 2
    rig.emulator.clock.set_as_of(AS_OF + DAY)
    assert loaded.sync(None, now=evening + HOUR).results[0].days_total > 20


def test_after_eight_days_away(loaded: Any, rig: Any) -> None:
    rig.emulator.clock.set_as_of(AS_OF + 8 * DAY)
    result = loaded.sync(None, now=NOW + 8 * DAY).results[0]
    # Nothing of ages 0 to 28 is fresh; the seven that left the window since their last pull are read once more. The
    # eighth was read on its last day in the window: it is closed.
    assert result.days_total == 29 + 7
    covered = loaded.warehouse.rows("select count(distinct day), max(day) from ops.coverage")
    assert covered == [(99, AS_OF + 9 * DAY)]
    rig.emulator.calls.clear()
    assert loaded.sync(None, now=NOW + 8 * DAY).results[0].days_total == 0
    assert rig.calls() == 0


def test_a_partially_present_period(loaded: Any, rig: Any) -> None:
    """Ten days before what is there: these, and nothing around them."""
    before = Window(QUARTER.first - 10 * DAY, QUARTER.first + 5 * DAY)
    result = loaded.sync(before).results[0]
    assert result.days_total == 10
    assert asked(rig) == {(str(before.first), str(QUARTER.first - DAY))}
    assert rig.calls() == REPORTS + ACCOUNT_NODE


def test_the_first_load_is_as_long_as_its_row_says(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    with office.warehouse.connect("owner") as connection:
        connection.execute(
            "insert into ops.restatement_windows (platform, days, first_load_days) values ('meta', 28, 40)"
        )
    assert office.sync(None).results[0].days_total == 41


def edge_calls(rig: Any) -> int:
    edges = ("campaigns", "adsets", "ads", "adcreatives")
    calls = [rig.calls(f"GET account/{edge}") for edge in edges]
    assert all(calls), "each edge at least once"
    assert sum(calls) <= 2 * EDGES
    return sum(calls)
