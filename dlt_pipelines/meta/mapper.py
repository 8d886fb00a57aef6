"""Pages of rows -> typed arrow tables, and the rows that could not be taken with the reason for each.

A report's rows that came as expected (`rows.py`) are taken as whole columns, nested lists as the bytes they came in.
Where anything about a group of them is odd they become dicts, and dicts are looked at one by one.

Columns are converted whole; only where that fails is a column read value by value, to find the rows at fault. A row
is refused when a key is missing or no id, its day is outside of what was asked for, it is of another account, a
figure is no number or does not fit, or it contradicts a row that came before. Rows that repeat one exactly (a page
shown twice, an edge begun again) are left out without a word. Fields nobody asked for go to `extra`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common.sync import Refusal
from dlt_pipelines.common.windows import Window
from dlt_pipelines.meta.fields import ADS, ADSETS, CREATIVES, INSIGHTS, TOTALS, TYPES, Column, Table
from dlt_pipelines.meta.rows import are_raw, columns_of, plain

Row = dict[str, Any]

_SIX = Decimal("0.000001")
_LARGEST = Decimal(10) ** 14
_BIGINT = 2**63


class BadValueError(ValueError):
    """A value that cannot be read; the text says what is wrong with it."""


class Mapper:
    """Rows of one table, account and (for reports) window. Keeps what it has seen, to notice repetition."""

    def __init__(
        self, table: Table, account: str, window: Window | None = None, level: str | None = None
    ) -> None:
        self.table = table
        self.account = account
        self.level = level
        self._days = None if window is None else {day.isoformat() for day in window}
        self._window = window
        self._known = {
            *(column.field for column in table.columns),
            *table.asked,
            "id",
            "date_stop",
            "creative",
            *(("campaign_id",) if table is TOTALS else ()),  # lands as platform_id
        }
        self._seen: dict[Any, int] = {}
        self.days: Counter[dt.date] = Counter()
        self.refused: list[Refusal] = []
        self.repeated = 0
        self.schema = pa.schema(
            [(column.name, TYPES[column.kind]) for column in table.columns] + [("extra", pa.string())]
        )

    def map(self, rows: Sequence[Any]) -> pa.Table:
        """The rows that can be taken. The others are in `refused`."""
        if self.table is INSIGHTS and are_raw(rows):
            table = self._map_whole(columns_of(rows), len(rows))
            if table is not None:
                return table
        taken: list[Row] = []
        for row in map(plain, rows):
            reason = self._prepare(row)
            if reason is None:
                taken.append(row)
            elif reason:
                self._refuse(row, reason)
        arrays: list[Any] = []
        bad: dict[int, str] = {}
        for column in self.table.columns:
            field = column.field
            values = [row.get(field) for row in taken]
            arrays.append(self._array(column, values, bad))
        arrays.append(pa.array([self._extra(row) for row in taken], pa.string()))
        table = pa.Table.from_arrays(arrays, schema=self.schema)
        if bad:
            for place, reason in sorted(bad.items()):
                self._refuse(taken[place], reason)
            keep = [place for place in range(len(taken)) if place not in bad]
            table = table.take(pa.array(keep, pa.int64()))
        if self._days is not None:
            self.days.update(table.column("day").to_pylist())
        return table

    def _map_whole(self, found: dict[str, tuple[Any, ...]], rows: int) -> pa.Table | None:
        """A table of these columns, if each row can be taken and none came before; else nothing is changed."""
        days, ads = found["date_start"], found["ad_id"]
        if not (
            self._days is not None
            and self._days.issuperset(days)
            and found["date_stop"] == days
            and {self.account, None}.issuperset(found["account_id"])
            and None not in ads
            and "" not in ads
            and _are_digits("".join(ads))
        ):
            return None
        seen = dict(zip(zip(days, ads, strict=True), _figures(found), strict=True))
        if len(seen) < rows or not self._seen.keys().isdisjoint(seen):
            return None
        bad: dict[int, str] = {}
        arrays = [
            _raw_json(found[column.field])
            if column.kind == "json"
            else self._array(column, found[column.field], bad)
            for column in self.table.columns
        ]
        if bad:
            return None
        arrays.append(pa.nulls(rows, pa.string()))
        self._seen.update(seen)
        for day, count in Counter(days).items():
            self.days[dt.date.fromisoformat(day)] += count
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def ids(self) -> set[str]:
        """Of a report: the ads that were seen."""
        return {ad for _, ad in self._seen}

    def _refuse(self, row: Any, reason: str) -> None:
        day = row.get("date_start") if isinstance(row, dict) else None
        known = day if self._days is not None and isinstance(day, str) and day in self._days else None
        self.refused.append(
            Refusal(
                self.table.name,
                reason,
                row if isinstance(row, dict) else {"row": row},
                dt.date.fromisoformat(known) if known else None,
                self._days is not None,
            )
        )

    # keys and repetition

    def _prepare(self, row: Any) -> str | None:
        """None to take the row, a reason to refuse it, an empty text for an exact repetition."""
        if type(row) is not dict:
            return "it is no object"
        owner = row.get("account_id")
        if owner is not None and str(owner) != self.account:
            return f"it belongs to account {owner}"
        if self._days is not None:
            day = row.get("date_start")
            if day not in self._days:
                return f"its day {day} is outside of {self._window}" if day else "it has no day"
            if row.get("date_stop", day) != day:
                return f"it is not of one day but of {day} to {row.get('date_stop')}"
        if self.table is TOTALS:
            row["level"] = self.level
            row["platform_id"] = self.account if self.level == "account" else row.get("campaign_id")
        elif self.table is ADSETS:
            stage = row.get("learning_stage_info")
            row["learning_stage"] = stage.get("status") if isinstance(stage, dict) else None
        elif self.table is ADS:
            creative = row.get("creative")
            row["creative_id"] = creative.get("id") if isinstance(creative, dict) else None
        elif self.table is CREATIVES:
            row["link"] = link_of(row)
        key = []
        for name in self.table.key:
            if name == "day":
                key.append(row["date_start"])
                continue
            field = "id" if self.table is not INSIGHTS and name != "platform_id" else name
            value = row.get(field)
            try:
                key.append(read_id(value))
            except BadValueError as problem:
                return f"{field} {problem}"
            if value is None:
                return f"it has no {field}"
        return self._check_repeated(tuple(key), row)

    def _check_repeated(self, key: Any, row: Row) -> str | None:
        if self._days is None:
            if key in self._seen:
                self.repeated += 1
                return ""
            self._seen[key] = 0
            return None
        figures = _figure_of(
            tuple(_text_of(row.get(name)) for name in FIGURES), _json_text(row.get("actions"))
        )
        if key not in self._seen:
            self._seen[key] = figures
            return None
        if self._seen[key] == figures:
            self.repeated += 1
            return ""
        return "the same ad and day came before with other figures"

    def _extra(self, row: Row) -> str | None:
        if self._known.issuperset(row):
            return None
        return _json({key: value for key, value in row.items() if key not in self._known})

    # columns

    def _array(self, column: Column, values: Sequence[Any], bad: dict[int, str]) -> Any:
        try:
            if column.kind == "json":
                array = pa.array([_json_text(value) for value in values], pa.string())
                if not _holds(array, b"\\u0000"):
                    return array
                return pa.array([None if value is None else _json(value) for value in values], pa.string())
            if column.kind not in ("flag", "moment"):
                return _converted(column.kind, values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError):
            pass
        return self._one_by_one(column, values, bad)

    def _one_by_one(self, column: Column, values: Sequence[Any], bad: dict[int, str]) -> Any:
        read = READERS[column.kind]
        found: list[Any] = []
        for place, value in enumerate(values):
            try:
                found.append(None if value is None else read(value))
            except BadValueError as problem:
                found.append(None)
                bad.setdefault(place, f"{column.field} {problem}")
        return pa.array(found, TYPES[column.kind])


def _converted(kind: str, values: Sequence[Any]) -> Any:
    """A whole column at once; raises where any value is not written as the vendor writes it."""
    if kind in ("count", "amount"):
        return pa.array(values, pa.string()).cast(TYPES[kind])
    if kind == "day":
        return pa.array(values, pa.string()).cast(pa.date32())
    return _plain(pa.array(values, pa.string()))


def _raw_json(values: Sequence[Any]) -> Any:
    """A column of JSON as it came, one copy of all its bytes; empty where there was none."""
    lengths = np.fromiter(map(len, values), np.int32, len(values))
    content = b"".join(values)
    if b"\\u0000" in content or any(
        values[place] == b"null" for place in np.flatnonzero(lengths == 4).tolist()
    ):
        found = [orjson.loads(bytes(value)) if len(value) else None for value in values]
        return pa.array([None if value is None else _json(value) for value in found], pa.string())
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    return pa.Array.from_buffers(
        pa.string(),
        len(values),
        [pa.array(lengths > 0).buffers()[1], pa.py_buffer(ends), pa.py_buffer(content)],
    )


# -- telling a repetition from a contradiction --------------------------------------------------------------

FIGURES = ("spend", "impressions", "clicks", "inline_link_clicks")


def _figure_of(figures: tuple[str | None, ...], actions: bytes | None) -> int:
    """Equal for rows that say the same, whether they were parsed or not."""
    return hash((figures, actions.count(b'"action_type"') if actions else 0))


def _figures(found: dict[str, tuple[Any, ...]]) -> Iterable[int]:
    return map(_figure_of, zip(*(found[name] for name in FIGURES), strict=True), map(bytes, found["actions"]))


def _text_of(value: Any) -> str | None:
    return None if value is None else str(value)


def _json_text(value: Any) -> bytes | None:
    return None if value is None else orjson.dumps(value)


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


_ZERO = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def _json(value: Any) -> str:
    text = orjson.dumps(value).decode()
    # jsonb cannot hold a zero character, and casts downstream would fail on one. An escaped backslash before it is
    # a text about zero characters, which is fine.
    return _ZERO.sub(r"\1", text) if "\\u0000" in text else text


def _plain(array: Any) -> Any:
    """Postgres cannot hold a zero character in a text."""
    if _holds(array, b"\x00"):
        return pc.replace_substring(array, "\x00", "")
    return array


def _holds(array: Any, sign: bytes) -> bool:
    """Whether any text of an array holds these bytes: one search through all of them at once."""
    content = array.buffers()[2]
    return content is not None and sign in content.to_pybytes()


# -- one value ----------------------------------------------------------------------------------------------


def read_id(value: Any) -> str | None:
    """An id as text; a JSON integer is taken. Raises BadValueError for a float, an object, a text of no digits."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return value
    raise BadValueError(f"is no id: {_shown(value)}")


