"""Days are the account's: where clocks change, far from UTC, and where an account's time zone is another one now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dlt_pipelines.common import sync as engine
from dlt_pipelines.common.windows import DAY, Tier, Window, due_days, local_day

AS_OF = dt.date(2026, 11, 19)
ACCOUNT, BERLIN = "238461750920317", "238490113377405"
HOUR = dt.timedelta(hours=1)
TIERS = [Tier(0, 1, HOUR), Tier(2, 7, 24 * HOUR), Tier(8, None, 24 * HOUR, is_nightly=True)]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("America/Toronto", "2026-03-08 04:59", "2026-03-07"),  # an hour before clocks go on, UTC-5
        ("America/Toronto", "2026-03-09 03:59", "2026-03-08"),  # the day of 23 hours ends at UTC-4
        ("America/Toronto", "2026-03-09 04:00", "2026-03-09"),
        ("America/Toronto", "2026-11-01 04:00", "2026-11-01"),  # the day of 25 hours begins at UTC-4
        ("America/Toronto", "2026-11-02 04:59", "2026-11-01"),  # and ends at UTC-5
        ("Europe/Berlin", "2026-10-25 22:59", "2026-10-25"),
        ("Europe/Berlin", "2026-10-25 23:00", "2026-10-26"),
        ("Pacific/Kiritimati", "2026-11-19 10:00", "2026-11-20"),  # UTC+14
        ("Pacific/Pago_Pago", "2026-11-20 10:59", "2026-11-19"),  # UTC-11
        ("Asia/Kathmandu", "2026-11-19 18:15", "2026-11-20"),  # UTC+5:45
    ],
)
def test_the_day_of_a_moment(zone: str, moment: str, day: str) -> None:
    assert str(local_day(utc(moment), zone)) == day


@pytest.mark.parametrize(
    "zone", ["America/Toronto", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Kiritimati"]
)
@pytest.mark.parametrize("changes_on", [dt.date(2026, 3, 8), dt.date(2026, 10, 25), dt.date(2026, 11, 1)])
def test_an_hourly_schedule_over_a_change_of_clocks(zone: str, changes_on: dt.date) -> None:
    """Three days of hourly syncs: today and yesterday each hour, every other day of the window once a local day."""
    now = dt.datetime.combine(changes_on - DAY, dt.time(0, 30), dt.UTC)
    pulled: dict[dt.date, dt.datetime] = {}
    first = local_day(now, zone) - 28 * DAY
    pulls: dict[tuple[dt.date, dt.date], int] = {}
    for number in range(72):
        moment = now + number * HOUR
        today = local_day(moment, zone)
        due = due_days(Window(first, today), pulled, now=moment, timezone=zone, tiers=TIERS, lookback=28)
        assert {today, today - DAY} <= set(due)
        for day in due:
            pulled[day] = moment
            if (today - day).days >= 8:
                pulls[today, day] = pulls.get((today, day), 0) + 1
    assert pulls and set(pulls.values()) == {1}


@pytest.mark.parametrize(
    ("zone", "today"),
    [("Pacific/Kiritimati", dt.date(2026, 11, 21)), ("Pacific/Pago_Pago", dt.date(2026, 11, 20))],
)
def test_an_account_far_from_utc(office: Any, rig: Any, zone: str, today: dt.date) -> None:
    """14:00 UTC: already tomorrow on one side of the date line, still this morning on the other."""
    office.connect(ACCOUNT)
    rig.emulator.meta.override(f"act_{ACCOUNT}", {"timezone_name": zone})
    with office.warehouse.connect("owner") as connection:
        connection.execute("update tenancy.ad_accounts set timezone = %s", (zone,))
    result = office.sync(Window(today - 2 * DAY, today + 3 * DAY)).results[0]
    assert (result.state, result.days_done) == ("completed", 3)
    rows = office.warehouse.rows("select day, reason from ops.coverage order by day desc")
    assert rows == [(today, engine.NOT_OVER), (today - DAY, None), (today - 2 * DAY, None)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"timezone_name": "Europe/Berlin"},
            "The time zone of Acme, meta account 238461750920317 was America/Toronto",
        ),
        ({"currency": "USD"}, "The currency of Acme, meta account 238461750920317 was CAD and is USD now"),
    ],
)
def test_an_account_that_changed_fails_loudly_and_alone(
    office: Any, rig: Any, change: dict[str, str], said: str
) -> None:
    office.connect(ACCOUNT, BERLIN)
    rig.emulator.meta.override(f"act_{ACCOUNT}", change)
    days = Window(AS_OF - DAY, AS_OF)
    report = office.sync(days)
    assert {one.account.account_id: one.state for one in report.results} == {
        ACCOUNT: "failed",
        BERLIN: "completed",
    }
    assert said in str(report.failed[0].error) and "connect it anew" in report.failed[0].hint
    assert office.warehouse.rows("select distinct account_id from ops.coverage") == [(BERLIN,)]
    assert rig.calls("GET account/insights") == 3, "not one figure of the changed account was asked for"


def test_history_ends_37_months_ago_and_is_said(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    today = dt.date(2026, 11, 20)
    oldest = today - 1123 * DAY
    result = office.sync(Window(oldest - 100 * DAY, oldest + DAY)).results[0]
    assert (result.state, result.days_done, result.days_total) == ("completed", 2, 2)
    assert result.notes == [f"meta keeps figures since {oldest} only."]
    assert office.warehouse.rows("select min(day) from ops.coverage") == [(oldest,)]
