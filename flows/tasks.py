"""The steps of the daily run, one verb each, over plain connections; the order is in daily_optimization.py.

Every step reads and writes `ops` as its owner; models are built and days judged by the transformer. Nothing here
knows a platform. One tenant's or account's failure is a row of the report, never the end of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import AegisError, ContractError
from dlt_pipelines.common.sync import Account, AccountResult
from dlt_pipelines.common.tokens import Keyring
from dlt_pipelines.common.windows import Window
from flows.sync import FanOut, connected_accounts, sync

Progress = Callable[[str], None]
Conduct = Callable[[str, Callable[[], None]], None]
TakeIn = Callable[[Sequence[Account]], list[AccountResult]]

EVERYBODY = "00000000-0000-0000-0000-000000000000"
LOCK = "aegis daily run"
LOCK_PATIENCE_SECONDS = 1800.0
LOCK_POLL_SECONDS = 0.5
SYNC_PATIENCE_SECONDS = 1800.0  # an hourly sync may be reading the same account


@dataclass
class TenantRun:
    """One tenant's part of a daily run. `status` is planned, done, failed or skipped; `reason` says why in words."""

    tenant_id: str
    name: str
    timezone: str
    is_demo: bool
    as_of: date | None = None
    status: str = "planned"
    reason: str = ""
    new_account_days: int = 0
    accepted: int = 0
    provisional: int = 0
    withheld: int = 0

    def skip(self, reason: str) -> None:
        self.status, self.reason = "skipped", reason

    def fail(self, reason: str) -> None:
        self.status, self.reason = "failed", reason


