"""Bring a database to the state of this checkout: roles, schemas, functions, tables, policies, logins.

Phases, in this order; each is one transaction, and a migration commits together with its row in the log:
    bootstrap        sql/bootstrap: group roles, schemas, the deployment log
    functions        sql/functions: all of them, every time
    migration        sql/migrations: those the log does not know, in order of their names
    protect          tenancy.protect() on every table of schema ads
    event trigger    sql/superuser: only where the administrator is a superuser
    service logins   the logins of the embedded server

Files name the roles as aegis_owner, aegis_reader and so on; the deployment's own prefix takes their place.
Hashes are of the text before that, so two deployments with different prefixes agree on them.

Idempotent. A second deployment waits for the first (advisory lock of the database).
Raises    AegisError for a database that is not ours to change, a changed or unknown migration, a failing file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aegis
from aegis.settings import DEFAULT_PREFIX, GROUP_ROLES
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database

LOCK_KEY = "aegis deploy"
LOCK_SECONDS = 300
TRIES = 8

# Which schema must belong to which role: one that belongs to somebody else is never touched.
SCHEMA_OWNERS = {
    "tenancy": "owner",
    "ops": "owner",
    "audit": "owner",
    "history": "owner",
    "raw_manual": "loader",
    "raw_meta": "loader",
    "staging": "transformer",
    "intermediate": "transformer",
    "ads_internal": "transformer",
    "ads": "transformer",
}

Say = Callable[[str], None]


# -- the checkout's SQL -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SqlFile:
    """One file. `hash` is the SHA-256 of its text with \\n line ends, before the role prefix is put in."""

    name: str
    text: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class SqlTree:
    bootstrap: list[SqlFile]
    functions: list[SqlFile]
    migrations: list[SqlFile]
    superuser: list[SqlFile]

    @classmethod
    def read(cls, folder: Path) -> SqlTree:
        """Raises AegisError where a migration's name is no `YYYYMMDDHHMM_topic.sql` or a number is used twice."""
        tree = cls(
            *(_read_folder(folder / name) for name in ("bootstrap", "functions", "migrations", "superuser"))
        )
        numbers: dict[str, str] = {}
        for one in tree.migrations:
            if not re.fullmatch(r"\d{12}_[a-z0-9_]+\.sql", one.name):
                raise AegisError(
                    f"The migration sql/migrations/{one.name} has no proper name.",
                    "Call it YYYYMMDDHHMM_topic.sql, in lower case.",
                )
            if one.name[:12] in numbers:
                raise AegisError(
                    f"Two migrations have the number {one.name[:12]}: {numbers[one.name[:12]]} and {one.name}.",
                    "Give the newer one a later number.",
                )
            numbers[one.name[:12]] = one.name
        if not tree.migrations or not tree.bootstrap:
            raise AegisError(f"There are no migrations in {folder}.", "Run this from a complete checkout.")
        return tree

    def functions_hash(self) -> str:
        return hashlib.sha256(
            "\n".join(f"{one.name} {one.hash}" for one in self.functions).encode()
        ).hexdigest()


def _read_folder(folder: Path) -> list[SqlFile]:
    return [SqlFile(path.name, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))]


_ROLE = re.compile(rf"\b{DEFAULT_PREFIX}({'|'.join(GROUP_ROLES)})\b")


def with_prefix(text: str, prefix: str) -> str:
    """The text with the seven group roles under the deployment's prefix; nothing else is touched."""
    return _ROLE.sub(rf"{prefix}\1", text)


# -- the report ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One row of public.deployment_log. status: done, skipped, warning or failed."""

    phase: str
    name: str
    status: str
    message: str
    duration_ms: float


@dataclass
class DeployReport:
    """What a deployment did. `applied` are the migrations that ran now, in order."""

    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def applied(self) -> list[str]:
        return [step.name for step in self.steps if step.phase == "migration"]

    @property
    def warnings(self) -> list[Step]:
        return [step for step in self.steps if step.status == "warning"]


