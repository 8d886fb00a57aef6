"""Asynchronous report runs. A run moves on by one step of its script each time it is polled."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulator.meta.catalog import number_of
from emulator.meta.errors import MetaError, error, unknown_field
from emulator.meta.insights import Query

EXPIRES_SECONDS = 30 * 86_400
Step = tuple[str, int]
# `Job Running` at 100 % is not done yet: fetching then fails.
SCRIPT: tuple[Step, ...] = (
    ("Job Not Started", 0), ("Job Started", 0), ("Job Running", 40), ("Job Running", 100), ("Job Completed", 100),
)  # fmt: skip
FIELDS = (
    "id", "account_id", "time_ref", "time_completed", "async_status", "async_percent_completion", "is_running",
    "date_start", "date_stop", "error_code", "error_subcode", "error_message", "error_user_title", "error_user_msg",
)  # fmt: skip
_ENDS = ("Job Completed", "Job Failed", "Job Skipped")


@dataclass
class Job:
    """One run: the query as it was asked and when, and how it goes on."""

    id: str
    account_id: str
    query: Query
    asked_at: datetime
    script: Sequence[Step]
    failure: MetaError | None = None
    place: int = -1
    completed_at: int = 0
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The status last shown (or to be shown first)."""
        return self.script[max(0, self.place)][0]

    @property
    def is_done(self) -> bool:
        """True when results can be fetched."""
        return self.place >= 0 and self.script[self.place] == ("Job Completed", 100)

    def poll(self, now: datetime) -> None:
        """Move on by one step; the last one stays."""
        self.place = min(self.place + 1, len(self.script) - 1)
        if self.status in _ENDS and not self.completed_at:
            self.completed_at = int(now.timestamp())

    def shown(self, names: Sequence[str]) -> dict[str, Any]:
        """What a poll answers."""
        status, percent = self.script[max(0, self.place)]
        content: dict[str, Any] = {
            "id": self.id,
            "account_id": self.account_id,
            "time_ref": int(self.asked_at.timestamp()),
            "time_completed": self.completed_at,
            "async_status": status,
            "async_percent_completion": percent,
            "is_running": status not in _ENDS,
            "date_start": self.query.first_day.isoformat(),
            "date_stop": self.query.last_day.isoformat(),
        }
        if status == "Job Failed" and self.failure is not None:
            content |= {
                "error_code": self.failure.code,
                "error_message": self.failure.message,
                "error_subcode": self.failure.subcode,
                "error_user_title": self.failure.title or self.failure.message,
                "error_user_msg": self.failure.explanation or "Ask for less at once",
            }
        for name in names:
            if name not in FIELDS:
                raise unknown_field(name, "AdReportRun")
        return {name: value for name, value in content.items() if not names or name in names or name == "id"}


class Jobs:
    """All runs of this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all runs."""
        self.script: tuple[Step, ...] = SCRIPT
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)

    def submit(
        self,
        account_id: str,
        query: Query,
        now: datetime,
        parameters: dict[str, str],
        script: Sequence[Step] | None = None,
        failure: MetaError | None = None,
    ) -> Job:
        """A new run."""
        number = number_of("run", account_id, now.timestamp(), next(self._numbers), digits=16)
        job = Job(number, account_id, query, now, script or self.script, failure, parameters=parameters)
        self._jobs[number] = job
        return job

    def find(self, number: str, now: datetime) -> Job | None:
        """A run by id; none when it is unknown or older than 30 days."""
        job = self._jobs.get(number)
        if job is None or (now - job.asked_at).total_seconds() > EXPIRES_SECONDS:
            return None
        return job

    def lose(self, number: str) -> None:
        """Forget one run."""
        self._jobs.pop(number, None)

    def __contains__(self, number: str) -> bool:
        return number in self._jobs


def not_ready() -> MetaError:
    """The answer to fetching too early."""
    return error("not_ready")
