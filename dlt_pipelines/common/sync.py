"""The engine: which days an account lacks, one load after another, and what is visible of it while it runs.

Order of a load  log `running` -> the vendor's pages, mapped and put aside -> raw tables through run.py, counted by
                 the database -> one transaction: coverage, quarantine, log, progress. A kill anywhere before that
                 transaction leaves raw rows nobody reads; the next sync asks for the same days again.
Failure          stays with its account, and inside an account with its window, where another window may still do
Too much data    halves the window, down to a day; sizes grow again after what went well
State            ops.sync_state, one row per sync of an account: pending, syncing, then completed (all days done),
                 partial (some), failed (none), cancelled or rate_limited (resumable)

One sync of an account at a time, by an advisory lock that ends with the process. No platform names in here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import resource
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from dlt_pipelines import registry
from dlt_pipelines.common import coverage
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.coverage import Covered, Refused, Run
from dlt_pipelines.common.errors import (
    AccessDeniedError,
    AegisError,
    AuthError,
    CancelledError,
    ContractError,
    QuotaError,
    SuspendedError,
    TooMuchDataError,
)
from dlt_pipelines.common.http import Usage
from dlt_pipelines.common.spool import Shelf, Spool
from dlt_pipelines.common.windows import Tier, Window, chunks, due_days, halves, local_day

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.sources import DltSource

SOURCE = "api"
FIRST_LOAD_DAYS = 120  # the marts look back this far
ENTITIES_STALE_AFTER = dt.timedelta(hours=1)
# A day whose rows were withheld is asked for again, closed or not; not every hour, since it may well stay so.
WITHHELD_STALE_AFTER = dt.timedelta(hours=23)
CANCEL_POLL_SECONDS = 1.0
LOCK_POLL_SECONDS = 0.5
NOT_OVER = "the day was not over"

_loading = threading.Lock()  # run.py sets the process's environment: one load at a time


# -- what a platform brings ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """One row that could not be taken. `day` where it is known and belongs to the window; a row of figures without
    one may belong to any day of it.
    """

    table: str
    reason: str
    payload: dict[str, Any]
    day: dt.date | None = None
    is_fact: bool = True


@dataclass
class Pull:
    """What was read in one go; a Shelf where a table may be long. `days` counts the rows of facts by day, refused and
    repeated ones not among them.

    `since`: the platform keeps nothing before this day; earlier days of the window were not answered.
    """

    tables: dict[str, Shelf | list[pa.Table]] = field(default_factory=dict)
    days: Counter[dt.date] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)
    rows_read: int = 0
    since: dt.date | None = None


@dataclass(frozen=True)
class Described:
    """What the platform says about an account."""

    name: str | None
    currency: str | None
    timezone: str | None
    is_suspended: bool = False


class Connector(Protocol):
    """One platform with one credential. Raises the families of errors.py; keeps no state between accounts."""

    platform: str
    window_days: int
    history_days: int
    usage: Usage
    notes: list[str]

    def describe(self, account: str) -> Described:
        """The account as it stands."""

    def entities(self, account: str) -> Pull:
        """Campaigns, ad sets, ads and what belongs to them, as they stand."""

    def facts(self, account: str, window: Window) -> Pull:
        """Figures of these days, all of them. Raises TooMuchDataError for a window that is too large."""

    def source(self, tables: Mapping[str, Iterator[Any]]) -> DltSource:
        """The stamped tables as a dlt source."""


# -- what is asked for and what came of it ------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """One connected account."""

    tenant_id: str
    tenant: str
    platform: str
    account_id: str
    currency: str
    timezone: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.tenant}, {self.platform} account {self.account_id}"


@dataclass
class AccountResult:
    """How the sync of an account ended. `state` as in ops.sync_state; `error` and `hint` in sentences."""

    account: Account
    state: str = "pending"
    days_total: int = 0
    days_done: int = 0
    days_failed: int = 0
    rows: int = 0
    refused: int = 0
    calls: int = 0
    error: str | None = None
    hint: str = ""
    error_code: str | None = None
    next_retry_at: dt.datetime | None = None
    notes: list[str] = field(default_factory=list)
    load_ids: list[str] = field(default_factory=list)
    is_token_dead: bool = False

    @property
    def is_fine(self) -> bool:
        return self.state == "completed"


Progress = Callable[[AccountResult], None]
MakeConnector = Callable[[Callable[[], bool]], Connector]


# -- requests and cancelling --------------------------------------------------------------------------------


def request(
    connection: psycopg.Connection[Any],
    account: Account,
    period: Window,
    requested_by: str | None,
    request_id: int | None = None,
) -> int:
    """Note that somebody wants an account synced; returns the number of the sync. The caller commits."""
    row = connection.execute(
        """
        insert into ops.sync_state (
            tenant_id, platform, account_id, first_day, last_day, requested_by, request_id
        )
        values (%s, %s, %s, %s, %s, coalesce(%s, session_user), %s)
        returning sync_id
        """,
        (
            account.tenant_id, account.platform, account.account_id, period.first, period.last, requested_by,
            request_id,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def cancel(
    connection: psycopg.Connection[Any],
    tenant_id: str | None,
    account_id: str | None,
    cancelled_by: str | None,
) -> list[tuple[str, str]]:
    """Ask the syncs under way to end; returns (platform, account) of each. The caller commits."""
    rows = connection.execute(
        """
        update ops.sync_state
        set cancel_requested_at = now(), cancelled_by = coalesce(%(by)s, session_user),
            state = case state when 'rate_limited' then 'cancelled' else state end
        where (state in ('pending', 'syncing') or (state = 'rate_limited' and next_retry_at > now()))
            and cancel_requested_at is null
            and (%(tenant)s::uuid is null or tenant_id = %(tenant)s::uuid)
            and (%(account)s::text is null or account_id = %(account)s::text)
        returning platform, account_id
        """,
        {"by": cancelled_by, "tenant": tenant_id, "account": account_id},
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


# -- what the database knows --------------------------------------------------------------------------------


def read_tiers(connection: psycopg.Connection[Any], platform: str) -> list[Tier]:
    """The platform's own staleness tiers, else those for all."""
    rows = connection.execute(
        """
        select from_age, to_age, stale_after, is_nightly, not_before
        from ops.staleness_tiers
        where platform = case
            when exists (select from ops.staleness_tiers as s where s.platform = %(platform)s) then %(platform)s
            else 'all'
        end
        order by from_age
        """,
        {"platform": platform},
    ).fetchall()
    return [Tier(*row) for row in rows]


