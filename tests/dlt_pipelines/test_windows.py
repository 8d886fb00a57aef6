"""Which days are due, and that windows hold exactly these."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlt_pipelines.common.windows import DAY, Tier, Window, chunks, due_days, halves, is_due

ZONE = "America/Toronto"
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)  # 09:00 in Toronto
TODAY = dt.date(2026, 11, 20)
HOUR = dt.timedelta(hours=1)
TIERS = [Tier(0, 1, HOUR), Tier(2, 7, 24 * HOUR), Tier(8, None, 24 * HOUR, is_nightly=True)]
DAYS = st.dates(dt.date(2026, 1, 1), dt.date(2026, 12, 31))


@given(st.lists(DAYS, max_size=200), st.integers(1, 60))
def test_windows_tile_without_gap_or_overlap(days: list[dt.date], longest: int) -> None:
    windows = chunks(days, longest)
    assert [day for window in windows for day in window] == sorted(set(days))
    assert all(1 <= window.days <= longest for window in windows)
    # None could be joined with the one before it.
    for before, after in itertools.pairwise(windows):
        assert before.last + DAY < after.first or before.days == longest


@given(DAYS, st.integers(1, 400))
def test_halves_tile_the_window(first: dt.date, more: int) -> None:
    window = Window(first, first + more * DAY)
    left, right = halves(window)
    assert [*left, *right] == [*window]
    assert abs(left.days - right.days) <= 1


def test_a_day_cannot_be_halved() -> None:
    with pytest.raises(ValueError, match="One day"):
        halves(Window(TODAY, TODAY))


def test_a_window_does_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        Window(TODAY, TODAY - DAY)


def due(
    day: dt.date, pulled_at: dt.datetime | None, tiers: list[Tier] = TIERS, now: dt.datetime = NOW
) -> bool:
    return is_due(day, pulled_at, now=now, timezone=ZONE, tiers=tiers, lookback=28)


@pytest.mark.parametrize(
    ("age", "hours_ago", "is_stale"),
    [
        (0, 0.9, False),
        (0, 1, True),
        (1, 1.5, True),
        (2, 1.5, False),
        (2, 24, True),
        (7, 23.9, False),
        (8, 8, False),  # pulled at 01:00 local of the same day
        (8, 10, True),  # pulled at 23:00 local of the day before
        (28, 10, True),
        (29, 500, True),  # pulled at age 8: it has been restated since
        (29, 20, False),  # pulled at age 28, the window's last day: closed
        (400, 24 * 30, False),
    ],
)
def test_a_day_is_stale_as_its_tier_says(age: int, hours_ago: float, is_stale: bool) -> None:
    assert due(TODAY - age * DAY, NOW - hours_ago * HOUR) is is_stale


def test_missing_days_are_due_and_future_ones_never() -> None:
    assert due(TODAY - 400 * DAY, None)
    assert due(TODAY, None)
    assert not due(TODAY + DAY, None)


def test_a_nightly_pull_waits_for_its_time_of_day() -> None:
    tiers = [Tier(0, None, 24 * HOUR, is_nightly=True, not_before=dt.time(12))]
    before, after = NOW.replace(hour=11), NOW.replace(hour=13)
    yesterday = NOW.replace(hour=11) - 24 * HOUR
    assert not due(TODAY - 9 * DAY, yesterday, tiers, before)
    assert due(TODAY - 9 * DAY, yesterday, tiers, after)
    assert not due(TODAY - 9 * DAY, NOW.replace(hour=12, minute=5), tiers, after)


@given(st.dictionaries(st.integers(0, 60), st.integers(0, 2000), max_size=60))
def test_after_a_pull_nothing_is_due_and_what_was_not_due_was_covered(ages: dict[int, int]) -> None:
    period = Window(TODAY - 60 * DAY, TODAY)
    pulled = {TODAY - age * DAY: NOW - hours * HOUR for age, hours in ages.items()}
    days = due_days(period, pulled, now=NOW, timezone=ZONE, tiers=TIERS, lookback=28)
    assert set(period) - set(days) <= set(pulled)
    pulled |= dict.fromkeys(days, NOW)
    assert due_days(period, pulled, now=NOW, timezone=ZONE, tiers=TIERS, lookback=28) == []
