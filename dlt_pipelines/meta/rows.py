"""A page of a report read only as far as it is needed: scalars as text, nested lists as the bytes they came in.

Three quarters of a row are nested lists that land as JSON text: parsing them and writing them again costs as much as
half of a COPY of the rows. So a page is read into `InsightRow`s, whose lists stay bytes. Their syntax is checked on
the way. A page that is anything else than what was asked for (numbers as numbers, unknown fields, an error) is read
as plain dicts, and so are its rows wherever something is odd about them: what is refused, and why, is said in one
place, `mapper.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import msgspec
import orjson

from dlt_pipelines.meta.fields import INSIGHTS

NESTED = frozenset(column.field for column in INSIGHTS.columns if column.kind == "json")
FIELDS = (*INSIGHTS.asked, "date_stop")
_NOTHING = msgspec.Raw(b"")

# What is not there is None and what is null makes the page an odd one, so that a refused row is kept as it came.
# Neither lists nor dicts are in it: the cycle collector need not look at these.
InsightRow = msgspec.defstruct(
    "InsightRow",
    [(name, msgspec.Raw, _NOTHING) if name in NESTED else (name, str, None) for name in FIELDS],
    forbid_unknown_fields=True,
    gc=False,
)
_Page = msgspec.defstruct(
    "_Page",
    [("data", list[InsightRow]), ("paging", dict[str, Any] | None, None)],  # type: ignore[valid-type]
    forbid_unknown_fields=True,
)
_decoder = msgspec.json.Decoder(_Page)


def read_page(content: bytes) -> Any:
    """An answer's content; where it is a page of a report, its `data` are InsightRows. ValueError for no JSON."""
    try:
        if not content.isascii():
            content.decode()  # bytes that are skipped are not checked for this
        page: Any = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return orjson.loads(content)
    return {"data": page.data, "paging": page.paging}


def are_raw(rows: Sequence[Any]) -> TypeGuard[Sequence[msgspec.Struct]]:
    """Whether all of these came from a page that was as expected."""
    return set(map(type, rows)) == {InsightRow}


def columns_of(rows: Sequence[msgspec.Struct]) -> dict[str, tuple[Any, ...]]:
    """The fields of rows, each as one column. What is not there is None, among nested ones it is empty."""
    return dict(zip(FIELDS, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))


def plain(row: Any) -> Any:
    """A row as the dict it would be had it been parsed whole; anything else as it is."""
    if type(row) is not InsightRow:
        return row
    found: dict[str, Any] = {}
    for name, value in zip(FIELDS, msgspec.structs.astuple(row), strict=True):
        if name not in NESTED:
            if value is not None:
                found[name] = value
        elif len(value):
            found[name] = orjson.loads(bytes(value))
    return found
