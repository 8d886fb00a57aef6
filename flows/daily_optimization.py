"""The daily run, as the runbook reads: sync, take in, judge, plan, build, close.

Takes its database from outside and knows neither SQL nor a platform. `aegis optimize` and `make run` call it in the
foreground; flows/deployments.py wraps the same function for the scheduler. Running a day again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dlt_pipelines.common.connections import Connections
from flows import tasks
from flows.tasks import Conduct, Progress, RunReport, TakeIn

SYNC = "Reading the platforms"
TAKE_IN = "Taking in what is new"
JUDGE = "Judging its quality"
BUILD = "Building the marts"


def silent(_: str) -> None:
    """No progress lines."""


def optimize(
    connections: Connections,
    tenants: Sequence[str] | None = None,
    as_of: date | None = None,
    progress: Progress = silent,
    *,
    take_in: TakeIn | None = None,
    conduct: Conduct = tasks.straight,
) -> RunReport:
    """Run the daily optimisation for these tenants (ids; None means all) as of a day (None: the newest complete one).

    One tenant's or account's failure does not stop the others: it is a row of the report, whose `ok` is then False,
    and the marts are built from what there is. A failed build fails every planned tenant, since all share the models,
    and takes nothing back from what stood before.

    take_in  brings connected accounts up to date, see `tasks.reader`; left out, no platform is read
    conduct  runs one phase, named; a scheduler makes a task of it

    Raises  ContractError for an unknown tenant and for a day in the future or before the newest one run
            AegisError when another daily run doesn't end
    """
    report = RunReport()
    with tasks.one_run_at_a_time(connections, progress):
        report.runs = tasks.choose_tenants(connections, tenants)
        tasks.refuse_looking_back(connections, report.runs, as_of)

        accounts = tasks.accounts_to_read(connections, report.runs) if take_in is not None else []
        if take_in is not None and accounts:
            with report.phase(SYNC, progress):
                report.accounts = take_in(accounts)

        with report.phase(TAKE_IN, progress):
            conduct(TAKE_IN, lambda: tasks.count_new(connections, report.runs))

        with report.phase(JUDGE, progress):
            conduct(JUDGE, lambda: tasks.judge(connections, report))

        tasks.plan_days(connections, report.runs, as_of)
        if not report.with_status("planned"):
            return report

        try:
            with report.phase(BUILD, progress):
                conduct(BUILD, lambda: tasks.build(connections, report))
        except BaseException as problem:
            report.failed_models = [f"{type(problem).__name__}: {problem}"]
            tasks.close_runs(connections, report)
            raise
        tasks.close_runs(connections, report)
    return report
