"""Report runs: submitted a few at a time, polled together, fetched when they are done.

Done     only `Job Completed` at 100 %. A run that says so and cannot be fetched yet (2601) is polled on
Failed   a run that failed, was skipped, got lost or took too long is submitted once more; the second time it is too
         much data (TooMuchDataError), and whoever asked makes it smaller
Limits   few runs at a time, and none is submitted while the throttle header shows 90 % or more
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from dlt_pipelines.common.errors import (
    AccessDeniedError,
    AegisError,
    ContractError,
    QuotaError,
    TooMuchDataError,
    TransientError,
)
from dlt_pipelines.common.http import Parse
from dlt_pipelines.meta.errors import NotReadyError, ReportError, UnknownFieldError, error_of

if TYPE_CHECKING:
    from dlt_pipelines.meta.client import Client

Row = dict[str, Any]
Page = list[Any]

FULL_PERCENT = 90.0
FULL_PAUSE = 60.0
REPORT_PAGE = 500


@dataclass(frozen=True)
class Polling:
    """How report runs are waited for, in seconds, and how many may be under way for an account."""

    start: float = 5.0
    factor: float = 1.5
    cap: float = 30.0
    longest: float = 3600.0
    at_once: int = 5


@dataclass(frozen=True)
class Query:
    """What a run reports on."""

    fields: tuple[str, ...]
    params: Mapping[str, Any]


@dataclass
class _Run:
    query: Query
    number: str
    attempt: int
    begun: float
    waited: float = 0.0


class Reports:
    """The runs of one account."""

    def __init__(self, client: Client, account: str) -> None:
        self._client = client
        self._account = account
        self._polling = client.polling

    def read(self, queries: Iterable[Query], parse: Parse = orjson.loads) -> Iterator[Page]:
        """The pages of all these reports, in no order; rows may come twice."""
        waiting = deque((query, 1) for query in queries)
        running: list[_Run] = []
        pause = self._polling.start
        while waiting or running:
            while waiting and len(running) < self._polling.at_once and self._may_submit(bool(running)):
                query, attempt = waiting.popleft()
                try:
                    running.append(self._submit(query, attempt))
                except ReportError as problem:
                    waiting.append((query, _next(attempt, problem)))
            has_moved = False
            for run, state in zip(list(running), self._states(running), strict=True):
                try:
                    if not self._is_done(run, state):
                        continue
                    yield from self._client.pages(
                        f"/{run.number}/insights", self._account, (), REPORT_PAGE, parse
                    )
                except NotReadyError:
                    continue
                except ReportError as problem:
                    waiting.append((run.query, _next(run.attempt, problem)))
                running.remove(run)
                has_moved = True
            if has_moved or not running:
                pause = self._polling.start
                continue
            self._client.http.wait(pause)
            for run in running:
                run.waited += pause
            pause = min(self._polling.cap, pause * self._polling.factor)

    def _may_submit(self, has_others: bool) -> bool:
        """Not while the platform is nearly full: the others are polled on, or, with none, a while is waited."""
        client = self._client
        while client.throttle >= FULL_PERCENT:
            if has_others:
                return False
            if not client.http.rest(FULL_PAUSE):
                raise QuotaError(
                    f"Meta's reports stay {client.throttle:.0f} % full.",
                    "The next sync goes on where this one stopped.",
                    FULL_PAUSE,
                )
            client.throttle = 0.0
            client.get(f"/act_{self._account}/insights", self._account, limit=1)
        return True

    def _submit(self, query: Query, attempt: int) -> _Run:
        client = self._client
        while True:
            asked = client.known(query.fields)
            form = {**query.params, "fields": orjson.dumps(asked).decode()}
            try:
                answer = client.call("POST", f"/act_{self._account}/insights", self._account, form=form)
            except UnknownFieldError as problem:
                client.drop(problem, asked)
                continue
            number = answer.get("report_run_id") if isinstance(answer, dict) else None
            if not isinstance(number, (str, int)) or isinstance(number, bool) or not str(number).isdigit():
                raise ReportError("Meta took a report and gave no number for it.")
            return _Run(query, str(number), attempt, client.clock())

    def _states(self, running: list[_Run]) -> list[Row | AegisError | None]:
        """What each run says; nothing where the platform did not get to it."""
        if len(running) == 1:
            try:
                return [self._client.get(f"/{running[0].number}", self._account)]
            except AccessDeniedError as problem:
                return [problem]
        return self._client.batch(self._account, [f"{run.number}/" for run in running])

    def _is_done(self, run: _Run, state: Row | AegisError | None) -> bool:
        """Whether it can be fetched. Raises ReportError when it failed, was skipped, lost or too slow."""
        if isinstance(state, AccessDeniedError) and state.code == "100/33":
            raise ReportError("Meta lost a report run.")
        if isinstance(state, QuotaError):
            if not self._client.http.rest(state.retry_after or FULL_PAUSE):
                raise state
        elif isinstance(state, AegisError) and not isinstance(state, TransientError):
            raise state
        if isinstance(state, dict):
            status, percent = state.get("async_status"), state.get("async_percent_completion")
            if status == "Job Failed":
                raise _failure(state)
            if status == "Job Skipped":
                raise ReportError("Meta skipped a report run.")
            if status == "Job Completed" and percent == 100:
                return not self._is_late(run)
        self._is_late(run)
        return False

    def _is_late(self, run: _Run) -> bool:
        longest = self._polling.longest
        if max(run.waited, self._client.clock() - run.begun) >= longest:
            raise ReportError(f"A report run was not done after {longest / 60:.0f} minutes.")
        return False


def _next(attempt: int, problem: ReportError) -> int:
    if attempt == 1:
        return 2
    raise TooMuchDataError(f"{problem.message} It failed twice.", "Ask for fewer days.") from None


def _failure(state: Row) -> Exception:
    """What a failed run means: too large, or worth another try."""
    found = error_of(
        {
            "code": state.get("error_code"),
            "error_subcode": state.get("error_subcode"),
            "message": state.get("error_message") or "the report failed",
        },
        {},
    )
    if isinstance(found, TooMuchDataError) or (isinstance(found, ContractError) and state.get("error_code")):
        return found
    return ReportError(found.message)