def read_lookback(connection: psycopg.Connection[Any], platform: str) -> int:
    """Days that are asked for again: the configured ones, else the registry's."""
    row = connection.execute(
        "select days from ops.restatement_windows where platform = %s", (platform,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    return registry.get(platform).lookback_days or 0


def read_pulled(
    connection: psycopg.Connection[Any], account: Account, now: dt.datetime
) -> dict[dt.date, dt.datetime | None]:
    """The newest pull of each day through the API; none where there are only withheld ones that are a day old."""
    rows = connection.execute(
        """
        select day, max(covered_at) filter (where state <> 'withheld' or covered_at > %s) from ops.coverage
        where tenant_id = %s and platform = %s and account_id = %s and source = 'api'
        group by day
        """,
        (now - WITHHELD_STALE_AFTER, account.tenant_id, account.platform, account.account_id),
    ).fetchall()
    return {row[0]: row[1] for row in rows}


def read_first_load_days(connection: psycopg.Connection[Any], platform: str) -> int:
    """How far back an account's first load goes: the configured days, else as far as the marts look back."""
    row = connection.execute(
        "select first_load_days from ops.restatement_windows where platform = %s", (platform,)
    ).fetchone()
    return int(row[0]) if row is not None else FIRST_LOAD_DAYS


def default_period(
    pulled: Mapping[dt.date, Any], today: dt.date, lookback: int, first_load_days: int
) -> Window:
    """From the first day that was ever loaded up to today; at first the days of a first load."""
    first = min(pulled) if pulled else today - dt.timedelta(days=first_load_days)
    return Window(min(first, today - dt.timedelta(days=lookback)) if pulled else first, today)


# -- one account --------------------------------------------------------------------------------------------


def sync_account(
    connections: Connections,
    make: MakeConnector,
    account: Account,
    *,
    period: Window | None = None,
    until: dt.date | None = None,
    now: dt.datetime | None = None,
    requested_by: str | None = None,
    request_id: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    sync_id: int | None = None,
    patience: float = 0.0,
) -> AccountResult:
    """Bring one account up to date. Expected failures are in the result; only bugs and a lost database raise.

    period      days to look at; left out: everything since the first load. Only missing and stale days are asked
                for, with `force` all of them
    until       where `period` is left out, its last day instead of today
    now         the moment that decides what is stale and what is stamped; left out the true one
    request_id  of `on_demand.take`, where a person asked
    patience    seconds to wait for another sync of this account to end before giving up
    """
    now = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC)
    result = AccountResult(account)
    with (
        psycopg.connect(connections.loader, autocommit=True, connect_timeout=10) as connection,
        _only_one(connection, account, patience) as is_ours,
    ):
        if is_ours:
            one = _AccountSync(
                connections, connection, make, account, now, requested_by, force, progress, result
            )
            return one.run(period, until, sync_id, request_id)
        result.state, result.error = "failed", f"{account} is being synced already."
        result.hint = "Wait for it to end, or cancel it with: aegis sync cancel"
        if sync_id is not None:
            _finish(connection, sync_id, result)
        return result


@contextlib.contextmanager
def _only_one(connection: psycopg.Connection[Any], account: Account, patience: float) -> Iterator[bool]:
    key = f"aegis sync {account.tenant_id} {account.platform} {account.account_id}"
    deadline = time.monotonic() + patience
    while True:
        row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
        is_ours = bool(row and row[0])
        if is_ours or time.monotonic() >= deadline:
            break
        time.sleep(LOCK_POLL_SECONDS)
    try:
        yield is_ours
    finally:
        if is_ours and not connection.closed:
            with contextlib.suppress(psycopg.Error):
                connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (key,))


