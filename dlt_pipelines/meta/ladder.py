"""A single day that is too much for one report: read in parts, and all of it.

Steps   campaigns, then the ad sets of one campaign, then the ads of one ad set, each by halves of the list of ids;
        at last one ad with halves of the field list, whose rows are put together by ad and day
Ids     which objects have figures that day is asked of the platform itself, by a report of ids alone: an edge may hide
        deleted ones, and their figures would be missing without a word
Raises  TooMuchDataError where even one figure of one ad, or a list of ids, is too much
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlt_pipelines.common.errors import PartialDataError, TooMuchDataError
from dlt_pipelines.meta import fields as f
from dlt_pipelines.meta.client import Client, Page

STEPS = ("campaign", "adset", "ad")
MOST_IDS = 50  # they travel in the address
KEYS = ("date_start", "ad_id", "adset_id", "campaign_id", "account_id")

Condition = Mapping[str, Any]


class Ladder:
    """One account and day."""

    def __init__(self, client: Client, account: str, day: dt.date, *, is_async: bool) -> None:
        self._client = client
        self._account = account
        self._day = day
        self._is_async = is_async

    def pages(self) -> Iterator[Page]:
        """The day's rows. A part is read whole before any of it is given."""
        yield from self._step(0, None)

    def _step(self, number: int, within: Condition | None) -> Iterator[Page]:
        level = STEPS[number]
        groups = _smaller(self._ids(level, within))
        while groups:
            group = groups.pop(0)
            condition = _one_of(level, group)
            try:
                pages = (
                    list(self._report("ad", f.INSIGHTS.asked, condition)) if len(group) <= MOST_IDS else None
                )
            except TooMuchDataError:
                pages = None
            if pages is not None:
                yield from pages
            elif len(group) > 1:
                groups = [*_smaller(group), *groups]
            elif number + 1 < len(STEPS):
                yield from self._step(number + 1, condition)
            else:
                yield self._by_fields(condition, f.INSIGHTS.asked)

    def _ids(self, level: str, within: Condition | None) -> list[str]:
        name = f"{level}_id"
        found: dict[str, None] = {}
        for page in self._report(level, (name,), within):
            for row in page:
                number = row.get(name) if isinstance(row, dict) else None
                if not isinstance(number, (str, int)):
                    raise PartialDataError(f"Meta listed a {level} without its id.", "Try again later.")
                found[str(number)] = None
        return list(found)

    def _by_fields(self, condition: Condition, fields: Sequence[str]) -> Page:
        """Rows of one ad, figure by figure if it must be."""
        figures = [name for name in fields if name not in KEYS]
        if len(figures) < 2:
            raise TooMuchDataError(
                f"One figure ({', '.join(figures)}) of one ad and day is too much for Meta.",
                "Try again later.",
            )
        middle = len(figures) // 2
        merged: dict[tuple[Any, Any], dict[str, Any]] = {}
        for part in (figures[:middle], figures[middle:]):
            asked = (*KEYS, *part)
            try:
                rows = [row for page in self._report("ad", asked, condition) for row in page]
            except TooMuchDataError:
                rows = self._by_fields(condition, asked)
            for row in rows:
                merged.setdefault((row.get("ad_id"), row.get("date_start")), {}).update(row)
        return list(merged.values())

    def _report(self, level: str, fields: Sequence[str], condition: Condition | None) -> Iterator[Page]:
        return self._client.insights(
            self._account, self._day, self._day, level, f.INSIGHTS, fields=fields, is_async=self._is_async,
            conditions=[condition] if condition is not None else [],
        )  # fmt: skip


def _smaller(ids: Sequence[str]) -> list[Sequence[str]]:
    """What is too much together, in two parts; a single one stays."""
    middle = (len(ids) + 1) // 2
    return [part for part in (ids[:middle], ids[middle:]) if part]


def _one_of(level: str, ids: Sequence[str]) -> Condition:
    return {"field": f"{level}.id", "operator": "IN", "value": list(ids)}
