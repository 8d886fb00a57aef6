"""Usage headers and the call quota.

One counter per ad account over the last hour. Beyond the quota the account is blocked for a while: every call is
refused with an error of the throttle family (the HTTP status alternates, as it does in the wild), and the headers
announce the wait, minutes in one and seconds in another.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from emulator.clock import Clock
from emulator.meta.errors import MetaError, error

_HOUR = 3600.0
_ERRORS = {
    "buc": ("insights_limit", "management_limit"),
    "account": ("account_limit", "account_limit"),
    "app": ("app_limit", "app_limit"),
    "calls": ("call_rate", "call_rate"),
    "load": ("insights_load", "insights_load"),
}
LIMIT_KINDS = tuple(_ERRORS)


@dataclass
class Quota:
    """Calls allowed per account and hour, how long a block lasts, and with which errors it answers in turn."""

    calls: int = 190_000
    block_seconds: float = 60.0
    kinds: tuple[str, ...] = ("buc", "account", "app")
    tier: str = "standard_access"


@dataclass
class _Usage:
    calls: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0


@dataclass(frozen=True)
class Shown:
    """What the headers of one answer say. `percent` of the quota; `wait` seconds until calls pass again."""

    account_id: str
    percent: float
    wait: float
    is_insights: bool
    tier: str


class Usages:
    """Counts calls by account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.quota = Quota()
        self.reset()

    def reset(self) -> None:
        """Begin at zero, with the default quota."""
        self.quota = Quota()
        self._accounts: dict[str, _Usage] = {}
        self._turn = itertools.count()
        self._statuses = itertools.cycle((400, 403))

    def use(self, account_id: str, *, is_insights: bool) -> tuple[Shown, MetaError | None]:
        """Count a call; the error if the account is blocked (such calls don't count)."""
        now = self._clock.elapsed()
        usage = self._accounts.setdefault(account_id, _Usage())
        while usage.calls and usage.calls[0] <= now - _HOUR:
            usage.calls.popleft()
        if usage.blocked_until > now:
            return self._blocked(account_id, usage.blocked_until - now, is_insights)
        if usage.blocked_until:
            usage.calls.clear()
            usage.blocked_until = 0.0
        usage.calls.append(now)
        if len(usage.calls) > self.quota.calls:
            usage.blocked_until = now + self.quota.block_seconds
            return self._blocked(account_id, self.quota.block_seconds, is_insights)
        percent = 100.0 * len(usage.calls) / self.quota.calls
        return Shown(account_id, percent, 0.0, is_insights, self.quota.tier), None

    def _blocked(self, account_id: str, wait: float, is_insights: bool) -> tuple[Shown, MetaError]:
        kinds = self.quota.kinds
        shown = Shown(account_id, 100.0, wait, is_insights, self.quota.tier)
        return shown, self.limit(kinds[next(self._turn) % len(kinds)], is_insights=is_insights)

    def limit(self, kind: str, *, is_insights: bool) -> MetaError:
        """The error of a throttle kind; its HTTP status alternates."""
        if kind not in _ERRORS:
            raise KeyError(f"There is no limit {kind!r}. There is: {', '.join(LIMIT_KINDS)}.")
        return error(_ERRORS[kind][0 if is_insights else 1], status=next(self._statuses))


def headers(shown: Shown) -> dict[str, str]:
    """The usage headers of one answer."""
    percent = round(shown.percent)
    use_case: dict[str, Any] = {
        "type": "ads_insights" if shown.is_insights else "ads_management",
        "call_count": percent,
        "total_cputime": percent // 4,
        "total_time": percent // 3,
        "estimated_time_to_regain_access": math.ceil(shown.wait / 60.0),
        "ads_api_access_tier": shown.tier,
    }
    app = {"call_count": percent, "total_time": percent // 3, "total_cputime": percent // 4}
    account = {
        "acc_id_util_pct": round(shown.percent, 2),
        "reset_time_duration": math.ceil(shown.wait),
        "ads_api_access_tier": shown.tier,
    }
    found = {
        "x-app-usage": _json(app),
        "x-ad-account-usage": _json(account),
        "x-business-use-case-usage": _json({shown.account_id: [use_case]}),
    }
    if shown.is_insights:
        throttle = {
            "app_id_util_pct": round(shown.percent / 2, 2),
            "acc_id_util_pct": round(shown.percent, 2),
            "ads_api_access_tier": shown.tier,
        }
        found["x-fb-ads-insights-throttle"] = _json(throttle)
    return found


def _json(content: dict[str, Any]) -> str:
    return orjson.dumps(content).decode()
