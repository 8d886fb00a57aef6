"""Meta's error envelope, and the errors this API gives, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass
class MetaError(Exception):
    """One error as a client sees it; `headers` are extra ones of that answer."""

    code: int
    message: str
    subcode: int | None = None
    status: int = 400
    type: str = "OAuthException"
    transient: bool = False
    title: str | None = None
    explanation: str | None = None
    data: Any = None

    def envelope(self, trace: str) -> dict[str, Any]:
        """The body of the answer."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["is_transient"] = self.transient
        if self.title is not None:
            error["error_user_title"] = self.title
        if self.explanation is not None:
            error["error_user_msg"] = self.explanation
        if self.data is not None:
            error["error_data"] = self.data
        return {"error": {**error, "fbtrace_id": trace}}


_CATALOGUE: dict[str, MetaError] = {
    "unknown": MetaError(1, "An unknown error occurred", 99, 500, transient=False),
    "reduce": MetaError(
        1, "Please reduce the amount of data you're asking for, then retry your request", None, 500
    ),
    "delegate_page": MetaError(1, "The profile is not linked to the delegate page", 2853001),
    "transient": MetaError(2, "Service temporarily unavailable", None, 500, transient=True),
    "sync_timeout": MetaError(2, "The report took too long", 1504038, transient=True),
    "sync_timeout_100": MetaError(100, "The report took too long", 1504018),
    "invalid_breakdowns": MetaError(2, "Invalid combination of breakdowns", 1504041),
    "custom_metrics": MetaError(2, "Invalid custom metrics", 1504042),
    "intermittent": MetaError(2, "The report could not be made this time", 1504043, transient=True),
    "unknown_report": MetaError(2, "The report could not be made", 1504044, transient=True),
    "report_failed": MetaError(-2, "The report failed", 2490547),
    "report_too_large": MetaError(-3, "Report too large", 1504045),
    "app_limit": MetaError(4, "(#4) Application request limit reached", None, transient=True),
    "insights_load": MetaError(4, "(#4) Too many insights calls everywhere", 1504022, transient=True),
    "insights_load_2": MetaError(4, "(#4) Too many insights calls everywhere", 1504039, transient=True),
    "permission_10": MetaError(10, "(#10) Application does not have permission for this action", None, 403),
    "account_limit": MetaError(17, "(#17) User request limit reached", 2446079),
    "page_limit": MetaError(32, "(#32) Page request limit reached"),
    "invalid_parameter": MetaError(100, "Invalid parameter"),
    "missing_permissions": MetaError(100, "(#100) Missing permissions"),
    "invisible": MetaError(
        100,
        "Unsupported get request. The object does not exist or is not visible",
        33,
        type="GraphMethodException",
    ),
    "invisible_page": MetaError(100, "The object is not visible", 3191001),
    "data_limit": MetaError(
        100,
        "Too many data points in one call",
        1487534,
        title="Too much data",
        explanation="Ask for less at once.",
    ),
    "unreadable_creative": MetaError(100, "The post of this creative can't be read", 2446211),
    "session": MetaError(102, "The session is invalid", None, 401),
    "signature": MetaError(104, "Incorrect signature"),
    "reset": MetaError(104, "Connection reset by peer"),
    "too_many_parameters": MetaError(105, "Too many parameters"),
    "invalid_token": MetaError(190, "Invalid OAuth access token", 467),
    "expired_token": MetaError(190, "The access token has expired", 463),
    "password_changed": MetaError(190, "The session is no longer valid: the password changed", 460),
    "app_removed": MetaError(190, "The user removed the application", 458),
    "checkpoint": MetaError(190, "The user must pass a checkpoint", 459),
    "unconfirmed": MetaError(190, "The user is not confirmed", 464),
    "page_permission": MetaError(190, "One more permission(s) must be granted for this page"),
    "no_permission": MetaError(200, "(#200) The owner of the ad account has not granted ads_read", None, 403),
    "permission_294": MetaError(294, "(#294) Managing ads needs the permission of the user", None, 403),
    "permission_299": MetaError(299, "(#299) Not permitted to this application", None, 403),
    "limit_341": MetaError(341, "(#341) A limit has been reached"),
    "blocked": MetaError(368, "(#368) Temporarily blocked for policy violations", None, 403),
    "call_rate": MetaError(613, "(#613) Calls to this API have exceeded the rate limit", 1487742),
    "call_rate_2": MetaError(613, "(#613) Calls to this API have exceeded the rate limit", 5044001),
    "call_rate_3": MetaError(613, "(#613) Calls to this API have exceeded the rate limit", 1996),
    "reach_rate": MetaError(
        613, "Reach-related metric breakdowns are unavailable due to rate limit threshold.", transient=True
    ),
    "batch_timeout": MetaError(960, "The batch took too long", None, 500, transient=True),
    "bad_syntax": MetaError(2500, "Unknown path components", type="OAuthException"),
    "not_ready": MetaError(2601, "The report run is not ready yet", 1815107, transient=True),
    "retired_version": MetaError(2635, "(#2635) This API version is deprecated"),
    "bad_cursor": MetaError(2642, "(#2642) Invalid cursors values"),
    "invalid_query": MetaError(3001, "(#3001) Invalid query"),
    "too_old": MetaError(3018, "(#3018) The start date of the time range can't be more than 37 months ago"),
    "insights_limit": MetaError(
        80000, "(#80000) There have been too many calls from this ad-account.", 2446079
    ),
    "audience_limit": MetaError(
        80003, "(#80003) There have been too many calls from this ad-account.", 2446079
    ),
    "management_limit": MetaError(
        80004, "(#80004) There have been too many calls to this ad-account.", 2446079
    ),
    "suspended": MetaError(1404163, "The ad account is restricted from advertising", status=403),
    "summary_fields": MetaError(
        100,
        "Cannot include {fields} in summary param because they weren't there while creating the report run",
    ),
}

NAMES = tuple(sorted(_CATALOGUE))


def error(name: str, message: str | None = None, **changes: Any) -> MetaError:
    """The error of that name; what differs is given. Raises KeyError for an unknown name."""
    if name not in _CATALOGUE:
        raise KeyError(f"There is no error {name!r}. There is: {', '.join(NAMES)}.")
    if message is not None:
        changes["message"] = message
    return replace(_CATALOGUE[name], **changes)


def invalid(message: str, **changes: Any) -> MetaError:
    """Code 100 with a message of its own."""
    return error("invalid_parameter", f"(#100) {message}", **changes)


def unknown_field(field: str, node: str) -> MetaError:
    """Code 100 for a field the node has not; one such field fails the whole query."""
    return invalid(f"Tried accessing nonexisting field ({field}) on node type ({node})")
