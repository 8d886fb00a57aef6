"""Commands of the morning: optimize, summary, and run, which does everything from an empty machine on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis.cli.frame import note

if TYPE_CHECKING:
    from aegis.database import Database
    from aegis.demo import DemoState
    from flows.tasks import RunReport

TenantOption = Annotated[str | None, typer.Option("--tenant", help="Name or id; without it all tenants.")]


def register(app: typer.Typer) -> None:
    app.command()(optimize)
    app.command()(summary)
    app.command()(run)


def optimize(
    tenant: TenantOption = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="DAY", help="Day to judge; without it the newest complete one.")
    ] = None,
) -> None:
    """Take in what is new, judge its quality, build the marts. Exit code 1 when something failed."""
    from aegis.cli.decisions import parse_day
    from aegis.database import open_database

    day = parse_day(as_of, "--as-of") if as_of is not None else None
    database = open_database(say=note)
    report = run_optimization(database, tenant_ids(database, tenant), day)
    if not report.ok:
        raise typer.Exit(1)
    if report.runs:
        typer.echo("Next: `aegis summary`, or as a page: `aegis summary --html summary.html`")


def summary(
    tenant: TenantOption = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write the page there instead of printing.", dir_okay=False),
    ] = None,
) -> None:
    """Show, per tenant, spend and ROAS, what is wrong, what to change, and what the data lacks."""
    from aegis.database import open_database
    from aegis.summary import read_summary

    database = open_database(say=note)
    found = read_summary(database, tenant_ids(database, tenant))
    if html is not None:
        from aegis.summary_html import write_summary

        typer.echo(f"Wrote {write_summary(found, html)}; open it in a browser.")
        return
    from aegis.summary_terminal import print_summary

    print_summary(found)


def run() -> None:
    """Do the main job: database, schema, demo if there is nothing else, daily run, summary."""
    from aegis import demo
    from aegis.database import open_database
    from aegis.summary import read_summary
    from aegis.summary_html import write_summary
    from aegis.summary_terminal import print_summary

    begun = time.monotonic()
    with _stage(1, "Database") as done:
        database = open_database(say=note)
        done(database.describe())
    with _stage(2, "Schema") as done:
        done(_deploy(database))
    with _stage(3, "Tenants") as done:
        state = demo.state(database)
        if state.real:
            done(_about_real(state))
        elif state.is_loaded:
            done(f"the demo is loaded, as of {state.as_of}")
        else:
            loaded = demo.load(database, progress=_detail)
            done(f"loaded {loaded.tenants} demo tenants, {loaded.rows:,} reports, as of {loaded.as_of}")
            state = demo.state(database)
    with _stage(4, "Daily run") as done:
        tenants = _real_ids(database) if state.real else None
        report = _optimize(database, tenants, None, _detail)
        ended = [f"{len(report.with_status(status))} {status}" for status in ("done", "skipped", "failed")]
        done(", ".join(text for text in ended if not text.startswith("0 ")) or "no tenant to run")
    page = database.settings.data_dir / "summary.html"
    with _stage(5, "Summary") as done:
        found = read_summary(database, tenants)
        write_summary(found, page)
        done(_shown(page))

    print_summary(found)
    typer.echo("")
    _print_report(report)
    if not report.ok:
        raise typer.Exit(1)
    typer.echo(f"Done in {time.monotonic() - begun:.0f} s. What you can do next:")
    steps = _next_steps(state, page, found.tenants[0].name if found.tenants else None)
    width = max(len(command) for command, _ in steps)
    for command, text in steps:
        typer.echo(f"  {command:<{width}}  {text}")


def run_optimization(database: Database, tenants: Sequence[str] | None, as_of: date | None) -> RunReport:
    """Run the daily optimisation with progress lines and print its table."""
    report = _optimize(database, tenants, as_of, note)
    _print_report(report)
    return report


def _optimize(
    database: Database, tenants: Sequence[str] | None, as_of: date | None, progress: Callable[[str], None]
) -> RunReport:
    from flows.daily_optimization import optimize as run_daily

    return run_daily(database.connections(), tenants, as_of, progress)


def _deploy(database: Database) -> str:
    from aegis.deploy import deploy

    report = deploy(database)
    applied = len(report.applied)
    return "up to date" if not applied else f"{applied} migration{'s' if applied > 1 else ''} applied"


def tenant_ids(database: Database, tenant: str | None) -> list[str] | None:
    if tenant is None:
        return None
    from aegis.tenants import resolve_tenant

    with database.connect("owner") as connection:
        return [str(resolve_tenant(connection, tenant).tenant_id)]


def _real_ids(database: Database) -> list[str]:
    from aegis.tenants import list_tenants

    with database.connect("owner") as connection:
        return [str(one.tenant_id) for one in list_tenants(connection) if not one.is_demo]


def _about_real(state: DemoState) -> str:
    count = len(state.real)
    text = f"{count} of your own" if count > 1 else f"your own, {state.real[0]}"
    if state.tenants:
        return f"{text}; the demo is left as it is (`aegis demo remove` deletes it and its invented exchange rates)"
    return f"{text}; no demo is loaded beside"


def _print_report(report: RunReport) -> None:
    """The run's table: who, as of when, how it ended and why."""
    if not report.runs:
        typer.echo("There are no tenants yet: `aegis tenant add NAME` adds one, `aegis demo load` three.")
        return
    width = max(len(one.name) for one in report.runs)
    for one in report.runs:
        new = f"{one.new_account_days:,} new account-days" if one.new_account_days else "nothing new"
        if one.withheld:
            new += f", {one.withheld:,} withheld"
        day = f"as of {one.as_of}" if one.as_of else ""
        typer.echo(f"{one.status:<7}  {one.name:<{width}}  {day:<16}  {one.reason or new}".rstrip())
    for failure in report.failed_models[:5]:
        note(f"Failed: {failure}")
    if len(report.failed_models) > 5:
        note(f"… and {len(report.failed_models) - 5} more models.")
    if report.advice:
        note(report.advice)


