"""Cursors and the paging object.

A cursor holds a position and is bound to the edge it came from; it is present on the last page too, where only
`next` is missing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from emulator.meta.errors import error

# What the vendor's own links carry and no client sends: a call that has it followed `next` verbatim.
FOLLOWED = "pretty"


@dataclass(frozen=True)
class Slice:
    """The part of a list that a page shows: from `start` up to, not including, `stop`; `more` follow."""

    start: int
    stop: int
    more: bool


def encode(edge: str, position: int, salt: int = 0) -> str:
    """An opaque cursor; with another salt it looks different and leads to the same place."""
    text = f"{position}.{salt}.{_seal(edge, position, salt)}"
    return "QVFI" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(edge: str, cursor: str) -> int:
    """The position of a cursor of this edge. Raises code 2642 for a damaged or foreign one."""
    packed = cursor.removeprefix("QVFI")
    try:
        text = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True).decode()
        position, salt, seal = text.split(".")
        found, salted = int(position), int(salt)
    except ValueError:
        raise error("bad_cursor") from None
    if seal != _seal(edge, found, salted) or not cursor.startswith("QVFI"):
        raise error("bad_cursor")
    return found


def _seal(edge: str, position: int, salt: int) -> str:
    return hashlib.blake2b(f"{edge}|{position}|{salt}".encode(), digest_size=5).hexdigest()


def slice_of(edge: str, parameters: Mapping[str, str], limit: int, total: int) -> Slice:
    """What to show for `after` or `before`; without either, the beginning."""
    if parameters.get("after"):
        start = decode(edge, parameters["after"])
    elif parameters.get("before"):
        stop = decode(edge, parameters["before"])
        return Slice(max(0, stop - limit), min(stop, total), stop < total)
    else:
        start = 0
    stop = min(start + limit, total)
    return Slice(start, stop, stop < total)


def paging(
    edge: str,
    url: str,
    parameters: Mapping[str, str],
    token: str,
    limit: int,
    shown: Slice,
    after: str | None = None,
) -> dict[str, Any]:
    """The `paging` object of a page that begins at `shown.start` and whose follower begins at `shown.stop` (or
    where a cursor given as `after` leads).
    """
    before = encode(edge, shown.start)
    after = encode(edge, shown.stop) if after is None else after
    found: dict[str, Any] = {"cursors": {"before": before, "after": after}}
    if shown.more:
        found["next"] = _link(url, parameters, token, limit, after=after)
    if shown.start > 0:
        found["previous"] = _link(url, parameters, token, limit, before=before)
    return found


def _link(url: str, parameters: Mapping[str, str], token: str, limit: int, **cursor: str) -> str:
    kept = {
        name: value
        for name, value in parameters.items()
        if name not in ("after", "before", "access_token", "limit", FOLLOWED)
    }
    return f"{url}?{urlencode({'access_token': token, **kept, FOLLOWED: '0', 'limit': limit, **cursor})}"