def deploy(database: Database, progress: Say | None = None, sql_folder: Path | None = None) -> DeployReport:
    """Deploy this checkout's sql/ (or another folder of that shape) to the database. See the module's text."""
    import psycopg

    from aegis.database import check_server

    say = progress or (lambda _: None)
    tree = SqlTree.read(sql_folder or database.settings.root / "sql")
    begun = time.monotonic()
    with database.connect("admin", autocommit=True) as admin:
        check_server(admin, database.describe())
        admin.execute("set statement_timeout = 0")
        admin.execute(f"set lock_timeout = '{LOCK_SECONDS}s'")
        admin.execute("set client_min_messages = warning")
        admin.execute("set search_path = pg_catalog")
        admin.execute("set check_function_bodies = off")
        # A killed deployment lets go at once, not when its statement ends. Not every platform can watch that.
        with contextlib.suppress(psycopg.Error):
            admin.execute("set client_connection_check_interval = '2s'")
        _wait_for_turn(admin, say)
        report = _Deployment(database, admin, tree, say).run()
    report.seconds = time.monotonic() - begun
    return report


def ensure_deployed(database: Database, progress: Say | None = None) -> None:
    """Deploy to a database that has nothing of Aegis yet; leave any other as it is."""
    with database.connect("admin") as admin:
        row = admin.execute("select to_regnamespace('tenancy') is null").fetchone()
    if row and row[0]:
        if progress:
            progress("The database is empty: deploying the schema first.")
        deploy(database, progress=progress)


def _wait_for_turn(admin: psycopg.Connection[Any], say: Say) -> None:
    """One deployment of a database at a time. The lock belongs to the connection, so a killed one frees it."""
    import psycopg

    key = "hashtextextended(%s, 0)"
    row = admin.execute(f"select pg_try_advisory_lock({key})", (LOCK_KEY,)).fetchone()
    if row and row[0]:
        return
    say("Another deployment of this database is running; waiting for it.")
    try:
        admin.execute(f"select pg_advisory_lock({key})", (LOCK_KEY,))
    except psycopg.errors.LockNotAvailable as problem:
        raise AegisError(
            f"Another deployment of this database has been running for {LOCK_SECONDS} s.",
            "Wait for it or end it, then run `aegis deploy` again.",
        ) from problem


