"""`/_admin/…`: clock, faults, call counts, and what each vendor offers. JSON in, JSON out; never secret.

| call | body | answer |
| --- | --- | --- |
| GET `/_admin` | | addresses, seed, clock |
| GET, PUT `/_admin/clock` | `as_of` or `now`, or `advance_days`, `advance_seconds`; `tick` | now, as_of, tick |
| GET, POST, DELETE `/_admin/faults` | POST: `kind`, `vendor`, `path`, `method`, `times`, `after`, options | faults |
| DELETE `/_admin/faults/<id>` | | |
| GET `/_admin/faults/kinds` | | every kind with its options |
| GET, DELETE `/_admin/calls` | `?last=N` | counts by vendor and kind, newest calls |
| POST `/_admin/reset` | | back to the start |
| `/_admin/<vendor>/…` | the vendor's own | |
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from emulator.faults import FaultError

if TYPE_CHECKING:
    from emulator.server import Emulator


class AdminError(Exception):
    """A request the admin endpoint can't fulfil."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(
    emulator: Emulator, method: str, path: str, query: Mapping[str, str], raw: bytes
) -> tuple[int, Any]:
    """Status and content for one admin call."""
    try:
        body = orjson.loads(raw) if raw.strip() else {}
        if not isinstance(body, dict):
            raise AdminError(400, "The body must be a JSON object.")
        return _answer(emulator, method, [part for part in path.split("/") if part], query, body)
    except AdminError as error:
        return error.status, {"error": str(error)}
    except (FaultError, KeyError, TypeError, ValueError) as error:
        return 400, {"error": str(error).strip("\"'")}


def _answer(
    emulator: Emulator, method: str, parts: list[str], query: Mapping[str, str], body: dict[str, Any]
) -> tuple[int, Any]:
    match (method, parts):
        case ("GET", []):
            return 200, {
                "vendors": {name: f"/{name}" for name in emulator.vendors},
                "seed": emulator.world.seed,
                "clock": _clock(emulator),
            }
        case ("GET", ["clock"]):
            return 200, _clock(emulator)
        case ("PUT" | "POST", ["clock"]):
            _set_clock(emulator, body)
            return 200, _clock(emulator)
        case ("GET", ["faults"]):
            return 200, {"faults": emulator.faults.listed()}
        case ("GET", ["faults", "kinds"]):
            return 200, emulator.faults.kinds()
        case ("POST", ["faults"]):
            return 201, {"id": emulator.faults.add(**body).id}
        case ("DELETE", ["faults"]):
            emulator.faults.clear()
            return 200, {"faults": []}
        case ("DELETE", ["faults", number]):
            if not emulator.faults.remove(int(number)):
                raise AdminError(404, f"No fault {number}; a used-up one is gone already.")
            return 200, {"faults": emulator.faults.listed()}
        case ("GET", ["calls"]):
            return 200, emulator.calls.report(int(query.get("last", "100")))
        case ("DELETE", ["calls"]):
            emulator.calls.clear()
            return 200, emulator.calls.report(0)
        case ("POST", ["reset"]):
            emulator.reset()
            return 200, _clock(emulator)
        case (_, [vendor, *rest]) if vendor in emulator.vendors:
            return emulator.vendors[vendor].admin(method, rest, body)
    raise AdminError(404, f"No {method} /_admin/{'/'.join(parts)}.")


def _clock(emulator: Emulator) -> dict[str, Any]:
    clock = emulator.clock
    return {"now": clock.now().isoformat(), "as_of": clock.as_of.isoformat(), "tick": clock.ticks}


def _set_clock(emulator: Emulator, body: dict[str, Any]) -> None:
    strange = set(body) - {"as_of", "now", "advance_days", "advance_seconds", "tick"}
    if strange:
        raise AdminError(400, f"The clock has no {', '.join(sorted(strange))}.")
    if "as_of" in body:
        emulator.clock.set_as_of(date.fromisoformat(body["as_of"]))
    if "now" in body:
        emulator.clock.set_now(datetime.fromisoformat(body["now"]))
    if "advance_days" in body or "advance_seconds" in body:
        emulator.clock.advance(
            timedelta(days=body.get("advance_days", 0), seconds=body.get("advance_seconds", 0))
        )
    if "tick" in body:
        emulator.clock.set_tick(bool(body["tick"]))
