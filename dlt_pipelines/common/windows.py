"""Which account-days have to be asked for, and in which windows. Pure functions: no clock, no database.

Days are the account's own. `age` of a day is the number of days since it: today 0, yesterday 1. A day inside the
restatement window is asked for again when its newest pull is older than its tier allows; a day that was pulled when
it had left the window (or on its last day) is closed for good; a day without a pull is missing.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

DAY = dt.timedelta(days=1)
# A schedule never starts to the second: without this, a daily sync would find its last pull a moment too young.
SLACK = dt.timedelta(minutes=1)


@dataclass(frozen=True, order=True)
class Window:
    """Days from `first` up to and including `last`."""

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"A window ends ({self.last}) before it begins ({self.first}).")

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[dt.date]:
        return (self.first + DAY * number for number in range(self.days))

    def __contains__(self, day: object) -> bool:
        return isinstance(day, dt.date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True)
class Tier:
    """Days of these ages are stale when their newest pull is older than `stale_after`.

    to_age      null: up to the end of the restatement window
    is_nightly  stale once a night instead: when the newest pull was made before the account's last midnight
    not_before  nightly: time of day (UTC) before which nothing is asked for again
    """

    from_age: int
    to_age: int | None
    stale_after: dt.timedelta
    is_nightly: bool = False
    not_before: dt.time | None = None

    def holds(self, age: int, lookback: int) -> bool:
        return self.from_age <= age <= (lookback if self.to_age is None else min(self.to_age, lookback))


def local_day(moment: dt.datetime, timezone: str) -> dt.date:
    """The calendar day at that moment in a time zone."""
    return moment.astimezone(ZoneInfo(timezone)).date()


def months_before(day: dt.date, months: int) -> dt.date:
    """The same day of an earlier month, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def is_due(
    day: dt.date,
    pulled_at: dt.datetime | None,
    *,
    now: dt.datetime,
    timezone: str,
    tiers: Sequence[Tier],
    lookback: int,
) -> bool:
    """Whether a day has to be asked for at `now`."""
    age = (local_day(now, timezone) - day).days
    if age < 0:
        return False
    if pulled_at is None:
        return True
    if age > lookback:
        # Closed once it was seen at the window's end; a pull before that may miss later restatements.
        return (local_day(pulled_at, timezone) - day).days < lookback
    for tier in tiers:
        if tier.holds(age, lookback):
            return _is_stale(tier, pulled_at, now, timezone)
    return False


def _is_stale(tier: Tier, pulled_at: dt.datetime, now: dt.datetime, timezone: str) -> bool:
    if not tier.is_nightly:
        return now - pulled_at >= tier.stale_after - SLACK
    if tier.not_before is not None:
        # One pull a day, after that time: what was pulled before it today or earlier is stale then.
        utc = now.astimezone(dt.UTC)
        return utc.time() >= tier.not_before and pulled_at < dt.datetime.combine(
            utc.date(), tier.not_before, dt.UTC
        )
    return local_day(pulled_at, timezone) < local_day(now, timezone)


def due_days(
    period: Window,
    pulled: Mapping[dt.date, dt.datetime | None],
    *,
    now: dt.datetime,
    timezone: str,
    tiers: Sequence[Tier],
    lookback: int,
) -> list[dt.date]:
    """The days of a period that are missing or stale, in their order. `pulled` is the newest pull of each day."""
    return [
        day
        for day in period
        if is_due(day, pulled.get(day), now=now, timezone=timezone, tiers=tiers, lookback=lookback)
    ]


def chunks(days: Iterable[dt.date], longest: int) -> list[Window]:
    """Windows of at most `longest` days that hold exactly these days: no gap is bridged, none overlap."""
    if longest < 1:
        raise ValueError(f"A window holds at least one day, not {longest}.")
    found: list[Window] = []
    for day in sorted(set(days)):
        if found and found[-1].last + DAY == day and found[-1].days < longest:
            found[-1] = Window(found[-1].first, day)
        else:
            found.append(Window(day, day))
    return found


def halves(window: Window) -> tuple[Window, Window]:
    """The window in two parts that follow each other. Raises ValueError for a single day."""
    if window.days < 2:
        raise ValueError(f"One day cannot be halved: {window}.")
    middle = window.first + DAY * (window.days // 2 - 1)
    return Window(window.first, middle), Window(middle + DAY, window.last)