def read_text(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadValueError(f"is no text: {_shown(value)}")
    return f"{Decimal(str(value)).normalize():f}" if isinstance(value, float) else str(value)


def read_amount(value: Any) -> Decimal:
    """A number with at most six places; more are rounded."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise BadValueError(f"is no number: {_shown(value)}")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise BadValueError(f"is no number: {_shown(value)}") from None
    if not number.is_finite() or abs(number) >= _LARGEST:
        raise BadValueError(f"is no number that fits: {_shown(value)}")
    return number.quantize(_SIX)


def read_count(value: Any) -> int:
    number = read_amount(value)
    if number != number.to_integral_value():
        raise BadValueError(f"is no whole number: {_shown(value)}")
    return int(number)


def read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise BadValueError(f"is neither true nor false: {_shown(value)}")


def read_moment(value: Any) -> dt.datetime:
    """2026-10-14T09:21:05-0700, or seconds since 1970."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value, dt.UTC)
        found = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise BadValueError(f"is no time: {_shown(value)}") from None
    if found.tzinfo is None:
        raise BadValueError(f"is a time without its zone: {_shown(value)}")
    return found.astimezone(dt.UTC)


def read_day(value: Any) -> dt.date:
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadValueError(f"is no day: {_shown(value)}") from None


READERS: dict[str, Callable[[Any], Any]] = {
    "id": read_id,
    "text": read_text,
    "count": read_count,
    "amount": read_amount,
    "flag": read_flag,
    "moment": read_moment,
    "json": _json,
    "day": read_day,
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def link_of(creative: Row) -> str | None:
    """Where a creative leads: its story, else the asset feed, else its own addresses."""
    story = _dict(creative.get("object_story_spec"))
    action = _dict(_dict(_dict(story.get("video_data")).get("call_to_action")).get("value"))
    feed: Sequence[Any] = _dict(creative.get("asset_feed_spec")).get("link_urls") or ()
    for found in (
        _dict(story.get("link_data")).get("link"),
        action.get("link"),
        _dict(story.get("template_data")).get("link"),
        *(_dict(each).get("website_url") for each in feed if isinstance(feed, list)),
        creative.get("link_url"),
        creative.get("template_url"),
    ):
        if isinstance(found, str) and found:
            return found
    return None


def _dict(value: Any) -> Row:
    return value if isinstance(value, dict) else {}
