"""Calls to vendors' APIs: retries, waits, and silence about tokens.

One `Http` serves one credential. What an answer means is the vendor's business: `judge` turns an answer into data or
raises; this module decides what happens next.

    TransientError    backoff with jitter, a limited number of tries; network trouble and answers cut short count too
    QuotaError        wait as long as the vendor says (not a try), at most `longest_wait` in all, then raised
    everything else   raised at once

The token travels in the Authorization header. It is in no URL, no message and no repr; neither are parameters, since
proofs and secrets may be among them: messages name method and path only. Redirects are not followed (a foreign host
would get the header) and .netrc is not read (it would replace it).
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import requests
from requests.auth import AuthBase

from dlt_pipelines.common.errors import CancelledError, QuotaError, TransientError
from dlt_pipelines.common.tokens import Secret

CALLS_PER_ACCOUNT = 5
SLICE_SECONDS = 0.5
NOTICED_SECONDS = 20.0

_slots: dict[str, threading.BoundedSemaphore] = defaultdict(
    lambda: threading.BoundedSemaphore(CALLS_PER_ACCOUNT)
)
_slots_lock = threading.Lock()


@contextmanager
def account_slot(account: str) -> Iterator[None]:
    """One of the few calls that may be under way for an account at a time, in this process."""
    with _slots_lock:
        slot = _slots[account]
    with slot:
        yield


class _Bearer(AuthBase):
    """The header, set on each request; given as `auth` so that .netrc does not replace it."""

    def __init__(self, token: Secret | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


@dataclass(frozen=True)
class Answer:
    """What came back. `data` is the JSON content, None where it is none (HTML, empty, cut off)."""

    status: int
    headers: Mapping[str, str]
    data: Any
    is_json: bool


@dataclass(frozen=True)
class Patience:
    """How long to try. Seconds; waits for a quota count against `longest_wait` only."""

    tries: int = 8
    base: float = 1.0
    cap: float = 300.0
    longest_wait: float = 3600.0
    default_quota_wait: float = 300.0
    timeout: tuple[float, float] = (10.0, 180.0)


@dataclass
class Usage:
    """Counted over the life of an `Http`, for the import log."""

    calls: int = 0
    failed: int = 0
    waited: float = 0.0
    retries: int = 0
    quota: dict[str, Any] = field(default_factory=dict)


Judge = Callable[[Answer], Any]
Parse = Callable[[bytes], Any]  # raises ValueError for what is no JSON


@dataclass
class Http:
    """Calls below one base address with one token.

    sleep, cancelled   injected: a wait is cut in slices and ends early with CancelledError
    notice             told in a sentence when a wait is long enough to be noticed
    pace               from an answer's headers, seconds to wait before the next call of that account
    """

    base_url: str
    token: Secret | None = field(default=None, repr=False)
    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], None] = time.sleep
    cancelled: Callable[[], bool] = lambda: False
    pace: Callable[[Mapping[str, str]], float] = lambda headers: 0.0
    notice: Callable[[str], None] = lambda text: None
    jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.5)
    usage: Usage = field(default_factory=Usage)
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def call(
        self,
        method: str,
        path: str,
        judge: Judge,
        *,
        account: str = "",
        params: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        with_token: bool = True,
        parse: Parse = orjson.loads,
    ) -> Any:
        """What `judge` makes of the answer. Raises as the module says."""
        tries = 0
        while True:
            if self.cancelled():
                raise CancelledError("The work was cancelled.")
            try:
                answer = self._send(method, path, account, params, form, with_token, parse)
                result = judge(answer)
            except TransientError as problem:
                self.usage.failed += 1
                tries += 1
                if tries >= min(self.patience.tries, problem.tries or self.patience.tries):
                    raise
                self.usage.retries += 1
                self.wait(min(self.patience.cap, self.patience.base * 2**tries * self.jitter()))
            except QuotaError as problem:
                self.usage.failed += 1
                seconds = problem.retry_after
                if seconds is None:
                    seconds = self.patience.default_quota_wait
                if self.usage.waited + seconds > self.patience.longest_wait:
                    problem.retry_after = seconds
                    raise
                self.usage.waited += seconds
                self.wait(seconds)
            except BaseException:
                self.usage.failed += 1
                raise
            else:
                # The answer is in hand: a pause beyond our patience becomes the next call's problem.
                self.rest(self.pace(answer.headers))
                return result

    def rest(self, seconds: float) -> bool:
        """Wait because the platform is busy; False, without waiting, where that is beyond our patience."""
        if self.usage.waited + seconds > self.patience.longest_wait:
            return False
        self.usage.waited += seconds
        self.wait(seconds)
        return True

    def wait(self, seconds: float) -> None:
        """Sleep, unless somebody cancels meanwhile."""
        if seconds >= NOTICED_SECONDS:
            self.notice(f"The platform is waited for: {_duration(seconds)}.")
        while seconds > 0:
            if self.cancelled():
                raise CancelledError("The work was cancelled while it waited for the platform.")
            part = min(seconds, SLICE_SECONDS)
            self.sleep(part)
            seconds -= part

    def _send(
        self,
        method: str,
        path: str,
        account: str,
        params: Mapping[str, Any] | None,
        form: Mapping[str, Any] | None,
        with_token: bool,
        parse: Parse,
    ) -> Answer:
        where = f"{method} {path}"
        with account_slot(account):
            self.usage.calls += 1
            try:
                response = self.session.request(
                    method,
                    self.base_url.rstrip("/") + path,
                    params=params,
                    data=form,
                    auth=_Bearer(self.token if with_token else None),
                    timeout=self.patience.timeout,
                    allow_redirects=False,
                )
            except requests.RequestException as problem:
                # Its text holds the whole address: only the kind of trouble is told.
                kind = _kind_of(problem)
                raise TransientError(
                    f"{where} failed: {kind}.", "Check the network and the address; then try again."
                ) from None
        if _is_cut(response):
            raise TransientError(
                f"{where} failed: the answer was cut off.",
                "Check the network and the address; then try again.",
            )
        content = response.content
        try:
            data = parse(content)
        except ValueError:
            return Answer(response.status_code, response.headers, None, False)
        return Answer(response.status_code, response.headers, data, True)


def _is_cut(response: requests.Response) -> bool:
    """Whether fewer bytes came than were announced: urllib3 before 2 does not mind."""
    announced = response.headers.get("Content-Length", "")
    if not announced.isdigit() or response.raw is None:
        return False
    return int(response.raw.tell()) < int(announced)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _kind_of(problem: requests.RequestException) -> str:
    if isinstance(problem, requests.exceptions.SSLError):
        return "the certificate was not accepted"
    if isinstance(problem, requests.exceptions.ConnectTimeout):
        return "nobody answered in time"
    if isinstance(problem, requests.exceptions.ReadTimeout):
        return "the answer did not come in time"
    if isinstance(problem, requests.exceptions.ChunkedEncodingError):
        return "the answer was cut off"
    if isinstance(problem, requests.exceptions.ConnectionError):
        return "the connection could not be made or broke"
    return type(problem).__name__
