"""Commands about the schema: deploy and validate."""

from __future__ import annotations

import typer

from aegis.cli.frame import note


def register(app: typer.Typer) -> None:
    for command in (deploy, validate):
        app.command()(command)


def deploy() -> None:
    """Bring the database to the state of this checkout. Safe to repeat; a second one waits for the first."""
    from aegis.database import open_database
    from aegis.deploy import deploy as run_deployment

    database = open_database(say=note)
    report = run_deployment(database, progress=note)
    for step in report.steps:
        text = f"{step.name}  {step.message}".strip()
        typer.echo(f"{step.status:<8} {step.phase:<15} {step.duration_ms:>6.0f} ms  {text}".rstrip())
    typer.echo(f"Deployed to {database.describe()} in {report.seconds:.1f} s.")
    typer.echo(
        "Next: `aegis validate` proves it; `make run` fills it; `aegis tenant add NAME` adds a tenant."
    )


def validate() -> None:
    """Prove that tables, functions, policies, grants and seed rows are as they should be; exit code 1 if not."""
    from aegis.database import open_database
    from aegis.validate import render
    from aegis.validate import validate as run_validation

    report = run_validation(open_database(say=note))
    render(report)
    if not report.passed:
        raise typer.Exit(1)
