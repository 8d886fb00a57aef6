"""Backing up and restoring the whole database: one file with a dump, the logins, and a fingerprint of every table.

The file holds no password and not the key that encrypts credentials; that key lies in the data folder (or AEGIS_KEY)
and must be kept beside the backup, or every account has to be connected again. A restored login gets its tenants back
but no password: `aegis dsn` or `aegis tenant login rotate` sets one.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from aegis.server import Server
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database

FORMAT = 1
HOURS = 6
# Deploying after a restore writes to the one; the other's keys are the roles' oids, which are new.
NOT_COMPARED = ("public.deployment_log", "tenancy.role_tenants")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Summary:
    """What a backup holds, or a restore brought."""

    path: Path
    tables: int
    rows: int
    logins: int
    size: int


# -- out ------------------------------------------------------------------------------------------------------


def backup(database: Database, path: Path, progress: Progress = lambda _: None) -> Summary:
    """Write the whole database to one file, from one snapshot; readers and writers are not held up.

    Raises  AegisError where the file is there already, or the administrator may not read past row security
    """
    if path.exists():
        raise AegisError(f"{path} is there already.", "Name a new file.")
    unfinished = path.with_name(path.name + ".unfinished")
    with database.connect("admin") as admin, tempfile.TemporaryDirectory(prefix="aegis-backup-") as folder:
        admin.execute("set transaction isolation level repeatable read, read only")
        _refuse_partial_sight(admin)
        row = admin.execute("select pg_export_snapshot()").fetchone()
        progress("Fingerprinting every table")
        tables = fingerprints(admin)
        logins = _logins(admin)
        migrations = admin.execute(
            "select name from public.deployment_log where phase = 'migration' and status = 'done' order by name"
        ).fetchall()
        dump = Path(folder) / "database.dump"
        progress("Dumping")
        _run(database, "pg_dump", "--format=custom", f"--snapshot={row[0] if row else ''}", f"--file={dump}")
        manifest = {
            "format": FORMAT,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "server_version": admin.info.server_version,
            "role_prefix": database.settings.role_prefix,
            "migrations": [one[0] for one in migrations],
            "tables": {name: list(values) for name, values in tables.items()},
            "logins": logins,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
            _add(archive, "manifest.json", json.dumps(manifest, indent=2).encode())
            archive.add(dump, "database.dump")
        unfinished.rename(path)
    rows = sum(values[0] for values in tables.values())
    return Summary(path, len(tables), rows, len(logins), path.stat().st_size)


def fingerprints(admin: psycopg.Connection[Any]) -> dict[str, tuple[int, str]]:
    """Table → (rows, an order-free sum of hashes of its rows), for every table of every schema but the system's."""
    from psycopg import sql

    for setting in (
        "timezone = 'UTC'",
        "datestyle = 'ISO'",
        "intervalstyle = 'postgres'",
        "extra_float_digits = 1",
    ):
        admin.execute(f"set local {setting}".encode())
    names = admin.execute(
        """
        select n.nspname, c.relname
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where c.relkind = 'r' and c.relpersistence <> 't'
            and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
        order by 1, 2
        """
    ).fetchall()
    found = {}
    for schema, table in names:
        row = admin.execute(
            sql.SQL(
                "select count(*), coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint::numeric), 0)::text "
                "from {} as t"
            ).format(sql.Identifier(schema, table))
        ).fetchone()
        assert row is not None
        found[f"{schema}.{table}"] = (row[0], row[1])
    return found