class _AccountSync:
    """One sync of one account, holding its lock."""

    def __init__(
        self,
        connections: Connections,
        connection: psycopg.Connection[Any],
        make: MakeConnector,
        account: Account,
        now: dt.datetime,
        requested_by: str | None,
        force: bool,
        progress: Progress | None,
        result: AccountResult,
    ) -> None:
        self.connections = connections
        self.connection = connection
        self.make = make
        self.account = account
        self.now = now
        self.today = local_day(now, account.timezone)
        self.requested_by = requested_by
        self.force = force
        self.progress = progress
        self.result = result
        self.sync_id = 0
        self._asked_at = 0.0
        self._is_cancelled = False
        self._logged = (0, 0)
        self._allowed = 0
        self._watch: psycopg.Connection[Any] | None = None

    def run(
        self, period: Window | None, until: dt.date | None, sync_id: int | None, request_id: int | None
    ) -> AccountResult:
        result = self.result
        lookback = read_lookback(self.connection, self.account.platform)
        pulled = read_pulled(self.connection, self.account, self.now)
        if period is None:
            period = default_period(
                pulled, self.today, lookback, read_first_load_days(self.connection, self.account.platform)
            )
            if until is not None and until < period.first:
                return self._begins_after(until, period.first, sync_id)
            period = Window(period.first, until or period.last)
        self.sync_id = sync_id or request(
            self.connection, self.account, period, self.requested_by, request_id
        )
        self._clear_interrupted()
        if self._blocked():
            _finish(self.connection, self.sync_id, result)
            return result
        days = (
            [day for day in period if day <= self.today]
            if self.force
            else due_days(
                period,
                pulled,
                now=self.now,
                timezone=self.account.timezone,
                tiers=read_tiers(self.connection, self.account.platform),
                lookback=lookback,
            )
        )
        result.days_total = len(days)
        self._say("syncing")
        connector: Connector | None = None
        try:
            if self.cancelled():
                raise CancelledError("The sync was cancelled before it began.")
            if days:
                connector = self.make(self.cancelled)
                days = self._within_history(days, connector)
                self._sync(connector, days)
            result.state = "completed" if result.days_failed == 0 else "partial"
            if result.days_failed and not result.days_done:
                result.state = "failed"
        except AegisError as problem:
            self._end_with(problem)
        except KeyboardInterrupt:
            result.state, result.error = "cancelled", "Interrupted at the keyboard."
            with contextlib.suppress(psycopg.Error):
                self._finish(connector)
            raise
        except Exception as problem:
            result.state, result.error = "failed", f"{type(problem).__name__}, a bug or a lost connection."
            with contextlib.suppress(psycopg.Error):
                self._finish(connector)
            raise
        self._finish(connector)
        return result

    def _begins_after(self, until: dt.date, first: dt.date, sync_id: int | None) -> AccountResult:
        result = self.result
        result.state, result.error = "failed", f"The days of {self.account} begin on {first}, after {until}."
        result.hint = "Give the first day too, with --from."
        if sync_id is not None:
            _finish(self.connection, sync_id, result)
        return result

    # states

    def _clear_interrupted(self) -> None:
        """What a killed process left: we hold the account's lock, so nobody works on it."""
        key = (self.account.tenant_id, self.account.platform, self.account.account_id)
        self.connection.execute(
            """
            update ops.sync_state
            set state = case when days_done > 0 then 'partial' else 'failed' end, finished_at = now(),
                error = 'interrupted'
            where tenant_id = %s and platform = %s and account_id = %s and state in ('pending', 'syncing')
                and sync_id < %s
            """,
            (*key, self.sync_id),
        )
        self.connection.execute(
            """
            update ops.import_log set status = 'failed', error = 'interrupted', finished_at = now()
            where tenant_id = %s and platform = %s and account_id = %s and kind = 'api' and status = 'running'
            """,
            key,
        )

    def _blocked(self) -> bool:
        """Whether the platform asked us to wait longer than until now."""
        row = self.connection.execute(
            """
            select state, next_retry_at, error, error_code from ops.sync_state
            where tenant_id = %s and platform = %s and account_id = %s and sync_id < %s
            order by sync_id desc
            limit 1
            """,
            (self.account.tenant_id, self.account.platform, self.account.account_id, self.sync_id),
        ).fetchone()
        if row is None or row[0] != "rate_limited" or row[1] is None or row[1] <= self.now:
            return False
        result = self.result
        result.state, result.next_retry_at, result.error, result.error_code = row
        result.hint = f"It goes on with the first sync after {row[1]:%H:%M} UTC."
        return True

    def _say(self, state: str) -> None:
        result = self.result
        result.state = state
        self.connection.execute(
            """
            update ops.sync_state
            set state = %s, days_total = %s, days_done = %s, days_failed = %s,
                started_at = coalesce(started_at, now())
            where sync_id = %s
            """,
            (state, result.days_total, result.days_done, result.days_failed, self.sync_id),
        )
        if self.progress is not None:
            self.progress(result)

    def _finish(self, connector: Connector | None) -> None:
        if connector is not None:
            self.result.calls = connector.usage.calls
            self.result.notes += [note for note in connector.notes if note not in self.result.notes]
        _finish(self.connection, self.sync_id, self.result, connector.usage if connector else None)
        if self._watch is not None:
            self._watch.close()
        if self.progress is not None:
            self.progress(self.result)

    def cancelled(self) -> bool:
        """Asks the database once a second: this is called before every call and while waiting."""
        if not self._is_cancelled and time.monotonic() - self._asked_at >= CANCEL_POLL_SECONDS:
            self._asked_at = time.monotonic()
            if self._watch is None or self._watch.closed:
                # Its own connection: the other may be inside a transaction.
                self._watch = psycopg.connect(self.connections.loader, autocommit=True, connect_timeout=10)
            row = self._watch.execute(
                "select cancel_requested_at is not null from ops.sync_state where sync_id = %s",
                (self.sync_id,),
            ).fetchone()
            self._is_cancelled = bool(row and row[0])
        return self._is_cancelled

    def _end_with(self, problem: AegisError) -> None:
        """What an error means for the whole account."""
        result = self.result
        result.error, result.hint = problem.message, problem.hint
        result.error_code = getattr(problem, "code", None)
        if isinstance(problem, CancelledError):
            result.state = "cancelled"
        elif isinstance(problem, QuotaError):
            result.state = "rate_limited"
            result.next_retry_at = self.now + dt.timedelta(seconds=problem.retry_after or 3600)
        else:
            result.state = "partial" if result.days_done else "failed"
            result.days_failed = result.days_total - result.days_done
            if isinstance(problem, SuspendedError):
                self._mark("suspended")
            elif isinstance(problem, AccessDeniedError):
                self._mark("denied")
            elif isinstance(problem, AuthError):
                result.is_token_dead = True
                self._mark("reauthorise")

    def _mark(self, status: str) -> None:
        self.connection.execute(
            """
            update tenancy.ad_accounts set status = %s
            where tenant_id = %s and platform = %s and account_id = %s and status <> %s
            """,
            (status, self.account.tenant_id, self.account.platform, self.account.account_id, status),
        )

    # the work

    def _within_history(self, days: list[dt.date], connector: Connector) -> list[dt.date]:
        """Leave out what the platform no longer keeps."""
        oldest = self.today - dt.timedelta(days=connector.history_days)
        kept = [day for day in days if day >= oldest]
        if len(kept) < len(days):
            self.result.notes.append(f"{connector.platform} keeps figures since {oldest} only.")
            self.result.days_total = len(kept)
            self._say("syncing")
        return kept

    def _sync(self, connector: Connector, days: list[dt.date]) -> None:
        self._check(connector.describe(self.account.account_id))
        self._allowed = connector.window_days
        with_entities = self._entities_are_stale()
        # The newest first: a sync that is stopped early has loaded what people look at.
        for window in reversed(chunks(days, connector.window_days)):
            try:
                self._load(connector, window, with_entities)
            except (CancelledError, QuotaError, AuthError):
                raise
            except AegisError as problem:
                self.result.days_failed += window.days
                self.result.error = f"{window}: {problem.message}"
                self.result.hint = problem.hint
                self.result.error_code = getattr(problem, "code", None)
            else:
                with_entities = False
            self._say("syncing")

    def _check(self, found: Described) -> None:
        """Currency and time zone of an account never change; where they did, its figures would be mixed."""
        for what, stored, said in (
            ("currency", self.account.currency, found.currency),
            ("time zone", self.account.timezone, found.timezone),
        ):
            if said is not None and said != stored:
                raise ContractError(
                    f"The {what} of {self.account} was {stored} and is {said} now.",
                    "The platform makes a new account for that: connect it anew, so that figures are not mixed.",
                )
        self._mark("suspended" if found.is_suspended else "active")

    def _entities_are_stale(self) -> bool:
        row = self.connection.execute(
            """
            select max(entities_at) from ops.sync_state
            where tenant_id = %s and platform = %s and account_id = %s
            """,
            (self.account.tenant_id, self.account.platform, self.account.account_id),
        ).fetchone()
        newest = row[0] if row else None
        return newest is None or self.now - newest >= ENTITIES_STALE_AFTER

    def _load(self, connector: Connector, window: Window, with_entities: bool) -> None:
        """One load: read, put aside, load, confirm, and only then make it visible."""
        account = self.account
        stamp_text = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"
        load_id = f"{account.platform}-{stamp_text}"
        run = Run(
            load_id, "api", f"{account.platform} {window}", account.tenant_id, account.platform,
            account.account_id,
        )  # fmt: skip
        coverage.begin(self.connection, run)
        try:
            with Spool() as spool:
                pulls = Pull()
                if with_entities:
                    self._keep(spool, pulls, connector.entities(account.account_id))
                self._read(connector, window, spool, pulls)
                with _loading:
                    self._append(connector, load_id, spool)
                self._publish(connector, run, window, spool, pulls, with_entities)
        except Exception as problem:
            text = problem.message if isinstance(problem, AegisError) else type(problem).__name__
            with contextlib.suppress(psycopg.Error):
                coverage.note(self.connection, run, "failed", text)
                self._log_calls(connector, load_id)
            raise
        self.result.load_ids.append(load_id)

    @staticmethod
    def _keep(spool: Spool, pulls: Pull, pull: Pull) -> None:
        for name, tables in pull.tables.items():
            if isinstance(tables, Shelf):
                spool.adopt(name, tables)
                continue
            for table in tables:
                spool.add(name, table)
        pulls.days += pull.days
        pulls.refused += pull.refused
        pulls.rows_read += pull.rows_read
        if pull.since is not None:
            pulls.since = max(pull.since, pulls.since or pull.since)

    def _read(self, connector: Connector, window: Window, spool: Spool, pulls: Pull) -> None:
        waiting = [window]
        while waiting:
            part = waiting.pop()
            if part.days > self._allowed:
                cut = part.first + dt.timedelta(days=self._allowed - 1)
                waiting += [Window(cut + dt.timedelta(days=1), part.last), Window(part.first, cut)]
                continue
            try:
                pull = connector.facts(self.account.account_id, part)
            except TooMuchDataError:
                if part.days == 1:
                    raise
                first, second = halves(part)
                waiting += [second, first]
                self._allowed = second.days
                continue
            self._keep(spool, pulls, pull)
            self._allowed = min(connector.window_days, self._allowed * 2)

    def _append(self, connector: Connector, load_id: str, spool: Spool) -> None:
        from dlt_pipelines.common.stamp import stamp
        from dlt_pipelines.run import run

        def stamped(name: str) -> Iterator[Any]:
            for table in spool.tables(name):
                yield stamp(
                    table,
                    load_id=load_id,
                    loaded_at=self.now,
                    tenant_id=self.account.tenant_id,
                    account_id=self.account.account_id,
                )

        if spool.rows:
            run(self.connections, connector.source({name: stamped(name) for name in spool.rows}), load_id)

    def _publish(
        self, connector: Connector, run: Run, window: Window, spool: Spool, pulls: Pull, with_entities: bool
    ) -> None:
        account, result = self.account, self.result
        refused = [
            Refused(
                f"{account.platform} {each.table}",
                None,
                each.reason,
                each.payload,
                account.tenant_id,
                account.platform,
                account.account_id,
            )
            for each in pulls.refused
        ]
        by_day = Counter(each.day for each in pulls.refused if each.is_fact)
        covered = [
            Covered(
                account.tenant_id,
                account.platform,
                account.account_id,
                day,
                pulls.days[day],
                self._reason(day, by_day[day], by_day[None]),
            )
            for day in window
            if pulls.since is None or day >= pulls.since
        ]
        result.days_total -= window.days - len(covered)
        rows = sum(spool.rows.values())
        with self.connection.transaction():
            coverage.publish(
                self.connection,
                run,
                SOURCE,
                covered,
                refused,
                rows_read=pulls.rows_read,
                rows_imported=rows,
                covered_at=self.now,
            )
            self._log_calls(connector, run.load_id)
            self.connection.execute(
                """
                update ops.sync_state
                set days_total = %s, days_done = days_done + %s,
                    entities_at = case when %s then %s::timestamptz else entities_at end
                where sync_id = %s
                """,
                (result.days_total, len(covered), with_entities, self.now, self.sync_id),
            )
        result.days_done += len(covered)
        result.rows += sum(pulls.days.values())
        result.refused += len(refused)

    def _log_calls(self, connector: Connector, load_id: str) -> None:
        """What this load cost, in its log row."""
        usage = connector.usage
        calls, failed = usage.calls - self._logged[0], usage.failed - self._logged[1]
        self._logged = (usage.calls, usage.failed)
        self.connection.execute(
            """
            update ops.import_log
            set api_calls = %s, api_calls_failed = %s, quota_usage = %s, memory_bytes = %s,
                requested_by = coalesce(%s, requested_by)
            where load_id = %s
            """,
            (
                calls,
                failed,
                Jsonb(usage.quota) if usage.quota else None,
                memory(),
                self.requested_by,
                load_id,
            ),
        )

    def _reason(self, day: dt.date, refused: int, of_no_day: int) -> str | None:
        parts = [NOT_OVER] if day >= self.today else []
        if refused:
            parts.append(f"{_rows(refused)} refused")
        if of_no_day:
            parts.append(f"{_rows(of_no_day)} refused without a day of this window")
        return "; ".join(parts) or None


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count} rows were"


def _finish(
    connection: psycopg.Connection[Any], sync_id: int, result: AccountResult, usage: Usage | None = None
) -> None:
    connection.execute(
        """
        update ops.sync_state
        set state = %s, days_total = %s, days_done = %s, days_failed = %s, retry_count = %s, next_retry_at = %s,
            error_code = %s, error = %s, quota_usage = coalesce(%s, quota_usage), finished_at = clock_timestamp()
        where sync_id = %s
        """,
        (
            result.state, result.days_total, result.days_done, result.days_failed, usage.retries if usage else 0,
            result.next_retry_at, result.error_code, result.error,
            Jsonb(usage.quota) if usage is not None and usage.quota else None, sync_id,
        ),
    )  # fmt: skip


def memory() -> int:
    """The most memory this process has held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
