"""Commands about the demo: load, advance, remove, status."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aegis.cli.frame import note


def register(app: typer.Typer) -> None:
    demo = typer.Typer(
        help="Three synthetic tenants to look around with: load, advance, remove, status.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    commands: dict[str, Any] = {"load": load, "advance": advance, "remove": remove, "status": status}
    for name, command in commands.items():
        demo.command(name)(command)
    app.add_typer(demo, name="demo")


def load(
    as_of: Annotated[
        str | None, typer.Option(metavar="DAY", help="Newest day of its history; yesterday.")
    ] = None,
) -> None:
    """Load the demo's tenants and 130 days of their history."""
    from aegis import demo
    from aegis.cli.decisions import parse_day
    from aegis.database import open_database

    day = parse_day(as_of, "--as-of") if as_of is not None else None
    loaded = demo.load(open_database(say=note), day, progress=note)
    typer.echo(
        f"Loaded {loaded.tenants} demo tenants: {loaded.rows:,} reports over {loaded.account_days:,} account-days, "
        f"as of {loaded.as_of}."
    )
    typer.echo("Next: `aegis optimize` builds the marts; `aegis summary` shows them.")


def advance(
    days: Annotated[int, typer.Option(min=1, max=60, help="How many days, one after the other.")] = 1,
    no_optimize: Annotated[bool, typer.Option("--no-optimize", help="Only import, do not build.")] = False,
) -> None:
    """Bring the demo's next day: import what became known, move its as-of day, run the optimisation."""
    from aegis import demo
    from aegis.cli.daily import run_optimization
    from aegis.database import open_database

    database = open_database(say=note)
    for _ in range(1 if no_optimize else days):
        moved = demo.advance(database, days if no_optimize else 1, progress=note)
        typer.echo(f"The demo is now as of {moved.as_of}: {moved.rows:,} reports imported.")
        if not no_optimize:
            run_optimization(database, demo.state(database).tenant_ids, None)
    typer.echo("Next: `aegis summary`" if not no_optimize else "Next: `aegis optimize`")


def remove() -> None:
    """Delete the demo completely, from every schema."""
    from aegis import demo
    from aegis.database import open_database

    database = open_database(say=note)
    if not demo.state(database).tenants:
        typer.echo("There is no demo to remove.")
        return
    removed = demo.remove(database, progress=note)
    typer.echo(f"Removed the demo: {removed:,} rows. Your own tenants are untouched.")


def status() -> None:
    """Say whether the demo is loaded, and where its calendar stands."""
    from aegis import demo
    from aegis.database import open_database

    found = demo.state(open_database(say=note))
    if not found.tenants:
        typer.echo("The demo is not loaded.")
        typer.echo("Next: `aegis demo load`" if not found.real else "Tenants of your own are here.")
        return
    if not found.is_loaded:
        typer.echo("A load of the demo broke off.")
        typer.echo("Next: `aegis demo load` finishes it, `aegis demo remove` deletes it.")
        raise typer.Exit(1)
    typer.echo(
        f"The demo is loaded, as of {found.as_of}, with figures from {found.first_day} to {found.newest_day}:"
    )
    for tenant in found.tenants:
        typer.echo(f"  {tenant.tenant_id}  {tenant.name}")
    typer.echo("Next: `aegis demo advance` brings its next day; `aegis demo remove` deletes it.")
