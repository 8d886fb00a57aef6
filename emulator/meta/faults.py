"""What can go wrong at Meta: the kinds of faults and what each does to an answer.

*Answer* faults replace or delay the whole answer; *page* faults change what a page holds and where it leads;
*row* faults change objects; *run* faults decide what becomes of an asynchronous report.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

import orjson

from emulator.faults import Fault, FaultBook, Kind
from emulator.meta import errors
from emulator.meta.catalog import number_of
from emulator.meta.errors import MetaError
from emulator.meta.jobs import Step
from emulator.meta.usage import Usages
from emulator.server import Call, Reply

VENDOR = "meta"

ANSWER: dict[str, Kind] = {
    "error": Kind(
        "any error: by `name` of the catalogue or by `code`; what else is given replaces the catalogue's",
        {
            "name": "unknown",
            "code": None,
            "subcode": None,
            "status": None,
            "message": None,
            "transient": None,
        },
    ),
    "rate_limit": Kind(
        "a throttle error with usage headers; `limit` is buc, account, app, calls or load; the HTTP status alternates",
        {"limit": "buc", "wait": 60, "status": None},
    ),
    "usage": Kind("the answer is good, but its usage headers say `percent`", {"percent": 80.0, "wait": 0}),
    "expired_token": Kind("190/463"),
    "revoked_token": Kind(
        "190 with a subcode: 460 password, 458 app removed, 459, 464, 467", {"subcode": 460}
    ),
    "suspended_account": Kind(
        "`account` (or every one) shows status 2 and reason 1; unless `readable`, its calls answer 1404163",
        {"account": None, "readable": False},
    ),
    "no_permission": Kind(
        "the account is not granted: style 200, 10, 294, 299, 33, 3191001 or missing", {"style": "200"}
    ),
    "server_error": Kind("HTTP 500 (or `status`) with code 1", {"status": 500}),
    "transient": Kind("code 2, is_transient"),
    "html": Kind("an HTML page instead of JSON", {"status": 200}),
    "empty_body": Kind("HTTP 200 without content"),
    "truncated_page": Kind("HTTP 200, JSON cut off in the middle"),
    "cut_connection": Kind("the connection breaks in the middle of the answer"),
    "slow": Kind("the answer comes after `seconds`", {"seconds": 3.0}),
    "reduce_data": Kind("500, code 1, reduce the amount of data", {"above_limit": 0}),
    "data_limit": Kind("100/1487534 where more than `above_days` days are asked for", {"above_days": 0}),
    "sync_timeout": Kind("2/1504038 for synchronous reports"),
    "bad_cursor": Kind("2642 for a call with a cursor"),
    "other_version": Kind("the version header names another version", {"version": "v25.0"}),
    "clock_skew": Kind("the vendor's clock is off by `seconds`", {"seconds": 86_400}),
    "batch_null": Kind("the first `count` elements of a batch come back as null", {"count": 1}),
}
PAGE: dict[str, Kind] = {
    "short_page": Kind("a page that is not the last holds fewer objects than asked for; none is lost"),
    "empty_page": Kind("a page without objects but with a next cursor; none is lost"),
    "repeated_page": Kind("the page is shown again as the next one, then it goes on"),
    "repeated_cursor": Kind("the next cursor is the one that was sent: the same page for ever"),
    "lost_rows": Kind("every second object of a page is missing"),
}
ROW: dict[str, Kind] = {
    "foreign_day": Kind("the first row is of a day `days` before the asked period", {"days": 3}),
    "changed_id_type": Kind("ids are JSON numbers", {"field": None}),
    "number_as_text": Kind(
        "a number arrives as text; with `text`, a figure as that", {"field": None, "text": None}
    ),
    "text_as_number": Kind("figures that are text arrive as JSON numbers", {"field": None}),
    "null": Kind("a field is null", {"field": None}),
    "missing_field": Kind("a field is missing", {"field": None}),
    "new_field": Kind(
        "an unknown field appears", {"field": "emulated_novelty", "value": {"depth": [1, 2.5, "x"]}}
    ),
    "unknown_enum": Kind(
        "a status or type has a value nobody knows", {"field": None, "value": "QUANTUM_PAUSED"}
    ),
    "duplicate_row": Kind("the first row stands there twice"),
    "late_conversion": Kind("a row without spend and impressions, but with a purchase"),
}
RUN: dict[str, Kind] = {
    "job_failed": Kind(
        "the run fails and stays at 0 %", {"code": -2, "subcode": 2490547, "message": "The report failed"}
    ),
    "job_too_large": Kind(
        "the run fails as too large where it covers more than `above_days`", {"above_days": 0}
    ),
    "job_skipped": Kind("the run is skipped"),
    "job_slow": Kind("the run stays at 40 % for `polls` polls", {"polls": 50}),
    "job_stuck_at_100": Kind("the run is Job Running at 100 % for `polls` polls", {"polls": 3}),
    "job_lost": Kind("the run is unknown when polled"),
    "job_unknown_status": Kind(
        "the run shows a status nobody knows, then goes on", {"value": "Job Pondering"}
    ),
    "summary_fields": Kind("fetching fails with the message about the summary param"),
}
KINDS: dict[str, Kind] = {**ANSWER, **PAGE, **ROW, **RUN}

_STYLES = {
    "200": "no_permission", "10": "permission_10", "294": "permission_294", "299": "permission_299",
    "33": "invisible", "3191001": "invisible_page", "missing": "missing_permissions",
}  # fmt: skip
_ENUMS = (
    "effective_status", "status", "objective", "optimization_goal", "bid_strategy", "account_status", "async_status",
    "quality_ranking", "attribution_setting", "call_to_action_type",
)  # fmt: skip
_HTML = (
    b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"
)


class Faults:
    """The faults that one call meets; remembers which really struck."""

    def __init__(self, book: FaultBook, call: Call) -> None:
        self._book = book
        self._call = call
        self.struck: list[str] = []
        # Percent and seconds of waiting that the usage headers shall show instead of the true ones.
        self.usage: tuple[float, float] | None = None

    def of(self, *kinds: str) -> Iterable[Fault]:
        """Faults in force that could strike; a caller that lets one strike says so with `strike`."""
        return self._book.find(VENDOR, self._call.method, self._call.path, kinds)

    def strike(self, fault: Fault) -> bool:
        """Use it up by one; False if it does not strike yet."""
        if self._book.strike(fault):
            self.struck.append(fault.kind)
            return True
        return False

    def first(self, kind: str) -> Fault | None:
        """The first fault of a kind that strikes."""
        return next((fault for fault in self.of(kind) if self.strike(fault)), None)

    # whole answers

    def before(self, usages: Usages, *, is_insights: bool, account_id: str | None) -> MetaError | None:
        """The error that takes the place of the answer."""
        usage = self.first("usage")
        if usage is not None:
            self.usage = (float(usage.option("percent")), float(usage.option("wait")))
        for fault in self.of(*ANSWER):
            if fault.kind == "suspended_account":
                if account_id is None or fault.option("readable") or not _names(fault, account_id):
                    continue
                found: MetaError | None = errors.error("suspended")
            else:
                found = _error_of(fault, self._call, usages, is_insights=is_insights)
            if found is not None and self.strike(fault):
                if fault.kind == "rate_limit":
                    self.usage = (100.0, float(fault.option("wait")))
                return found
        return None

    def suspends(self, account_id: str) -> bool:
        """True if the account is to be shown as suspended."""
        return any(_names(fault, account_id) for fault in self.of("suspended_account"))

    def after(self, reply: Reply) -> Reply:
        """The finished answer, spoiled."""
        for fault in self.of(
            "slow", "html", "empty_body", "truncated_page", "cut_connection", "other_version"
        ):
            if not self.strike(fault):
                continue
            match fault.kind:
                case "slow":
                    reply.delay += float(fault.option("seconds"))
                case "html":
                    reply.status, reply.body = int(fault.option("status")), _HTML
                    reply.media_type = "text/html; charset=utf-8"
                case "empty_body":
                    reply.body = b""
                case "truncated_page":
                    reply.body = reply.body[: max(1, len(reply.body) * 2 // 3)]
                case "cut_connection":
                    reply.cut = True
                case "other_version":
                    reply.headers["facebook-api-version"] = str(fault.option("version"))
        return reply

    # rows

    def rows(self, rows: list[dict[str, Any]], first_day: date | None = None) -> list[dict[str, Any]]:
        """The rows of a page (or one object), surprised."""
        for fault in self.of(*ROW):
            changed = _surprised(fault, copy.deepcopy(rows), first_day)
            if changed is not None and changed != rows and self.strike(fault):
                rows = changed
        return rows

    # runs

    def script(self, script: tuple[Step, ...], days: int) -> tuple[tuple[Step, ...], MetaError | None]:
        """What becomes of a new run, and the error it fails with."""
        for fault in self.of("job_failed", "job_too_large", "job_skipped", "job_slow", "job_stuck_at_100",
                             "job_unknown_status"):  # fmt: skip
            if fault.kind == "job_too_large" and days <= int(fault.option("above_days")):
                continue
            if not self.strike(fault):
                continue
            match fault.kind:
                case "job_failed":
                    failure = MetaError(
                        int(fault.option("code")), str(fault.option("message")), int(fault.option("subcode"))
                    )
                    return (("Job Started", 0), ("Job Failed", 0)), failure
                case "job_too_large":
                    return (("Job Started", 0), ("Job Failed", 0)), errors.error("report_too_large")
                case "job_skipped":
                    return (("Job Started", 0), ("Job Skipped", 0)), None
                case "job_slow":
                    return (("Job Running", 40),) * int(fault.option("polls")) + script[-1:], None
                case "job_stuck_at_100":
                    return (("Job Running", 100),) * int(fault.option("polls")) + script[-1:], None
                case _:
                    return ((str(fault.option("value")), 50), *script[-1:]), None
        return script, None


def _names(fault: Fault, account_id: str) -> bool:
    wanted = fault.option("account")
    return wanted is None or str(wanted).removeprefix("act_") == account_id


def _error_of(fault: Fault, call: Call, usages: Usages, *, is_insights: bool) -> MetaError | None:
    match fault.kind:
        case "error":
            return _any_error(fault)
        case "rate_limit":
            found = usages.limit(str(fault.option("limit")), is_insights=is_insights)
            if fault.option("status"):
                found.status = int(fault.option("status"))
            return found
        case "expired_token":
            return errors.error("expired_token")
        case "revoked_token":
            subcode = int(fault.option("subcode"))
            names = {460: "password_changed", 458: "app_removed", 459: "checkpoint", 464: "unconfirmed"}
            return errors.error(names.get(subcode, "invalid_token"), subcode=subcode)
        case "no_permission":
            return errors.error(_STYLES.get(str(fault.option("style")), "no_permission"))
        case "server_error":
            return errors.error("unknown", status=int(fault.option("status")))
        case "transient":
            return errors.error("transient")
        case "reduce_data":
            limit = int(call.parameters.get("limit") or 25)
            return errors.error("reduce") if limit > int(fault.option("above_limit")) else None
        case "data_limit":
            is_large = is_insights and days_of(call) > int(fault.option("above_days"))
            return errors.error("data_limit") if is_large else None
        case "sync_timeout":
            return errors.error("sync_timeout") if is_insights and call.method == "GET" else None
        case "bad_cursor":
            return errors.error("bad_cursor") if call.parameters.get("after") else None
    return None


def _any_error(fault: Fault) -> MetaError:
    given = {
        name: value for name in ("code", "subcode", "status", "message", "transient")
        if (value := fault.option(name)) is not None
    }  # fmt: skip
    if "code" in given and fault.option("name") == "unknown":
        base = MetaError(int(given["code"]), f"(#{given['code']}) An error of the emulator")
    else:
        base = errors.error(str(fault.option("name")))
    for name, value in given.items():
        setattr(base, name, value)
    return base


def days_of(call: Call) -> int:
    """How many days a call's time_range covers; 30 without one."""
    try:
        asked = orjson.loads(call.parameters.get("time_range", ""))
        return (date.fromisoformat(asked["until"]) - date.fromisoformat(asked["since"])).days + 1
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return 30


