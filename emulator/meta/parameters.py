"""Reading parameters as clients write them: comma lists or JSON, nested field lists, days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from emulator.meta.errors import error, invalid

DEFAULT_LIMIT = 25
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass
class Wanted:
    """A field that was asked for, with the fields inside its braces."""

    name: str
    inner: list[Wanted] = field(default_factory=list)


def fields_of(text: str | None) -> list[Wanted]:
    """A comma list (`id,creative{id,name}`) or a JSON array of such, in order and without repetition."""
    if not text or not text.strip():
        return []
    if text.lstrip().startswith("["):
        parts = _json(text, "fields")
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise invalid("Param fields must be an array of strings.")
        text = ",".join(parts)
    found, rest = _fields(text)
    if rest:
        raise error("bad_syntax", f"Syntax error in fields near {rest[:20]!r}")
    return found


def _fields(text: str) -> tuple[list[Wanted], str]:
    found: dict[str, Wanted] = {}
    rest = text
    while rest and not rest.startswith("}"):
        name = re.match(r"\s*([A-Za-z0-9_]+)(\.[a-z_]+\([^)]*\))*\s*", rest)
        if name is None:
            raise error("bad_syntax", f"Syntax error in fields near {rest[:20]!r}")
        rest = rest[name.end() :]
        wanted = found.setdefault(name[1], Wanted(name[1]))
        if rest.startswith("{"):
            wanted.inner, rest = _fields(rest[1:])
            if not rest.startswith("}"):
                raise error("bad_syntax", "Syntax error in fields: a brace is not closed")
            rest = rest[1:].lstrip()
        if rest.startswith(","):
            rest = rest[1:]
        elif rest and not rest.startswith("}"):
            raise error("bad_syntax", f"Syntax error in fields near {rest[:20]!r}")
    return list(found.values()), rest


def list_of(text: str | None, name: str) -> list[str]:
    """A JSON array of strings, or a comma list."""
    if not text or not text.strip():
        return []
    if text.lstrip().startswith("["):
        found = _json(text, name)
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise invalid(f"Param {name} must be an array of strings.")
        return found
    if text.lstrip().startswith('"'):
        return [str(_json(text, name))]
    return [part.strip() for part in text.split(",") if part.strip()]


def objects_of(text: str | None, name: str) -> list[dict[str, Any]]:
    """A JSON array of objects (a single object stands for an array of one)."""
    if not text or not text.strip():
        return []
    found = _json(text, name)
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise invalid(f"Param {name} must be an array of objects.")
    return found


def flag(text: str | None) -> bool:
    """True for `true` and `1`."""
    return (text or "").strip().lower() in {"true", "1"}


def limit_of(parameters: Mapping[str, str]) -> int:
    """The page size; 25 where none is given."""
    text = parameters.get("limit", "").strip()
    if not text:
        return DEFAULT_LIMIT
    if not text.isdecimal() or int(text) < 1:
        raise invalid("Param limit must be a positive integer.")
    return int(text)


def day_of(value: Any, name: str) -> date:
    """A day written YYYY-MM-DD."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise invalid(f"{name} must be a day such as 2026-11-01, not {value!r}.")


def _json(text: str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        raise invalid(f"Param {name} is no valid JSON: {problem}") from problem
