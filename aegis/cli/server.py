"""Commands about the server: up, down, status, dsn, destroy, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from aegis.cli.frame import note
from aegis.settings import SERVICES, TENANT_ROLES, Settings
from dlt_pipelines.common.errors import AegisError


def register(app: typer.Typer) -> None:
    for command in (up, down, status, dsn, destroy, doctor):
        app.command()(command)


def up(
    scheduler: Annotated[
        bool,
        typer.Option("--scheduler", help="Also a Prefect server, its page and a worker for the schedules."),
    ] = False,
) -> None:
    """Start the embedded Postgres, or check the server AEGIS_DATABASE_URL names."""
    from aegis.database import open_database

    settings = Settings.from_environment()
    was_up = settings.embedded and _server(settings).state().accepting
    database = open_database(settings, say=note)
    if not database.embedded:
        typer.echo(f"The database {database.describe()} answers; nothing was started.")
    else:
        typer.echo(f"{'Already up' if was_up else 'Up'}: {database.describe()}.")
    if scheduler:
        started = _scheduler(settings).start(database, note)
        typer.echo(f"The scheduler is up: {started.page}")
        typer.echo(
            "Next: `aegis status` shows both; after a tenant in a new time zone: `aegis up --scheduler` again."
        )
        return
    typer.echo('Next: `aegis deploy`, or open it with: psql "$(aegis dsn)"')


def down() -> None:
    """Stop the embedded Postgres and the scheduler. Data stays."""
    settings = Settings.from_environment()
    if _scheduler(settings).stop(note):
        typer.echo("The scheduler is stopped.")
    if not settings.embedded:
        typer.echo("AEGIS_DATABASE_URL names a server that Aegis did not start; it is left running.")
        return
    stopped = _server(settings).stop(note)
    typer.echo(
        "Stopped; `aegis up` starts it again with everything in it." if stopped else "It was not running."
    )


def status() -> None:
    """Say whether the database answers and where. Exit code 1 when it does not."""
    settings = Settings.from_environment()
    if not settings.embedded:
        from aegis.database import open_database

        typer.echo(f"up    {open_database(settings).describe()} (AEGIS_DATABASE_URL)")
        _tell_scheduler(settings)
        return
    server = _server(settings)
    state = server.state()
    if state.accepting:
        typer.echo(
            f"up    embedded PostgreSQL {server.version} at 127.0.0.1:{state.port}, process {state.pid}"
        )
        typer.echo(f"data  {server.data}")
        typer.echo(f"log   {server.log_file}")
        _tell_scheduler(settings)
        return
    if state.pid is not None:
        typer.echo(
            f"busy  process {state.pid} runs but does not accept connections yet; see {server.log_file}"
        )
    elif (server.data / "PG_VERSION").exists():
        typer.echo(f"down  embedded PostgreSQL {server.version}, data in {server.data}")
        typer.echo("Next: `aegis up`")
    else:
        typer.echo(f"none  no embedded PostgreSQL {server.version} has been made yet")
        typer.echo("Next: `make run`, or `aegis up`")
    raise typer.Exit(1)


def dsn(
    tenant: Annotated[
        str | None, typer.Option(help="Name or id: a login of that tenant, made on first use.")
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            help="With --tenant: reader, buyer or analyst. Without: transformer, loader, app or owner."
        ),
    ] = None,
) -> None:
    """Print a URL for psql, password included for the embedded server: treat it as a secret."""
    from aegis.database import dsn as make_dsn
    from aegis.database import open_database

    allowed = TENANT_ROLES if tenant else SERVICES
    if role is not None and role not in allowed:
        if tenant is None and role in TENANT_ROLES:
            raise AegisError(f"A {role} always belongs to a tenant.", f"Add --tenant NAME to --role {role}.")
        raise AegisError(
            f"There is no role {role!r} {'for a tenant' if tenant else 'without --tenant'}.",
            f"Roles: {', '.join(allowed)}.",
        )
    database = open_database(say=note)
    tenant_id = None
    if tenant is not None:
        from aegis.tenants import resolve_tenant

        with database.connect("owner") as connection:
            tenant_id = str(resolve_tenant(connection, tenant).tenant_id)
    url, login = make_dsn(database, role, tenant_id)
    if login is not None and login.created:
        note(f"Made the login {login.name}, a {login.kind} of this tenant only.")
        if not database.embedded:
            note(f"It has no password yet; set one in psql with: \\password {login.name}")
    typer.echo(url)


def destroy(
    yes: Annotated[bool, typer.Option("--yes", help="Really delete; there is no way back.")] = False,
) -> None:
    """Delete the embedded database with everything in it."""
    settings = Settings.from_environment()
    if not settings.embedded:
        raise AegisError(
            "AEGIS_DATABASE_URL names a server of yours; Aegis does not delete its data.",
            "Drop the database there, or unset AEGIS_DATABASE_URL to delete the embedded one.",
        )
    server = _server(settings)
    if yes:
        _scheduler(settings).stop(note)
    if not (server.data / "PG_VERSION").exists():
        typer.echo(f"There is no embedded PostgreSQL {server.version} to delete.")
        return
    if not yes:
        raise AegisError(
            f"This would delete {server.data} for good.", "Say `aegis destroy --yes` if you mean it."
        )
    place = server.data
    server.destroy()
    typer.echo(f"Deleted {place}, its passwords and its log.")


def doctor() -> None:
    """Check port, disk, encoding, versions, roles, clock and key file; exit code 1 when something is wrong."""
    from aegis.doctor import examine

    findings = examine(Settings.from_environment())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        typer.echo(f"{finding.state:<5} {finding.subject:<{width}}  {finding.text}")
        if finding.hint:
            typer.echo(f"{'':<5} {'':<{width}}  → {finding.hint}")
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _server(settings: Settings):  # type: ignore[no-untyped-def]  # the class is imported late on purpose
    from aegis.server import Server

    return Server(settings)


def _scheduler(settings: Settings):  # type: ignore[no-untyped-def]  # likewise
    from aegis.scheduler import Scheduler

    return Scheduler(settings)


def _tell_scheduler(settings: Settings) -> None:
    """A line where a scheduler was ever started here."""
    state = _scheduler(settings).state()
    if state.port is None:
        return
    if state.is_up:
        typer.echo(
            f"up    scheduler at {state.page}, processes {state.server} (server), {state.worker} (worker)"
        )
    elif state.server or state.worker:
        gone = "worker" if state.server else "server"
        typer.echo(f"half  scheduler: its {gone} is gone; `aegis up --scheduler` starts it again")
    else:
        typer.echo("down  scheduler; `aegis up --scheduler` starts it")