def _surprised(
    fault: Fault, rows: list[dict[str, Any]], first_day: date | None
) -> list[dict[str, Any]] | None:
    """The rows with the fault in the first one that can have it; null if none can."""
    if fault.kind == "foreign_day":
        if first_day is None or not rows or "date_start" not in rows[0]:
            return None
        day = (first_day - timedelta(days=int(fault.option("days")))).isoformat()
        rows[0] |= {"date_start": day, "date_stop": day}
        return rows
    if fault.kind == "duplicate_row":
        return [rows[0], *rows] if rows else None
    if fault.kind == "late_conversion":
        return _with_late_conversion(rows)
    changes: dict[str, Callable[[Fault, dict[str, Any]], bool]] = {
        "changed_id_type": _change_ids,
        "number_as_text": _numbers_as_text,
        "text_as_number": _text_as_numbers,
        "null": _null,
        "missing_field": _missing,
        "new_field": _new_field,
        "unknown_enum": _unknown_enum,
    }
    change = changes[fault.kind]
    return rows if any(change(fault, row) for row in rows) else None


def _with_late_conversion(rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    model = next((row for row in rows if "ad_id" in row and "date_start" in row), None)
    if model is None:
        return None
    late = {
        name: value
        for name, value in model.items()
        if name.endswith(("_id", "_name", "_currency"))
        or name.startswith("date_")
        or name == "attribution_setting"
    }
    late["ad_id"] = number_of("late", model["ad_id"], digits=18)
    late |= {"spend": "0", "impressions": "0"}
    late["actions"] = [{"action_type": name, "value": "1"} for name in ("omni_purchase", "purchase")]
    late["action_values"] = [{"action_type": name, "value": "80"} for name in ("omni_purchase", "purchase")]
    return [*rows, late]


def _change_ids(fault: Fault, row: dict[str, Any]) -> bool:
    names = [fault.option("field")] if fault.option("field") else [
        name for name in row if name == "id" or name.endswith("_id")
    ]  # fmt: skip
    changed = False
    for name in names:
        if isinstance(row.get(name), str) and row[name].isdecimal():
            row[name] = int(row[name])
            changed = True
    return changed


def _numbers_as_text(fault: Fault, row: dict[str, Any]) -> bool:
    wanted, text = fault.option("field"), fault.option("text")
    for name, value in row.items():
        if wanted not in (None, name):
            continue
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if text is not None and (is_number or (isinstance(value, str) and _is_figure(name, value))):
            row[name] = text
            return True
        if is_number:
            row[name] = str(value)
            return True
    return False


def _is_figure(name: str, value: str) -> bool:
    if name == "id" or name.endswith(("_id", "_time")) or name.startswith("date_"):
        return False
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _text_as_numbers(fault: Fault, row: dict[str, Any]) -> bool:
    wanted, changed = fault.option("field"), False
    for name, value in row.items():
        if wanted in (None, name) and isinstance(value, str) and _is_figure(name, value):
            row[name] = float(value)
            changed = True
    return changed


def _null(fault: Fault, row: dict[str, Any]) -> bool:
    name = fault.option("field") or next(
        (each for each in ("impressions", "spend", "name", "id") if each in row), ""
    )
    if name not in row:
        return False
    row[name] = None
    return True


def _missing(fault: Fault, row: dict[str, Any]) -> bool:
    name = fault.option("field") or next((each for each in ("ad_id", "impressions", "id") if each in row), "")
    return row.pop(name, None) is not None


def _new_field(fault: Fault, row: dict[str, Any]) -> bool:
    row[str(fault.option("field"))] = fault.option("value")
    return True


def _unknown_enum(fault: Fault, row: dict[str, Any]) -> bool:
    wanted = fault.option("field")
    if wanted in (None, "action_type") and row.get("actions"):
        row["actions"][0]["action_type"] = str(fault.option("value")).lower()
        return True
    name = wanted or next((each for each in _ENUMS if each in row), "")
    if name not in row:
        return False
    row[name] = 777 if isinstance(row[name], int) else fault.option("value")
    return True
