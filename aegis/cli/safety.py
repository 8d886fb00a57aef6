"""Commands that take data out or away: export and delete of one tenant, backup and restore of everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aegis.cli.frame import note

TenantOption = Annotated[str, typer.Option("--tenant", help="Name or id.")]


def register(app: typer.Typer) -> None:
    from aegis.cli.tenants import tenant_app

    tenant_app.command("export")(tenant_export)
    tenant_app.command("delete")(tenant_delete)
    app.command()(backup)
    app.command()(restore)


def tenant_export(
    tenant: TenantOption,
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder.")],
    kind: Annotated[
        str, typer.Option("--format", help="parquet or csv; only csv keeps every digit of ratios.")
    ] = "parquet",
) -> None:
    """Write everything of one tenant to a folder: a file per table and a manifest with rows and checksums."""
    from aegis.database import open_database
    from aegis.export import export_tenant
    from aegis.tenants import resolve_tenant

    database = open_database(say=note)
    with database.connect("owner") as connection:
        found = resolve_tenant(connection, tenant)
    exported = export_tenant(database, found, to, kind, progress=note)
    rows = sum(exported.rows.values())
    typer.echo(f"Exported {found.name} to {exported.folder}: {rows:,} rows of {len(exported.rows)} tables.")


def tenant_delete(
    tenant: TenantOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the name again.")] = False,
) -> None:
    """Delete a tenant for good: every row in every schema, history and audit trail included, and its logins.

    What stays is one row of ops.tenant_deletions with the hash of the tenant's id. Backups keep what they held.
    """
    from aegis.database import open_database
    from aegis.erase import delete_tenant
    from aegis.tenants import resolve_tenant

    database = open_database(say=note)
    with database.connect("owner") as connection:
        found = resolve_tenant(connection, tenant)
    if not yes:
        typed = typer.prompt(f"This cannot be undone. Type the name ({found.name}) to delete it", err=True)
        if typed.strip() != found.name:
            note("That is not its name. Nothing was deleted.")
            raise typer.Exit(1)
    erased = delete_tenant(database, found, progress=note)
    logins = f", and {len(erased.logins)} logins" if erased.logins else ""
    typer.echo(f"Deleted {found.name}: {erased.rows:,} rows{logins}.")
    if erased.traces:
        for relation, rows in erased.traces.items():
            typer.echo(f"  {relation}: {rows:,} rows still name it")
        note(
            "Something wrote while the tenant was deleted, or a table has no column tenant_id: look at these rows."
        )
        raise typer.Exit(1)
    typer.echo("A search of all tables found no trace of its id, accounts and logins.")
    note(
        f"Files are yours to remove: exports, backups, and the last summary in {database.settings.data_dir} until the "
        "next `aegis summary`."
    )


def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")],
) -> None:
    """Write the whole database to one file, from one moment, without holding anybody up.

    It holds no password, and not the key that encrypts credentials: keep that key too.
    """
    from aegis.backup import backup as make_backup
    from aegis.connect import key_file
    from aegis.database import open_database

    database = open_database(say=note)
    done = make_backup(database, file, progress=note)
    typer.echo(
        f"Backed up {done.tables} tables with {done.rows:,} rows and {done.logins} logins to {done.path} "
        f"({done.size / 1e6:,.1f} MB)."
    )
    if key_file(database.settings).exists():
        note(
            f"Keep {key_file(database.settings)} beside it, in another place: without it no credential can be read."
        )


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `aegis backup` wrote.")],
) -> None:
    """Bring a backup into an empty database, compare every table with it, and deploy this checkout."""
    from aegis.backup import restore as run_restore
    from aegis.database import open_database

    database = open_database(say=note)
    done = run_restore(database, file, progress=note)
    typer.echo(
        f"Restored {done.tables} tables with {done.rows:,} rows into {database.describe()}; each equals the backup's."
    )
    if done.logins:
        note(
            f"{done.logins} logins are bound as before and have no password: `aegis tenant login rotate` sets one."
        )
    note(
        "Next: `aegis validate`. Put the key for credentials back where it was, or connect the accounts again."
    )
