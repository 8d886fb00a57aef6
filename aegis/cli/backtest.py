"""The command backtest: the daily run's judgement day by day over a stretch of the past, in one build."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis.cli.daily import TenantOption, tenant_ids
from aegis.cli.frame import note
from dlt_pipelines.common.errors import ContractError

if TYPE_CHECKING:
    from flows.replay import ReplayReport

SECONDS_BETWEEN_LINES = 5.0


def register(app: typer.Typer) -> None:
    app.command()(backtest)


def backtest(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day to judge.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day to judge.")],
    tenant: TenantOption = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write anomalies.csv and recommendations.csv there.", file_okay=False
        ),
    ] = None,
) -> None:
    """Replay a stretch of days on what was known on each, into ads_internal.backtest_*. Schema ads stays as it is."""
    from aegis.cli.decisions import parse_day
    from aegis.database import open_database
    from flows.replay import replay

    begin, end = parse_day(first, "--from"), parse_day(last, "--to")
    if begin > end:
        raise ContractError(f"--from {begin} is after --to {end}.", "Give the earlier day with --from.")
    if export is not None:
        export.mkdir(parents=True, exist_ok=True)
    database = open_database(say=note)
    report = replay(
        database.connections(), begin, end, tenant_ids(database, tenant), progress=_say, day_done=_counter()
    )
    _print_report(report, begin, end)
    if export is not None:
        from aegis.backtest_files import write_files

        for file, rows in write_files(database, [one.tenant_id for one in report.tenants], export):
            typer.echo(f"Wrote {file}: {rows:,} rows.")


def _say(text: str) -> None:
    note(f"{text} …")


def _counter() -> Callable[[int, int, date], None]:
    """Says how far the replay is: the first day, then every few seconds, and the last one."""
    begun = told = time.monotonic()

    def tell(done: int, days: int, day: date) -> None:
        nonlocal begun, told
        now = time.monotonic()
        if done == 1:
            begun = now  # the first day looks at weeks, the others mostly at themselves
        elif done != days and now - told < SECONDS_BETWEEN_LINES:
            return
        told = now
        left = (now - begun) / (done - 1) * (days - done) if done > 1 else 0.0
        note(
            f"{done:>5} of {days} days done, as of {day}"
            + (f", about {_duration(left)} left" if left else "")
        )

    return tell


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _print_report(report: ReplayReport, begin: date, end: date) -> None:
    for one in report.tenants:
        if one.waiting:
            note(
                f"{one.name}: {one.waiting:,} account-days were loaded but not yet taken into the history, so they are "
                "left out. `aegis optimize` takes them in."
            )
        if not one.days:
            note(f"{one.name}: no figures between {begin} and {end}, so nothing was judged.")
        elif (one.first_day, one.last_day) != (begin, end):
            note(f"{one.name}: has figures from {one.first_day} to {one.last_day} of that stretch.")
    judged = [one for one in report.tenants if one.days]
    typer.echo(
        f"Replayed {report.days} {'day' if report.days == 1 else 'days'} of {len(judged)} "
        f"{'tenant' if len(judged) == 1 else 'tenants'} in {report.seconds:.0f} s: {report.incidents:,} incidents and "
        f"{report.raised:,} recommendations."
    )
    typer.echo("They stand in ads_internal.backtest_anomalies and ads_internal.backtest_recommendations.")
