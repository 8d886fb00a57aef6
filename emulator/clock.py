"""The emulator's "now": set to any instant, so that a day that is over, a figure that is restated and a token
that has expired can be had at will.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

# At 14:00 UTC it is the same calendar day from Los Angeles (06:00) to Tokyo (23:00): wherever an account is,
# `as_of` is its yesterday.
_MORNING_AFTER = timedelta(days=1, hours=14)


class Clock:
    """`now()` stands still until it is set or told to tick; `elapsed()` always runs.

    Waiting periods (a blocked account) are measured with `elapsed()`: real seconds plus what the clock was
    moved forward, so a test either waits or advances. Tokens and days follow `now()`.
    """

    def __init__(self, as_of: date | None = None, *, tick: bool = False) -> None:
        self._tick = tick
        self._real = time.monotonic()
        self._moved = 0.0
        self._now = _after(as_of) if as_of else datetime.now(UTC)

    def now(self) -> datetime:
        """The instant, in UTC."""
        if self._tick:
            real = time.monotonic()
            self._now += timedelta(seconds=real - self._real)
            self._real = real
        return self._now

    def elapsed(self) -> float:
        """Seconds on a scale of its own that never stands still; only differences mean anything."""
        return time.monotonic() + self._moved

    @property
    def as_of(self) -> date:
        """The last day that is over (and whose figures are known) at 14:00 UTC of `now`'s day."""
        return self.now().date() - timedelta(days=1)

    @property
    def ticks(self) -> bool:
        """True if `now()` moves with real time."""
        return self._tick

    def set_now(self, instant: datetime) -> None:
        """Go to an instant, forwards or backwards; without a time zone it is UTC."""
        before = self.now()
        self._now = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
        self._moved += max(0.0, (self._now - before).total_seconds())

    def set_as_of(self, day: date) -> None:
        """Go to the day after `day`, when every account's figures of `day` are known for the first time."""
        self.set_now(_after(day))

    def advance(self, by: timedelta) -> None:
        """Move on by so much."""
        self.set_now(self.now() + by)

    def set_tick(self, tick: bool) -> None:
        """Let `now()` run with real time, or hold it."""
        self.now()
        self._real, self._tick = time.monotonic(), tick


def _after(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + _MORNING_AFTER


def local_day(instant: datetime, timezone: str) -> date:
    """The calendar day at that instant in a time zone."""
    return instant.astimezone(ZoneInfo(timezone)).date()