def _refuse_partial_sight(admin: psycopg.Connection[Any]) -> None:
    row = admin.execute(
        "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    ).fetchone()
    if not (row and row[0]):
        raise AegisError(
            "The user of AEGIS_DATABASE_URL is no superuser: row security would hide rows from a dump.",
            "Use the provider's own backups (snapshots), or a superuser.",
        )


def _logins(admin: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Logins that are bound to a tenant, and the oid by which they are."""
    rows = admin.execute(
        """
        select r.rolname, r.oid::bigint, min(b.kind), (select system_identifier::text from pg_control_system())
        from tenancy.role_tenants as b
        inner join pg_roles as r on r.oid = b.role_oid and r.rolname = b.role_name
        group by r.rolname, r.oid
        order by r.rolname
        """
    ).fetchall()
    return [{"name": name, "oid": oid, "kind": kind, "server": server} for name, oid, kind, server in rows]


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


# -- in -------------------------------------------------------------------------------------------------------


def restore(database: Database, path: Path, progress: Progress = lambda _: None) -> Summary:
    """Bring a backup into an empty database, compare every table with its fingerprint, and deploy this checkout.

    All or nothing: the dump is restored in one transaction.
    Raises  AegisError where the database is not empty, the file is no backup, or a login of the same name is there
    """
    from aegis.deploy import deploy

    manifest = read_manifest(path)
    prefix = database.settings.role_prefix
    if manifest["role_prefix"] != prefix:
        raise AegisError(
            f"The backup's roles begin with {manifest['role_prefix']!r}, this deployment's with {prefix!r}.",
            f"Set AEGIS_ROLE_PREFIX={manifest['role_prefix']} for the restore.",
        )
    with database.connect("admin") as admin:
        if admin.info.server_version // 10000 < manifest["server_version"] // 10000:
            raise AegisError(
                f"The backup comes from PostgreSQL {manifest['server_version'] // 10000}, this server is "
                f"{admin.info.server_version // 10000}.",
                "Restore into the same or a newer major version.",
            )
        row = admin.execute(
            "select to_regnamespace('tenancy') is not null or to_regnamespace('ads') is not null"
        )
        if (found := row.fetchone()) and found[0]:
            raise AegisError(
                f"The database {database.describe()} is not empty. Nothing was changed.",
                "Restore into a new one: AEGIS_DATA_DIR=… or AEGIS_DATABASE_URL=…, or `aegis destroy --yes` first.",
            )
        progress("Making roles and logins")
        _make_roles(database, admin)
        _make_logins(database, admin, manifest["logins"])
    progress("Restoring")
    with tempfile.TemporaryDirectory(prefix="aegis-restore-") as folder:
        with tarfile.open(path) as archive:
            archive.extract("database.dump", folder, filter="data")
        _run(
            database, "pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={_address(database)}",
            str(Path(folder) / "database.dump"),
        )  # fmt: skip
    progress("Comparing every table with the backup")
    with database.connect("admin") as admin:
        _rebind(admin, manifest["logins"])
        _compare(fingerprints(admin), manifest["tables"])
    progress("Deploying this checkout")
    deploy(database, progress=progress)
    rows = sum(values[0] for values in manifest["tables"].values())
    return Summary(path, len(manifest["tables"]), rows, len(manifest["logins"]), path.stat().st_size)


def read_manifest(path: Path) -> dict[str, Any]:
    """Raises AegisError where the file is no backup of a format known here."""
    try:
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            content = json.loads(member.read()) if member else {}
    except FileNotFoundError as problem:
        raise AegisError(f"There is no file {path}.", "Name one that `aegis backup` wrote.") from problem
    except (tarfile.TarError, KeyError, ValueError, OSError) as problem:
        raise AegisError(
            f"{path} is no backup of Aegis, or is damaged.", "Name one that `aegis backup` wrote."
        ) from problem
    if content.get("format") != FORMAT:
        raise AegisError(
            f"{path} has the format {content.get('format')}; this Aegis reads {FORMAT}.",
            "Update the checkout.",
        )
    return dict(content)


def _make_roles(database: Database, admin: psycopg.Connection[Any]) -> None:
    from aegis.deploy import with_prefix

    text = (database.settings.root / "sql" / "bootstrap" / "000_roles.sql").read_text(encoding="utf-8")
    admin.execute(with_prefix(text, database.settings.role_prefix).encode())


def _make_logins(database: Database, admin: psycopg.Connection[Any], logins: list[dict[str, Any]]) -> None:
    """The logins of the backup, without password. One of that name that is another person's is never bound."""
    from psycopg import sql

    row = admin.execute("select system_identifier::text from pg_control_system()").fetchone()
    here = row[0] if row else ""
    for login in logins:
        known = admin.execute(
            "select oid::bigint from pg_roles where rolname = %s", (login["name"],)
        ).fetchone()
        if known and not (here == login["server"] and known[0] == login["oid"]):
            raise AegisError(
                f"This server already has a login {login['name']} that is not the backup's. Nothing was changed.",
                "Rename or drop it first: restoring would give it a tenant's rows.",
            )
        name = sql.Identifier(login["name"])
        if not known:
            admin.execute(sql.SQL("create role {} login").format(name))
            for setting in ("max_parallel_workers_per_gather = 0", "jit = off"):
                admin.execute(sql.SQL("alter role {} set {}").format(name, sql.SQL(setting)))
            if login["kind"] == "analyst":
                admin.execute(sql.SQL("alter role {} set search_path = {}, ads").format(name, name))
        admin.execute(
            sql.SQL("grant {} to {} with inherit true, set false").format(
                sql.Identifier(database.role(login["kind"])), name
            )
        )


def _rebind(admin: psycopg.Connection[Any], logins: list[dict[str, Any]]) -> None:
    """Bindings carry the role's oid, which is new here; those that were stale in the backup stay stale."""
    for login in logins:
        admin.execute(
            """
            update tenancy.role_tenants as b
            set role_oid = r.oid
            from pg_roles as r
            where r.rolname = %(name)s and b.role_name = %(name)s and b.role_oid::bigint = %(oid)s
            """,
            login,
        )


def _compare(have: dict[str, tuple[int, str]], want: dict[str, list[Any]]) -> None:
    different = [
        name
        for name, values in want.items()
        if name not in NOT_COMPARED and have.get(name) != (values[0], values[1])
    ]
    if different:
        raise AegisError(
            f"After the restore {len(different)} tables differ from the backup: {', '.join(different[:5])}.",
            "The file is damaged, or something wrote meanwhile: restore it into another new database.",
        )


# -- the programs ---------------------------------------------------------------------------------------------


def _run(database: Database, program: str, *arguments: str) -> None:
    """pg_dump or pg_restore of the server's version (of 18 for an external one). The password goes by environment."""
    folder = (database.server or Server(database.settings)).packaged() / "bin"
    parts = urlsplit(database.url("admin"))
    environment = {**os.environ, "PGPASSWORD": unquote(parts.password or ""), "PGOPTIONS": ""}
    command = [str(folder / program), "--no-password", *arguments]
    if program == "pg_dump":
        command.append(f"--dbname={_address(database)}")
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=HOURS * 3600
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise AegisError(
            f"{program} failed: {lines[0] if lines else f'code {done.returncode}'}",
            "Nothing was changed." if program == "pg_restore" else "",
        )


def _address(database: Database) -> str:
    from aegis.database import without_password

    return without_password(database.url("admin"))
