"""The same work as Prefect flows, for the scheduler: daily_optimization, sync, backfill.

Order, isolation of failures and the verdict are those of the plain functions; here each account and each phase only
becomes a task that the page shows. A flow ends as Failed, with a table of who and why as its artifact, when any account
or tenant failed, though the others are done. Parameters hold no secret: database and keys come from the function that
AEGIS_RESOURCES names (`module:function`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

for _name, _value in {  # before Prefect is imported: nothing reports home
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
}.items():
    os.environ[_name] = _value

from prefect import flow, get_run_logger, task  # noqa: E402
from prefect.artifacts import create_table_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.futures import wait  # noqa: E402
from prefect.states import Completed, Failed, State  # noqa: E402
from prefect.task_runners import ThreadPoolTaskRunner  # noqa: E402

from dlt_pipelines.common.connections import Connections  # noqa: E402
from dlt_pipelines.common.errors import AegisError  # noqa: E402
from dlt_pipelines.common.sync import Account, AccountResult  # noqa: E402
from dlt_pipelines.common.tokens import Keyring  # noqa: E402
from dlt_pipelines.common.windows import Window  # noqa: E402
from flows import daily_optimization as plain  # noqa: E402
from flows import tasks  # noqa: E402
from flows.sync import SIDE_BY_SIDE, Work, connected_accounts  # noqa: E402

RESOURCES = "AEGIS_RESOURCES"
ACCOUNTS_AT_ONCE: Any = ThreadPoolTaskRunner(max_workers=SIDE_BY_SIDE)
SCHEDULER = "scheduler"  # who asked, in ops.sync_state


@dataclass(frozen=True, repr=False)
class Resources:
    """What a run needs and no parameter may hold."""

    connections: Connections
    keys: Callable[[], Keyring]


def resources() -> Resources:
    """What the function named in AEGIS_RESOURCES gives. Raises AegisError where none is named."""
    module, _, name = os.environ.get(RESOURCES, "").partition(":")
    if not module or not name:
        raise AegisError(
            f"{RESOURCES} does not say where database and keys come from.",
            "Start the scheduler with `aegis up --scheduler`, which sets it.",
        )
    found: Resources = getattr(importlib.import_module(module), name)()
    return found


@flow(name="daily_optimization", task_runner=ACCOUNTS_AT_ONCE)
def daily_optimization(
    timezone: str | None = None, tenants: list[str] | None = None, as_of: date | None = None
) -> State[Any]:
    """Sync, judge, build, for the tenants of a time zone, for those named by id, or for all."""
    have = resources()
    say = get_run_logger().info
    chosen = tenants
    if timezone is not None:
        chosen = [
            run.tenant_id
            for run in tasks.choose_tenants(have.connections, tenants)
            if run.timezone == timezone
        ]
    report = plain.optimize(
        have.connections, chosen, as_of, say,
        take_in=tasks.reader(have.connections, have.keys, say, _tasks, SCHEDULER), conduct=_as_task,
    )  # fmt: skip
    _table("tenants", tasks.TENANTS, tasks.tenant_rows(report), "How the daily run ended, by tenant.")
    _table_of_failed(report.accounts)
    if report.ok:
        return Completed(message=f"{len(report.with_status('done'))} tenants done.")
    failed = [f"{run.name}: {run.reason}" for run in report.with_status("failed")]
    return Failed(message="; ".join([*_sentences(report.accounts), *failed, *report.failed_models[:5]]))


@flow(name="sync", task_runner=ACCOUNTS_AT_ONCE)
def sync(platform: str | None = None, tenant: str | None = None, account: str | None = None) -> State[Any]:
    """Bring connected accounts up to date: of a platform, of a tenant (id), or one; the demo's excepted."""
    return _read(platform, tenant, account, None)


@flow(name="backfill", task_runner=ACCOUNTS_AT_ONCE)
def backfill(
    first: date,
    last: date,
    platform: str | None = None,
    tenant: str | None = None,
    account: str | None = None,
) -> State[Any]:
    """Ask for a period again, whatever is there already. The next daily run builds from it."""
    if last < first:
        raise AegisError(f"The period ends ({last}) before it begins ({first}).", "Exchange the two days.")
    return _read(platform, tenant, account, Window(first, last))


def _read(platform: str | None, tenant: str | None, account: str | None, period: Window | None) -> State[Any]:
    have = resources()
    runs = tasks.choose_tenants(have.connections, None if tenant is None else [tenant])
    of_tenants = tasks.accounts_to_read(have.connections, runs)
    chosen = [
        one for one in connected_accounts(have.connections, tenant, account, platform) if one in of_tenants
    ]
    if not chosen:
        return Completed(message="No connected account is meant.")
    take_in = tasks.reader(
        have.connections, have.keys, get_run_logger().info, _tasks, SCHEDULER, period=period
    )
    results = take_in(chosen)
    _table_of_failed(results)
    if any(not one.is_fine for one in results):
        return Failed(message="; ".join(_sentences(results)))
    days = sum(one.days_done for one in results)
    return Completed(message=f"{len(results)} accounts up to date, {days} account-days read.")


def _tasks(work: Work, accounts: Sequence[Account]) -> list[AccountResult]:
    """One task an account, as many at once as the flow's runner allows. A failed one is a failed task, no more."""
    results: dict[Account, AccountResult] = {}

    @task(name="read account", task_run_name="read {one}", cache_policy=NO_CACHE, persist_result=False)
    def read(one: Account) -> State[Any]:
        results[one] = result = work(one)
        if result.is_fine:
            return Completed(message=f"{result.days_done} days read.")
        return Failed(message=result.error or result.state)

    wait(read.map(list(accounts)))
    lost = "Its task ended without a result."
    return [results.get(one) or AccountResult(one, "failed", error=lost) for one in accounts]


def _as_task(name: str, work: Callable[[], None]) -> None:
    @task(name=name, cache_policy=NO_CACHE, persist_result=False)
    def phase() -> None:
        work()

    phase()


def _sentences(results: Sequence[AccountResult]) -> list[str]:
    return [f"{one.account}: {one.error or one.state}" for one in results if not one.is_fine]


def _table_of_failed(results: Sequence[AccountResult]) -> None:
    rows = tasks.account_rows(results)
    if rows:
        _table("failed-accounts", tasks.FAILED_ACCOUNTS, rows, "Connected accounts that are not up to date.")


def _table(key: str, headings: Sequence[str], rows: Sequence[Sequence[str]], text: str) -> None:
    create_table_artifact(
        table=[dict(zip(headings, row, strict=True)) for row in rows], key=key, description=text
    )