@dataclass
class RunReport:
    """What one call of `optimize` did. `ok` decides the exit code; `advice` says what to do when it is False."""

    runs: list[TenantRun] = field(default_factory=list)
    accounts: list[AccountResult] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    failed_models: list[str] = field(default_factory=list)
    advice: str = ""
    data_docs: Path | None = None

    @property
    def ok(self) -> bool:
        return (
            not self.failed_models
            and not self.failed_accounts
            and all(run.status != "failed" for run in self.runs)
        )

    @property
    def failed_accounts(self) -> list[AccountResult]:
        """Accounts that are not up to date, by tenant, platform and id."""
        return [one for one in self.accounts if not one.is_fine]

    def with_status(self, status: str) -> list[TenantRun]:
        return [run for run in self.runs if run.status == status]

    @contextmanager
    def phase(self, name: str, progress: Progress) -> Iterator[None]:
        """Time one phase; it is announced before and its seconds are kept."""
        progress(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - started


@contextmanager
def one_run_at_a_time(connections: Connections, progress: Progress) -> Iterator[None]:
    """Hold the database's daily-run lock. A second run says that it waits, and gives up after half an hour.

    The lock belongs to a session: a killed run frees it. Raises AegisError when the wait was too long.
    """
    with psycopg.connect(connections.owner, autocommit=True, application_name="aegis daily run") as session:
        deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
        said = False
        while not _one(session, "select pg_try_advisory_lock(hashtextextended(%s, 0))", (LOCK,)):
            if not said:
                progress("Another daily run is going on in this database; waiting for it to end")
                said = True
            if time.monotonic() > deadline:
                raise AegisError(
                    f"Another daily run has kept this database busy for {LOCK_PATIENCE_SECONDS / 60:.0f} minutes.",
                    "Look for it with: select * from pg_stat_activity where application_name = 'aegis daily run'",
                )
            time.sleep(LOCK_POLL_SECONDS)
        yield


def choose_tenants(connections: Connections, tenants: Sequence[str] | None) -> list[TenantRun]:
    """The tenants of this run by name: those asked for (ids), else all. Raises ContractError for an unknown id."""
    wanted = None if tenants is None else list(tenants)
    with psycopg.connect(connections.owner, row_factory=dict_row) as session:
        found = session.execute(
            """
            select t.tenant_id::text as tenant_id, t.name, t.timezone, t.is_demo
            from tenancy.tenants as t
            where t.tenant_id <> %s and (%s::text[] is null or t.tenant_id::text = any(%s::text[]))
            order by t.name
            """,
            (EVERYBODY, wanted, wanted),
        ).fetchall()
    missing = set(wanted or ()) - {row["tenant_id"] for row in found}
    if missing:
        raise ContractError(f"No tenant has the id {min(missing)}.", "`aegis tenant list` shows the tenants.")
    return [TenantRun(**row) for row in found]


def refuse_looking_back(connections: Connections, runs: list[TenantRun], as_of: date | None) -> None:
    """Raise ContractError where the day asked for lies in the future, or before a day already run, of any tenant."""
    if as_of is None:
        return
    for run in runs:
        try:
            with psycopg.connect(connections.owner, row_factory=dict_row) as session:
                known = _calendar(session, run)
        except psycopg.DataError:
            continue  # its row is broken: plan_days fails this tenant alone
        if as_of > known["yesterday"]:
            raise ContractError(
                f"{as_of} is not over yet for {run.name} ({run.timezone}): the newest complete day is "
                f"{known['yesterday']}.",
                "Give that day or an earlier one, or leave --as-of out.",
            )
        if known["newest_run"] is not None and as_of < known["newest_run"]:
            raise ContractError(
                f"{run.name} has already been run as of {known['newest_run']}; a daily run cannot go back to {as_of}.",
                "Looking back is what a replay is for: it rebuilds what was known then and changes no list of today.",
            )
        if run.is_demo and known["newest_day"] is not None and as_of > known["newest_day"]:
            raise ContractError(
                f"The demo's figures of {run.name} end on {known['newest_day']}; {as_of} is later.",
                "`aegis demo advance` brings its next day.",
            )


def straight(_: str, work: Callable[[], None]) -> None:
    """Run a phase here and now."""
    work()


def accounts_to_read(connections: Connections, runs: list[TenantRun]) -> list[Account]:
    """Connected accounts of these tenants. The demo's are left out: its days come with `aegis demo advance`."""
    wanted = {run.tenant_id for run in runs if not run.is_demo}
    return [account for account in connected_accounts(connections) if account.tenant_id in wanted]


def reader(
    connections: Connections,
    keys: Callable[[], Keyring],
    progress: Progress,
    fan_out: FanOut | None = None,
    requested_by: str | None = None,
    period: Window | None = None,
) -> TakeIn:
    """What `optimize` takes as `take_in`: sync accounts side by side; no failure, not even a bug, stops another's.

    keys     called once, before the first account; where it raises AegisError each account fails with its words
    fan_out  runs the work on each account; left out: threads
    period   days to ask for, whatever is there already; left out: what is missing or stale
    """

    def take_in(accounts: Sequence[Account]) -> list[AccountResult]:
        try:
            keyring = keys()
        except AegisError as problem:
            return [
                AccountResult(account, "failed", error=problem.message, hint=problem.hint)
                for account in accounts
            ]

        return sync(
            connections,
            keyring,
            accounts,
            period=period,
            force=period is not None,
            requested_by=requested_by,
            progress=lambda result: _tell(result, progress),
            patience=SYNC_PATIENCE_SECONDS,
            fan_out=fan_out,
            bugs_raise=False,
        ).results

    return take_in


FAILED_ACCOUNTS = ("tenant", "platform", "account", "state", "days", "why")
TENANTS = ("tenant", "as of", "status", "new account-days", "withheld", "why")


def account_rows(results: Sequence[AccountResult]) -> list[tuple[str, ...]]:
    """The accounts among these that are not up to date, under the headings FAILED_ACCOUNTS."""
    return [
        (
            one.account.tenant,
            one.account.platform,
            one.account.account_id,
            one.state,
            f"{one.days_done} of {one.days_total}",
            one.error or "",
        )
        for one in results
        if not one.is_fine
    ]


def tenant_rows(report: RunReport) -> list[tuple[str, ...]]:
    """How the run ended by tenant, under the headings TENANTS."""
    return [
        (
            run.name,
            str(run.as_of or ""),
            run.status,
            str(run.new_account_days),
            str(run.withheld),
            run.reason,
        )
        for run in report.runs
    ]


def _tell(result: AccountResult, progress: Progress) -> None:
    if result.state == "syncing" and result.days_total:
        progress(f"{result.account}: {result.days_done} of {result.days_total} days")


def count_new(connections: Connections, runs: list[TenantRun]) -> None:
    """Count, per tenant, the account-days loaded or entered by hand since the last build."""
    with psycopg.connect(connections.owner) as session:
        for tenant_id, account_days in session.execute(
            """
            select c.tenant_id::text, count(distinct (c.platform, c.account_id, c.day))
            from ops.coverage as c
            where c.versioned_at is null
            group by c.tenant_id
            """
        ):
            for run in runs:
                if run.tenant_id == tenant_id:
                    run.new_account_days = account_days


def judge(connections: Connections, report: RunReport) -> None:
    """The quality step: every account-day that is new becomes accepted, provisional or withheld.

    Where the checks themselves fail, the tenants with figures left to judge fail; the others go on.
    """
    from flows.quality import QualityError, judge_coverage

    runs = {run.tenant_id: run for run in report.runs}
    with psycopg.connect(connections.owner, autocommit=True) as session:
        begun = _one(session, "select clock_timestamp()", ())
        try:
            report.data_docs = judge_coverage(connections).pages
        except QualityError as problem:
            report.advice = problem.hint
            for (tenant_id,) in session.execute(
                "select distinct tenant_id::text from ops.coverage where state = 'pending' and source = 'api'"
            ):
                if tenant_id in runs:
                    runs[tenant_id].fail(problem.message)
        for tenant_id, accepted, provisional, withheld in session.execute(
            """
            select
                c.tenant_id::text,
                count(*) filter (where c.state = 'accepted'),
                count(*) filter (where c.state = 'provisional'),
                count(*) filter (where c.state = 'withheld')
            from (
                select distinct on (n.tenant_id, n.platform, n.account_id, n.day) n.tenant_id, n.state
                from ops.coverage as n
                where n.judged_at >= %s
                order by n.tenant_id, n.platform, n.account_id, n.day, n.coverage_id desc
            ) as c
            group by c.tenant_id
            """,
            (begun,),
        ):
            if tenant_id in runs:
                run = runs[tenant_id]
                run.accepted, run.provisional, run.withheld = accepted, provisional, withheld


def plan_days(connections: Connections, runs: list[TenantRun], as_of: date | None) -> None:
    """Choose each tenant's as-of day and store it in ops.as_of and, as running, in ops.daily_runs.

    Default: the newest covered day, at most yesterday in the tenant's time zone and never before the newest day
    run. A demo tenant keeps the day it has. A tenant without figures is skipped, one whose row is broken fails;
    the others go on. A day already done stays done while it is run again: what was known when rests on it.
    """
    for run in runs:
        if run.status == "failed":
            continue
        try:
            with psycopg.connect(connections.owner, row_factory=dict_row) as session:
                known = _calendar(session, run)
                if known["newest_day"] is None:
                    run.skip("has no figures yet: import a file or enter rows, then run again")
                    continue
                run.as_of = as_of or _default_day(run, known)
                if known["first_day"] > run.as_of:
                    run.as_of = None
                    run.skip(f"its figures begin on {known['first_day']}, a day that is not over yet")
                    continue
                session.execute(
                    """
                    insert into ops.as_of (tenant_id, as_of) values (%(tenant_id)s, %(as_of)s)
                    on conflict (tenant_id) do update
                    set as_of = excluded.as_of,
                        set_at = case when as_of.as_of = excluded.as_of then as_of.set_at else now() end
                    """,
                    {"tenant_id": run.tenant_id, "as_of": run.as_of},
                )
                session.execute(
                    """
                    insert into ops.daily_runs as r (tenant_id, as_of, status)
                    values (%(tenant_id)s, %(as_of)s, 'running')
                    on conflict (tenant_id, as_of) do update
                    set status = 'running', started_at = now(), finished_at = null, error = null
                    where r.status <> 'done'
                    """,
                    {"tenant_id": run.tenant_id, "as_of": run.as_of},
                )
        except psycopg.Error as problem:
            run.fail(f"its day could not be planned: {problem.diag.message_primary or problem}")


def build(connections: Connections, report: RunReport) -> None:
    """Build all models once, for all tenants, and run their tests. A red build means a bug, never a bad account."""
    from flows.transform import build as build_models

    result = build_models(connections)
    if not result.ok:
        report.failed_models = [f"{node.name}: {node.message}" for node in result.failures]
        report.advice = (
            "Nothing that was decided is lost. When the first of these is mended, run `aegis optimize` again; details "
            f"are in {result.log_path}."
        )


def close_runs(connections: Connections, report: RunReport) -> None:
    """Write every planned tenant's end into ops.daily_runs: done, or failed with the reason."""
    reason = "; ".join(report.failed_models)
    with psycopg.connect(connections.owner) as session:
        for run in report.with_status("planned"):
            session.execute(
                """
                update ops.daily_runs
                set status = case when status = 'done' then 'done' when %(reason)s = '' then 'done' else 'failed' end,
                    finished_at = now(),
                    error = nullif(%(reason)s, '')
                where tenant_id = %(tenant_id)s and as_of = %(as_of)s
                """,
                {"reason": reason[:2000], "tenant_id": run.tenant_id, "as_of": run.as_of},
            )
            if reason:
                run.fail("the models were not all built")
            else:
                run.status = "done"


def _default_day(run: TenantRun, known: dict[str, Any]) -> date:
    if run.is_demo and known["kept_day"] is not None:
        kept: date = known["kept_day"]
        return kept
    day: date = min(known["yesterday"], known["newest_day"])
    return max(day, known["newest_run"]) if known["newest_run"] else day


def _calendar(session: psycopg.Connection[dict[str, Any]], run: TenantRun) -> dict[str, Any]:
    """One row: yesterday, first_day, newest_day (covered and not withheld), newest_run (done), kept_day."""
    found = session.execute(
        """
        select
            (now() at time zone t.timezone)::date - 1 as yesterday,
            c.first_day,
            c.newest_day,
            (
                select max(r.as_of) from ops.daily_runs as r
                where r.tenant_id = t.tenant_id and r.status = 'done'
            ) as newest_run,
            (select a.as_of from ops.as_of as a where a.tenant_id = t.tenant_id) as kept_day
        from tenancy.tenants as t
        cross join lateral (
            select min(c.day) as first_day, max(c.day) as newest_day
            from ops.coverage as c
            left join tenancy.ad_accounts as a
                on c.tenant_id = a.tenant_id and c.platform = a.platform and c.account_id = a.account_id
            where c.tenant_id = t.tenant_id and c.state <> 'withheld'
                -- a platform asked while the day was not over has told a part of it
                and not (
                    c.source = 'api'
                    and (c.covered_at at time zone coalesce(a.timezone, t.timezone))::date <= c.day
                )
        ) as c
        where t.tenant_id = %s
        """,
        (run.tenant_id,),
    ).fetchone()
    assert found is not None, run.tenant_id
    return found


def _one(session: psycopg.Connection[Any], query: str, parameters: tuple[Any, ...]) -> Any:
    row = session.execute(query, parameters).fetchone()
    return row[0] if row else None
