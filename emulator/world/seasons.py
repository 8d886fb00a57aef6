"""What the calendar does to every campaign of a tenant: weekdays, the time of the year, holidays and
shopping events.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from emulator.world.records import CalendarEvent


@dataclass(frozen=True)
class Season:
    """Factors of one day: wish to spend, price of impressions, conversion rate, order value, orders
    without ads.
    """

    demand: float
    cpm: float
    cvr: float
    aov: float
    organic: float


@dataclass(frozen=True)
class _Kind:
    name: str
    season: Season


_BLACK_FRIDAY = Season(1.35, 1.45, 1.75, 0.95, 2.2)
_CYBER_WEEK = Season(1.12, 1.18, 1.12, 0.98, 1.2)
_ADVENT = Season(1.10, 1.15, 1.12, 1.02, 1.2)
_CHRISTMAS = Season(0.62, 0.80, 0.72, 0.97, 0.6)
_NEW_YEAR = Season(0.82, 0.72, 0.95, 0.95, 0.85)
_LONG_WEEKEND = Season(1.10, 1.04, 1.12, 0.97, 1.15)
_DAY_OFF = Season(0.92, 0.96, 0.92, 1.0, 0.9)
_GIFTS = Season(1.10, 1.08, 1.14, 1.04, 1.15)

# Monday … Sunday: outdoor people buy at the weekend, furniture on Sunday, skincare on working days.
_WEEKDAY_DEMAND = {
    "outdoor": (0.95, 0.95, 0.97, 1.00, 1.05, 1.07, 1.01),
    "home": (1.00, 0.98, 0.97, 0.97, 0.95, 1.00, 1.13),
    "beauty": (1.04, 1.05, 1.03, 1.02, 0.98, 0.92, 0.96),
}
_WEEKDAY_CVR = {
    "outdoor": (0.97, 0.96, 0.98, 1.00, 1.03, 1.06, 1.00),
    "home": (0.99, 0.97, 0.97, 0.97, 0.95, 1.02, 1.13),
    "beauty": (1.04, 1.04, 1.02, 1.01, 0.98, 0.93, 0.98),
}
# Height of the yearly wave and its peak (day of the year).
_YEAR = {"outdoor": (0.14, 170), "home": (0.08, 320), "beauty": (0.05, 125)}


@lru_cache(maxsize=512)
def easter_sunday(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (anonymous algorithm)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth (1 first) Monday (0) … Sunday (6) of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _events_of_year(country: str, year: int) -> Iterator[tuple[date, date, _Kind]]:
    black_friday = nth_weekday(year, 11, 3, 4) + timedelta(days=1)
    yield black_friday, black_friday + timedelta(days=3), _Kind("Black Friday to Cyber Monday", _BLACK_FRIDAY)
    yield black_friday - timedelta(days=4), black_friday - timedelta(days=1), _Kind("Cyber Week", _CYBER_WEEK)
    yield date(year, 12, 2), date(year, 12, 19), _Kind("Advent", _ADVENT)
    yield date(year, 12, 24), date(year, 12, 26), _Kind("Christmas", _CHRISTMAS)
    yield date(year, 12, 27), date(year, 12, 31), _Kind("Between the years", _NEW_YEAR)
    yield date(year, 1, 1), date(year, 1, 4), _Kind("New Year", _NEW_YEAR)
    yield date(year, 2, 8), date(year, 2, 13), _Kind("Valentine's week", _GIFTS)
    mothers_day = nth_weekday(year, 5, 6, 2)
    yield mothers_day - timedelta(days=6), mothers_day - timedelta(days=1), _Kind("Mother's Day week", _GIFTS)
    easter = easter_sunday(year)
    yield easter - timedelta(days=2), easter + timedelta(days=1), _Kind("Easter", _DAY_OFF)
    labour_day = nth_weekday(year, 9, 0, 1)
    if country == "CA":
        yield date(year, 7, 1), date(year, 7, 1), _Kind("Canada Day", _LONG_WEEKEND)
        yield labour_day - timedelta(days=2), labour_day, _Kind("Labour Day weekend", _LONG_WEEKEND)
    if country == "US":
        yield date(year, 7, 4), date(year, 7, 4), _Kind("Independence Day", _LONG_WEEKEND)
        yield labour_day - timedelta(days=2), labour_day, _Kind("Labor Day weekend", _LONG_WEEKEND)
    if country == "DE":
        yield date(year, 5, 1), date(year, 5, 1), _Kind("Tag der Arbeit", _DAY_OFF)
        yield date(year, 10, 3), date(year, 10, 3), _Kind("Tag der Deutschen Einheit", _DAY_OFF)


@lru_cache(maxsize=512)
def _year_map(country: str, year: int) -> dict[date, Season]:
    days: dict[date, Season] = {}
    for first, last, kind in _events_of_year(country, year):
        for offset in range((last - first).days + 1):
            days.setdefault(first + timedelta(days=offset), kind.season)
    return days


def calendar_events(country: str, first_day: date, last_day: date) -> list[CalendarEvent]:
    """Holidays and shopping events that touch the period, by first day."""
    found = [
        CalendarEvent(country, kind.name, first, last)
        for year in range(first_day.year, last_day.year + 1)
        for first, last, kind in _events_of_year(country, year)
        if first <= last_day and last >= first_day
    ]
    return sorted(found, key=lambda event: (event.first_day, event.name))


@lru_cache(maxsize=8192)
def season_of(country: str, industry: str, ordinal: int) -> Season:
    """All calendar factors of one day together."""
    day = date.fromordinal(ordinal)
    height, peak = _YEAR[industry]
    wave = 1.0 + height * math.cos(2.0 * math.pi * (day.timetuple().tm_yday - peak) / 365.25)
    quarter_end = 1.0 + (0.10 if day.month in (11, 12) else 0.0)
    weekday = day.weekday()
    demand, cvr = _WEEKDAY_DEMAND[industry][weekday], _WEEKDAY_CVR[industry][weekday]
    event = _year_map(country, day.year).get(day)
    if event is None:
        return Season(demand * wave, quarter_end, cvr * math.sqrt(wave), 1.0, demand * wave)
    return Season(
        demand * wave * event.demand,
        quarter_end * event.cpm,
        cvr * math.sqrt(wave) * event.cvr,
        event.aov,
        demand * wave * event.organic,
    )


def season_name(day: date) -> str:
    """The season's name as people write it into campaign names."""
    return ("Winter", "Spring", "Summer", "Autumn")[day.month % 12 // 3]