class _Deployment:
    def __init__(self, database: Database, admin: psycopg.Connection[Any], tree: SqlTree, say: Say) -> None:
        self.database = database
        self.admin = admin
        self.tree = tree
        self.say = say
        self.prefix = database.settings.role_prefix
        self.report = DeployReport()

    def run(self) -> DeployReport:
        self._refuse_what_is_not_ours()
        waiting = self._waiting_migrations()
        self._bootstrap()
        self._functions()
        for one in waiting:
            self._migrate(one)
        self._protect()
        self._event_trigger()
        self._service_logins()
        return self.report

    # -- before anything changes ----------------------------------------------------------------------------

    def _refuse_what_is_not_ours(self) -> None:
        where = self.database.describe()
        for schema, kind in SCHEMA_OWNERS.items():
            owner = self._value("select nspowner::regrole::text from pg_namespace where nspname = %s", schema)
            if owner is not None and owner != self.database.role(kind):
                raise AegisError(
                    f'The database {where} already has a schema "{schema}" that belongs to {owner}, '
                    f"not to {self.database.role(kind)}. Nothing was changed.",
                    "Use a database of its own for Aegis; if another deployment of Aegis made the schema, set "
                    "AEGIS_ROLE_PREFIX to that one's prefix.",
                )
        owner = self._value(
            "select relowner::regrole::text from pg_class where oid = to_regclass('public.deployment_log')"
        )
        if owner is not None and owner != self.database.role("owner"):
            raise AegisError(
                f"The database {where} already has a table public.deployment_log that belongs to {owner}. "
                "Nothing was changed.",
                "Use a database of its own for Aegis.",
            )
        rights = self.admin.execute(
            """
            select
                r.rolsuper,
                r.rolcreaterole,
                pg_has_role(d.datdba, 'usage') as owns_database,
                (select count(*) from pg_roles as g where g.rolname = any(%s)) as known_roles
            from pg_roles as r
            cross join pg_database as d
            where r.rolname = current_user and d.datname = current_database()
            """,
            ([self.database.role(kind) for kind in GROUP_ROLES],),
        ).fetchone()
        assert rights is not None
        is_super, may_make_roles, owns_database, known_roles = rights
        if not is_super and not owns_database:
            raise AegisError(
                f"The user of AEGIS_DATABASE_URL neither owns the database {where} nor is a superuser. "
                "Nothing was changed.",
                "Deploy as the database's owner with CREATEROLE, or as a superuser.",
            )
        if not is_super and not may_make_roles and known_roles < len(GROUP_ROLES):
            raise AegisError(
                "The user of AEGIS_DATABASE_URL may not create roles, and Aegis' roles are not there yet. "
                "Nothing was changed.",
                "Give it CREATEROLE (alter role … createrole), or deploy once as a superuser.",
            )

    def _waiting_migrations(self) -> list[SqlFile]:
        """Those the log does not know. Raises before anything runs where log and checkout contradict each other."""
        ran: dict[str, str] = {}
        if self._value("select to_regclass('public.deployment_log')::text") is not None:
            ran = dict(
                self.admin.execute(
                    "select name, hash from public.deployment_log where phase = 'migration' and status = 'done'"
                ).fetchall()
            )
        known = {one.name: one for one in self.tree.migrations}
        newest_here = max(known)
        for name in sorted(ran):
            if name not in known:
                if name > newest_here:
                    raise AegisError(
                        f"The database was deployed by a newer Aegis: it has the migration {name}, which this "
                        f"checkout (up to {newest_here}) does not know. Nothing was changed.",
                        "Update the checkout (git pull), then deploy again.",
                    )
                raise AegisError(
                    f"The migration {name} ran on this database and is not in the checkout. Nothing was changed.",
                    "Restore the file from git: migrations are never removed or renamed.",
                )
            if known[name].hash != ran[name]:
                raise AegisError(
                    f"The migration sql/migrations/{name} was changed after it ran on this database. "
                    "Nothing was changed.",
                    "Restore the file from git, and put the change into a new migration.",
                )
        waiting = [one for one in self.tree.migrations if one.name not in ran]
        for one in waiting:
            if ran and one.name < max(ran):
                raise AegisError(
                    f"The migration {one.name} has not run, but a later one, {max(ran)}, has. Nothing was changed.",
                    "Migrations run in order: rename the new one to a later number.",
                )
        return waiting

    # -- the phases -------------------------------------------------------------------------------------------

    def _bootstrap(self) -> None:
        def work() -> str:
            for attempt in range(1, TRIES + 1):
                try:
                    with self.admin.transaction():
                        for one in self.tree.bootstrap:
                            self._execute(one, f"sql/bootstrap/{one.name}")
                    break
                except _Retry:
                    # Roles belong to the cluster: a deployment of another database changed the same one just now.
                    if attempt == TRIES:
                        raise
                    time.sleep(0.1 * attempt)
            return f"{len(GROUP_ROLES)} roles, {len(SCHEMA_OWNERS)} schemas"

        self._step("bootstrap", "", work)

    def _functions(self) -> None:
        def work() -> tuple[str, dict[str, Any]]:
            with self.admin.transaction():
                for one in self.tree.functions:
                    self._execute(one, f"sql/functions/{one.name}")
                found = fingerprints(self.admin)
            return f"{len(self.tree.functions)} files, {len(found)} functions", found

        self._step("functions", "", work, hash_=self.tree.functions_hash())

    def _migrate(self, one: SqlFile) -> None:
        self.say(f"Applying {one.name}.")
        begun = time.monotonic()
        try:
            with self.admin.transaction():
                self._execute(one, f"sql/migrations/{one.name}")
                self.admin.execute("reset role")
                step = Step("migration", one.name, "done", "", _since(begun))
                self._write(step, one.hash)
        except AegisError as problem:
            self._log_failure(Step("migration", one.name, "failed", problem.message, _since(begun)), one.hash)
            raise
        self.report.steps.append(step)

    def _protect(self) -> None:
        def work() -> tuple[str, str]:
            import psycopg

            tables = self.admin.execute(
                """
                select c.oid, c.oid::regclass::text
                from pg_class as c
                where c.relnamespace = 'ads'::regnamespace and c.relkind in ('r', 'p')
                    and c.relowner = %s::regrole and not c.relispartition
                order by c.relname
                """,
                (self.database.role("transformer"),),
            ).fetchall()
            protected = 0
            left_out = []
            for oid, name in tables:
                try:
                    with self.admin.transaction():
                        self.admin.execute(f"set local role {self.database.role('transformer')}")
                        row = self.admin.execute(
                            "select tenancy.protect(c.oid::regclass) from pg_class as c where c.oid = %s",
                            (oid,),
                        ).fetchone()
                        protected += bool(row and row[0] == "protected")
                except psycopg.errors.UndefinedTable:
                    continue  # a build replaced it a moment ago and protects its own
                except psycopg.errors.NotNullViolation:
                    left_out.append(name)  # no tenant_id: stays without grants, so unreadable
            text = f"{len(tables)} tables, {protected} newly protected"
            if left_out:
                return f"{text}; no tenant_id, so nobody may read: {', '.join(left_out)}", "warning"
            return text, "done"

        self._step("protect", "", work)

    def _event_trigger(self) -> None:
        def work() -> tuple[str, str]:
            if self._value("select rolsuper from pg_roles where rolname = current_user"):
                with self.admin.transaction():
                    for one in self.tree.superuser:
                        self._execute(one, f"sql/superuser/{one.name}")
                return (
                    "tables made in ads by any way get row security; nobody drops a role's policies",
                    "done",
                )
            made = self._value(
                "select count(*) from pg_event_trigger where evtname in "
                "('aegis_ads_row_security', 'aegis_refuse_drop_owned')"
            )
            if made == len(self.tree.superuser):
                return "there already; made by a superuser", "done"
            return (
                "absent: the administrator is no superuser; tenancy.protect() alone guards schema ads, and a member "
                "of a group role can drop its policies (validate names them, deploy makes them again)",
                "skipped",
            )

        self._step("event trigger", "", work)

    def _service_logins(self) -> None:
        def work() -> tuple[str, str]:
            from aegis.database import ensure_service_logins

            if not self.database.embedded:
                return "not needed: services act through the user of AEGIS_DATABASE_URL", "skipped"
            with self.admin.transaction():
                changed = ensure_service_logins(self.database, self.admin)
            return f"made or mended: {', '.join(changed)}" if changed else "unchanged", "done"

        self._step("service logins", "", work)

    # -- running and logging ----------------------------------------------------------------------------------

    def _step(self, phase: str, name: str, work: Callable[[], Any], hash_: str | None = None) -> None:
        """Run one phase and log it. `work` returns a message, or (message, status), or (message, details)."""
        begun = time.monotonic()
        try:
            with _explained(phase):
                outcome = work()
        except AegisError as problem:
            self._log_failure(Step(phase, name, "failed", problem.message, _since(begun)), hash_)
            raise
        message, extra = outcome if isinstance(outcome, tuple) else (outcome, "done")
        status, details = (extra, None) if isinstance(extra, str) else ("done", extra)
        step = Step(phase, name, status, message, _since(begun))
        self._write(step, hash_, details)
        self.report.steps.append(step)

    def _execute(self, one: SqlFile, path: str) -> None:
        """Run one file in the open transaction, and be the administrator again afterwards."""
        import psycopg

        text = with_prefix(one.text, self.prefix)
        try:
            self.admin.execute(text.encode())
            self.admin.execute("reset role")
        except psycopg.Error as problem:
            if _is_collision(problem):
                raise _Retry(
                    f"{path}: {problem.diag.message_primary}", "Run `aegis deploy` again."
                ) from problem
            raise _explain(problem, path, text) from problem

    def _write(self, step: Step, hash_: str | None, details: dict[str, Any] | None = None) -> None:
        self.admin.execute(
            """
            insert into public.deployment_log
                (phase, name, hash, status, message, details, duration_ms, started_at, aegis_version)
            values (
                %s, %s, %s, %s, %s, %s, round(%s::numeric, 1),
                clock_timestamp() - %s * interval '1 millisecond', %s
            )
            """,
            (
                step.phase,
                step.name,
                hash_,
                step.status,
                step.message,
                json.dumps(details) if details is not None else None,
                step.duration_ms,
                step.duration_ms,
                aegis.__version__,
            ),
        )

    def _log_failure(self, step: Step, hash_: str | None) -> None:
        """After the rollback, in a transaction of its own; the failure itself matters more than its row."""
        import psycopg

        with contextlib.suppress(psycopg.Error):
            self._write(step, hash_)

    def _value(self, query: str, *parameters: Any) -> Any:
        row = self.admin.execute(query, parameters).fetchone()
        return row[0] if row else None


