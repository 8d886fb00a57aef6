"""Days of a report: presets, ranges, increments and the 37-month bound."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from emulator.meta.errors import error, invalid
from emulator.meta.parameters import day_of, objects_of

HISTORY_MONTHS = 37
REACH_MONTHS = 13
FREQUENCY_MONTHS = 6


@dataclass(frozen=True)
class Period:
    """One line of a report covers these days, both included."""

    start: date
    stop: date


def months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last."""
    month = day.year * 12 + day.month - 1 - months
    year, month = divmod(month, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def periods_of(parameters: Mapping[str, str], today: date) -> list[Period]:
    """The lines' periods, oldest first. Raises code 100 for nonsense and 3018 for days before 37 months ago."""
    oldest = months_before(today, HISTORY_MONTHS)
    ranges = [_range(each) for each in objects_of(parameters.get("time_ranges"), "time_ranges")]
    if ranges:
        found = ranges
    else:
        asked = objects_of(parameters.get("time_range"), "time_range")
        if len(asked) > 1:
            raise invalid("Param time_range is one object of since and until.")
        whole = _range(asked[0]) if asked else _preset(parameters.get("date_preset") or "last_30d", today)
        found = _increments(whole, parameters.get("time_increment", "").strip().strip('"') or "all_days")
    if any(period.start < oldest for period in found):
        raise error("too_old")
    return found


def _range(content: dict[str, Any]) -> Period:
    if not {"since", "until"} <= set(content):
        raise invalid("A time range has since and until.")
    period = Period(day_of(content["since"], "since"), day_of(content["until"], "until"))
    if period.start > period.stop:
        raise invalid(f"The time range ends ({period.stop}) before it begins ({period.start}).")
    return period


def _increments(whole: Period, increment: str) -> list[Period]:
    if increment == "all_days":
        return [whole]
    found, start = [], whole.start
    if increment == "monthly":
        while start <= whole.stop:
            last = start.replace(day=calendar.monthrange(start.year, start.month)[1])
            found.append(Period(start, min(last, whole.stop)))
            start = last + timedelta(days=1)
        return found
    if not increment.isdecimal() or not 1 <= int(increment) <= 90:
        raise invalid("Param time_increment is an integer from 1 to 90, monthly or all_days.")
    step = timedelta(days=int(increment))
    while start <= whole.stop:
        found.append(Period(start, min(start + step - timedelta(days=1), whole.stop)))
        start += step
    return found


def _preset(name: str, today: date) -> Period:
    yesterday = today - timedelta(days=1)
    days = {"last_3d": 3, "last_7d": 7, "last_14d": 14, "last_28d": 28, "last_30d": 30, "last_90d": 90}
    if name in days:
        return Period(today - timedelta(days=days[name]), yesterday)
    month = today.replace(day=1)
    quarter = month.replace(month=(today.month - 1) // 3 * 3 + 1)
    monday, sunday = (
        today - timedelta(days=today.weekday()),
        today - timedelta(days=(today.weekday() + 1) % 7),
    )
    week, day = timedelta(days=7), timedelta(days=1)
    periods = {
        "today": Period(today, today),
        "yesterday": Period(yesterday, yesterday),
        "this_month": Period(month, today),
        "last_month": Period(months_before(month, 1), month - day),
        "this_quarter": Period(quarter, today),
        "last_quarter": Period(months_before(quarter, 3), quarter - day),
        "this_year": Period(date(today.year, 1, 1), today),
        "last_year": Period(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)),
        "this_week_mon_today": Period(monday, today),
        "this_week_sun_today": Period(sunday, today),
        "last_week_mon_sun": Period(monday - week, monday - day),
        "last_week_sun_sat": Period(sunday - week, sunday - day),
        "maximum": Period(months_before(today, HISTORY_MONTHS), today),
        "data_maximum": Period(months_before(today, HISTORY_MONTHS), today),
    }
    if name not in periods:
        raise invalid(f"Param date_preset can't be {name}.")
    return periods[name]
