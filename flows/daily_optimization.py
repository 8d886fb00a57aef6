"""The daily run, as the runbook reads: take in, judge, plan, build, close.

Takes its database from outside and knows neither SQL nor a platform. `aegis optimize` and `make run` call it in the
foreground; a scheduler may wrap the same function. Running a day again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dlt_pipelines.common.connections import Connections
from flows import tasks
from flows.tasks import Progress, RunReport

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
) -> RunReport:
    """Run the daily optimisation for these tenants (ids; None means all) as of a day (None: the newest complete one).

    One tenant's failure does not stop the others: it is a row of the report, whose `ok` is then False. A failed
    build fails every planned tenant, since all share the models, and takes nothing back from what stood before.

    Raises  ContractError for an unknown tenant and for a day in the future or before the newest one run
            AegisError when another daily run doesn't end
    """
    report = RunReport()
    with tasks.one_run_at_a_time(connections, progress):
        report.runs = tasks.choose_tenants(connections, tenants)
        tasks.refuse_looking_back(connections, report.runs, as_of)

        with report.phase(TAKE_IN, progress):
            tasks.count_new(connections, report.runs)

        with report.phase(JUDGE, progress):
            tasks.judge(connections, report)

        tasks.plan_days(connections, report.runs, as_of)
        if not report.with_status("planned"):
            return report

        try:
            with report.phase(BUILD, progress):
                tasks.build(connections, report)
        except BaseException as problem:
            report.failed_models = [f"{type(problem).__name__}: {problem}"]
            tasks.close_runs(connections, report)
            raise
        tasks.close_runs(connections, report)
    return report