@contextmanager
def _stage(number: int, title: str) -> Iterator[Callable[[str], None]]:
    """One phase of `run`: announced, timed, and told in a line when it is done."""
    note(f"[{number}/5] {title} …")
    told: list[str] = []
    started = time.monotonic()
    yield told.append
    note(f"[{number}/5] {title:<10} {time.monotonic() - started:5.1f} s  {told[-1] if told else ''}".rstrip())


def _detail(text: str) -> None:
    note(f"      {text} …")


def _shown(path: Path) -> str:
    """Relative where that is shorter to read."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _next_steps(state: DemoState, page: Path, tenant: str | None) -> list[tuple[str, str]]:
    import shlex

    aegis = _command()
    steps = [
        (_shown(page), "open it in a browser: the same summary, with charts"),
        (f"{aegis} recommendations list", "what to change; then show, approve, reject ID"),
        (f"{aegis} anomalies list", "what is wrong; then show, ack ID"),
    ]
    if tenant:
        steps.append(
            (f'psql "$({aegis} dsn --tenant {shlex.quote(tenant)})"', "read the marts as that tenant")
        )
    if state.real:
        steps.append((f"{aegis} import csv FILE --tenant T --platform P", "bring in more figures"))
    else:
        steps.append((f"{aegis} demo advance", "the demo's next day"))
        steps.append((f"{aegis} demo remove", "then `tenant add NAME` and `import csv`: figures of your own"))
    return steps


def _command() -> str:
    """How this very command is called from here: by its name where the PATH leads to it, else by its path."""
    import shutil
    import sys

    called = Path(sys.argv[0])
    found = shutil.which("aegis")
    if called.name != "aegis" or (found is not None and Path(found).resolve() == called.resolve()):
        return "aegis"
    return _shown(called.absolute())