class _Retry(AegisError):
    """Another deployment on this cluster touched the same catalogue row."""


def _is_collision(problem: psycopg.Error) -> bool:
    text = problem.diag.message_primary or ""
    return (problem.sqlstate == "XX000" and "tuple concurrently" in text) or (
        problem.sqlstate == "23505" and problem.diag.schema_name == "pg_catalog"
    )


@contextlib.contextmanager
def _explained(phase: str) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as problem:
        raise _explain(problem, f"The phase {phase}", "") from problem


def _explain(problem: psycopg.Error, path: str, text: str) -> AegisError:
    """Which file failed, on which line, with what, and what to do."""
    import psycopg

    primary = problem.diag.message_primary or str(problem).strip() or type(problem).__name__
    line = ""
    if text and (problem.diag.statement_position or "").isdigit():
        position = int(problem.diag.statement_position or 0)
        line = f" (line {text.count(chr(10), 0, position - 1) + 1})"
    hint = "Nothing of it was kept. Correct the file and run `aegis deploy` again."
    if isinstance(problem, psycopg.errors.InvalidFunctionDefinition):
        hint = "A function cannot change its result or its argument names: drop the old one in a migration first."
    elif isinstance(problem, psycopg.errors.InsufficientPrivilege):
        hint = (
            "Deploy as the role that made Aegis' roles or as a superuser; a second deployment on one cluster "
            "needs roles of its own (AEGIS_ROLE_PREFIX)."
        )
    elif isinstance(problem, psycopg.errors.LockNotAvailable):
        hint = "Something has held a lock for minutes, a build perhaps. Nothing of it was kept; deploy again later."
    elif isinstance(problem, psycopg.OperationalError):
        hint = "Nothing of it was kept. Run `aegis deploy` again when the server answers."
    return AegisError(f"{path}{line} failed: {primary}.", hint)


def _since(begun: float) -> float:
    return (time.monotonic() - begun) * 1000


def fingerprints(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Signature to md5 of the definition, of every function in the schemas of SCHEMA_OWNERS."""
    return dict(
        connection.execute(
            """
            select format('%%s.%%s(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
                md5(pg_get_functiondef(p.oid))
            from pg_proc as p
            inner join pg_namespace as n on p.pronamespace = n.oid
            where n.nspname = any(%s) and p.prokind in ('f', 'p')
            """,
            (list(SCHEMA_OWNERS),),
        ).fetchall()
    )
