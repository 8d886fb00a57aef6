"""Meta's answers: data, or the error family that says what to do about it.

The same throttle comes as HTTP 400, 403 or 429, so the code and subcode decide, never the status. Messages are
matched only where the table below says so; the localised `error_user_msg` never is. A message may quote a token:
it is scrubbed before it goes anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from dlt_pipelines.common.errors import (
    AccessDeniedError,
    AegisError,
    AuthError,
    ContractError,
    QuotaError,
    SuspendedError,
    TooMuchDataError,
    TransientError,
    VendorError,
)
from dlt_pipelines.common.http import Answer

RECONNECT = "Log in again: aegis account connect meta --tenant …"


class ReduceDataError(TooMuchDataError):
    """ "Please reduce the amount of data": a smaller page may do."""


class SyncTimeoutError(TooMuchDataError):
    """The synchronous report took too long: go asynchronous, or halve the window."""


class ReportError(VendorError):
    """A report run failed; it may be submitted again."""


class NotReadyError(VendorError):
    """The run is not done yet, whatever its status said."""


class StaleCursorError(VendorError):
    """The cursor is no longer good: begin that edge again."""


class UnknownFieldError(ContractError):
    """One field fails the whole query. `field` can be left out."""

    def __init__(self, message: str, hint: str, field: str) -> None:
        super().__init__(message, hint)
        self.field = field


class TooOldError(ContractError):
    """The window begins before what the platform keeps."""


class BatchTimeoutError(VendorError):
    """A batch took too long: a smaller one may do."""


class UnreadableCreativeError(VendorError):
    """A story of this page cannot be read; without `object_story_spec` it can."""


Make = Callable[[str, int, Mapping[str, str]], AegisError]

_FIELD = re.compile(r"nonexisting field \((\w+)\)|\(#100\) (\w+) is not valid for fields param")
_TOKEN = re.compile(r"\bEA[A-Za-z0-9_\-]{16,}")


def scrub(text: str) -> str:
    """One line of at most 300 characters without anything that looks like a token."""
    plain = _TOKEN.sub("…", " ".join(str(text).split()))
    plain = re.sub(r"(access_token|client_secret|appsecret_proof|fb_exchange_token)=[^&\s]+", r"\1=…", plain)
    return plain if len(plain) <= 300 else plain[:299] + "…"


# -- what each code asks for --------------------------------------------------------------------------------


def _transient(tries: int | None = 5) -> Make:
    return lambda text, hits, headers: TransientError(
        text, "It passes by itself: the next sync asks again.", tries
    )


def _too_much(text: str, hits: int, headers: Mapping[str, str]) -> AegisError:
    return TooMuchDataError(text, "Ask for fewer days at once.")


def _wait(default: float) -> Make:
    def make(text: str, hits: int, headers: Mapping[str, str]) -> AegisError:
        announced = announced_wait(headers)
        seconds = announced if announced > 0 else min(3600.0, default * 2**hits)
        return QuotaError(text, "The next sync goes on where this one stopped.", seconds)

    return make


def _denied(text: str, hits: int, headers: Mapping[str, str]) -> AegisError:
    return AccessDeniedError(
        text, "Give the person or system user access to this ad account in the Business Manager."
    )


def _suspended(text: str, hits: int, headers: Mapping[str, str]) -> AegisError:
    return SuspendedError(text, "The platform has restricted this account; only the platform can lift that.")


def _token(text: str, hits: int, headers: Mapping[str, str]) -> AegisError:
    return AuthError(text, RECONNECT)


def _config(hint: str) -> Make:
    return lambda text, hits, headers: ContractError(text, hint)


def _is(kind: type[AegisError]) -> Make:
    return lambda text, hits, headers: kind(text)


_INVALID = _config("The request is not what this version of the API understands.")
# (code, subcode) first, then (code, None).
TABLE: dict[tuple[int, int | None], Make] = {
    (1, 2853001): _config("Link the profile to a page, or use a system user's token."),
    (1, None): _transient(),
    (2, 1504038): _is(SyncTimeoutError),
    (2, 1504041): _config("This combination of breakdowns does not exist."),
    (2, 1504042): _config("These metrics cannot be asked for together."),
    (2, None): _transient(),
    (-2, None): _is(ReportError),
    (-3, 1504045): _too_much,
    (4, 1504022): _wait(60),
    (4, 1504039): _wait(60),
    (4, None): _wait(300),
    (10, None): _denied,
    (17, None): _wait(300),
    (32, None): _wait(300),
    (100, 33): _denied,
    (100, 3191001): _denied,
    (100, 1504018): _is(SyncTimeoutError),
    (100, 1487534): _too_much,
    (100, 2446211): _is(UnreadableCreativeError),
    (100, 1443048): _is(UnreadableCreativeError),
    (100, 2446289): _is(UnreadableCreativeError),
    (100, None): _INVALID,
    (102, None): _token,
    (104, None): _token,
    (105, None): _config("Ask for fewer fields."),
    (190, None): _token,
    (200, None): _denied,
    (294, None): _denied,
    (299, None): _denied,
    (341, None): _config("The platform has reached a limit for this app or person; ask it, or wait a day."),
    (368, None): _config(
        "The platform has blocked this app or person for its policies; only it can lift that."
    ),
    (613, None): _wait(300),
    (960, None): _is(BatchTimeoutError),
    (2500, None): _INVALID,
    (2601, None): _is(NotReadyError),
    (2635, None): _config(
        "This API version has ended: set AEGIS_META_API_VERSION to one that is served, v26.0."
    ),
    (2642, None): _is(StaleCursorError),
    (3001, None): _INVALID,
    (3018, None): lambda text, hits, headers: TooOldError(
        text, "Meta keeps 37 months; begin later with --from."
    ),
    (1404163, None): _suspended,
}
for _code in (80000, 80001, 80002, 80003, 80004, 80005, 80006, 80008, 80009, 80014):
    TABLE[(_code, None)] = _wait(300)


class Judge:
    """Answers of one client. Counts limits in a row, so that waits without an announcement grow."""

    def __init__(self) -> None:
        self._hits = 0

    def __call__(self, answer: Answer) -> Any:
        """The data. Raises the error of the table."""
        if 300 <= answer.status < 400:
            raise ContractError(
                f"Meta's address redirects (HTTP {answer.status}).", "Correct AEGIS_META_BASE_URL."
            )
        if not answer.is_json:
            raise TransientError(
                f"Meta answered with something that is no complete JSON (HTTP {answer.status}).",
                "It passes by itself: the next sync asks again.",
                5,
            )
        envelope = answer.data.get("error") if isinstance(answer.data, dict) else None
        if envelope is None:
            if answer.status >= 500:
                raise TransientError(f"Meta answered HTTP {answer.status}.", "It passes by itself.", 5)
            if answer.status >= 400:
                raise ContractError(
                    f"Meta answered HTTP {answer.status} and no error of its own.",
                    "Check AEGIS_META_BASE_URL.",
                )
            self._hits = 0
            return answer.data
        problem = error_of(envelope, answer.headers, self._hits)
        if isinstance(problem, QuotaError):
            self._hits += 1
        raise problem


def error_of(envelope: Any, headers: Mapping[str, str], hits: int = 0) -> AegisError:
    """The error an envelope stands for; carries `code` as `code/subcode`."""
    if not isinstance(envelope, dict):
        return TransientError(
            f"Meta answered with an error it does not explain: {scrub(str(envelope))}.", "", 5
        )
    code, subcode = _whole(envelope.get("code")), _whole(envelope.get("error_subcode"))
    message = str(envelope.get("message") or "no message")
    name = f"{code}/{subcode}" if subcode is not None else str(code)
    text = f"Meta answered {name}: {scrub(message).rstrip('.')}."
    problem = _special(code, subcode, message, text)
    if problem is None:
        make = TABLE.get((code, subcode)) or TABLE.get((code, None)) if code is not None else None
        if make is not None:
            problem = make(text, hits, headers)
        elif envelope.get("is_transient") is True:
            problem = TransientError(text, "It passes by itself.", 5)
        elif code is not None and code < 0:
            problem = TransientError(text, "It passes by itself.", 3)
        else:
            problem = ContractError(text, "Aegis does not know this error; the platform's reference may.")
    problem.code = name  # type: ignore[attr-defined]
    return problem


def _special(code: int | None, subcode: int | None, message: str, text: str) -> AegisError | None:
    """Where the message decides."""
    if code == 1 and message.lower().startswith("please reduce the amount of data"):
        return ReduceDataError(text, "Ask for less at once.")
    if code == 104 and "reset" in message.lower():
        return TransientError(text, "It passes by itself.", 5)
    if code == 190 and subcode == 463:
        return AuthError(f"{text} The token has expired.", RECONNECT)
    if code == 190 and "permission(s) must be granted" in message:
        return AccessDeniedError(text, "Grant the permission in the platform's consent dialog.")
    if code == 100:
        if "in summary param because" in message:
            return ReportError(text)
        if "missing permissions" in message.lower():
            return _denied(text, 0, {})
        field = _FIELD.search(message)
        if field is not None and subcode is None:
            return UnknownFieldError(text, "The field is left out from now on.", field[1] or field[2])
    return None


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


# -- usage headers ------------------------------------------------------------------------------------------


def _json_header(headers: Mapping[str, str], name: str) -> Any:
    text = headers.get(name)
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _numbers(content: Any, *keys: str) -> list[float]:
    """All numbers under these keys, at any depth."""
    found: list[float] = []
    if isinstance(content, dict):
        for key, value in content.items():
            if key in keys and isinstance(value, (int, float)) and not isinstance(value, bool):
                found.append(float(value))
            else:
                found += _numbers(value, *keys)
    elif isinstance(content, list):
        for value in content:
            found += _numbers(value, *keys)
    return found


def announced_wait(headers: Mapping[str, str]) -> float:
    """Seconds the platform asks us to wait; 0 where it says nothing. One header counts minutes, the other seconds."""
    minutes = _numbers(_json_header(headers, "X-Business-Use-Case-Usage"), "estimated_time_to_regain_access")
    seconds = _numbers(_json_header(headers, "X-Ad-Account-Usage"), "reset_time_duration")
    return max([60 * value for value in minutes] + seconds, default=0.0)


_USAGE = {
    "X-App-Usage": ("call_count", "total_time", "total_cputime"),
    "X-Ad-Account-Usage": ("acc_id_util_pct",),
    "X-Business-Use-Case-Usage": ("call_count", "total_cputime", "total_time"),
    "X-FB-Ads-Insights-Throttle": ("app_id_util_pct", "acc_id_util_pct"),
}


def throttle(headers: Mapping[str, str], before: float) -> float:
    """Percent of the reports' own limit, as the newest answer that tells it says."""
    name = "X-FB-Ads-Insights-Throttle"
    found = _json_header(headers, name)
    return max(_numbers(found, *_USAGE[name]), default=before) if found is not None else before


def utilisation(headers: Mapping[str, str]) -> float:
    """The highest percentage any header shows; may exceed 100."""
    return max(
        (number for name, keys in _USAGE.items() for number in _numbers(_json_header(headers, name), *keys)),
        default=0.0,
    )


def pace(headers: Mapping[str, str]) -> float:
    """Seconds to wait before the next call: from 75 % a moment, 85 % two minutes, 95 % ten or as announced."""
    percent = utilisation(headers)
    if percent >= 95:
        return max(600.0, announced_wait(headers))
    if percent >= 85:
        return 120.0
    return 2.0 if percent >= 75 else 0.0
