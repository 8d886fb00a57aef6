"""One embedded server per test session, one database per test.

The controller of a run (xdist's, or the only process) names a temporary home in AEGIS_TEST_HOME and deletes it,
with the servers in it, at the end. The first worker that needs a server starts it, the first that needs a
deployed schema deploys a template; a test's database is a copy of that template (0.1 s).

Fixtures
    cluster         the server, PostgreSQL 18; `@pytest.mark.parametrize("cluster", [18, 16], indirect=True)`
    new_warehouse   factory, for module-wide databases or empty ones: new_warehouse(deployed=False, prefix="x_")
    warehouse       a deployed database of this test's own
    as_tenant       with as_tenant(warehouse, tenant_id, "reader") as connection: … (always rolled back)

Roles belong to the whole server: a test that deploys by itself takes an empty database, which gets a role prefix
of its own. Servers here run with fsync off, otherwise as in production.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from aegis.database import Database, ensure_tenant_login, with_database, with_user
from aegis.server import Server
from aegis.settings import Settings, project_root

HOME_VARIABLE = "AEGIS_TEST_HOME"
ROOT = project_root()
_numbers = itertools.count(1)


# -- the session's home -------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    # What a person has set must not lead a test to a real database.
    for name in [one for one in os.environ if one.startswith("AEGIS_") and one != HOME_VARIABLE]:
        del os.environ[name]
    if hasattr(config, "workerinput"):
        return
    _sweep()
    home = Path(tempfile.mkdtemp(prefix="aegis-tests-"))
    (home / "controller").write_text(str(os.getpid()))
    os.environ[HOME_VARIABLE] = str(home)
    os.environ["DLT_DATA_DIR"] = str(home / "dlt")  # not the person's ~/.dlt


def pytest_unconfigure(config: pytest.Config) -> None:
    home = os.environ.get(HOME_VARIABLE)
    if not hasattr(config, "workerinput") and home:
        _destroy(Path(home))


def _destroy(home: Path) -> None:
    for version in (18, 16):
        folder = home / f"server-{version}"
        if folder.exists():
            Server(_embedded(folder, version), durable=False).destroy()
    shutil.rmtree(home, ignore_errors=True)


def _sweep() -> None:
    """Remove what killed runs left: their servers would otherwise run on."""
    for home in Path(tempfile.gettempdir()).glob("aegis-tests-*"):
        with contextlib.suppress(OSError, ValueError):
            if home.stat().st_uid != os.geteuid():
                continue
            try:
                os.kill(int((home / "controller").read_text()), 0)
            except ProcessLookupError:
                _destroy(home)


def _embedded(folder: Path, version: int) -> Settings:
    return Settings(root=ROOT, data_dir=folder, pg_version=version)


@contextlib.contextmanager
def _only_one(name: str) -> Iterator[Path]:
    """Across all workers of this session; gives the session's home."""
    home = Path(os.environ[HOME_VARIABLE])
    with open(home / f"{name}.lock", "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield home


# -- the server ---------------------------------------------------------------------------------------------


class Cluster:
    """The session's server of one version."""

    def __init__(self, version: int) -> None:
        self.version = version
        with _only_one(f"start-{version}") as home:
            self.home = home
            self.server = Server(_embedded(home / f"server-{version}", version), durable=False)
            self.server.start()

    def admin_url(self, database: str = "postgres") -> str:
        return self.server.admin_url(database)

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.admin_url(database), autocommit=True, connect_timeout=10)

    def template(self) -> str:
        """Name of the database that has the deployed schema, made by whoever comes first."""
        name = "aegis_template"
        with _only_one(f"template-{self.version}") as home:
            done = home / f"template-{self.version}.done"
            if not done.exists():
                from aegis.deploy import deploy

                with self.admin() as connection:
                    connection.execute(f"drop database if exists {name} with (force)")
                    connection.execute(f"create database {name} encoding 'UTF8' template template0")
                settings = Settings(
                    root=ROOT, data_dir=home / f"template-{self.version}", database_url=self.admin_url(name)
                )
                deploy(Database(settings))
                done.touch()
        return name

    def create_database(self, template: str = "template0") -> str:
        """A new database; with a template, its grants and settings too (`create database` leaves those out)."""
        name = f"t_{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}_{os.getpid()}_{next(_numbers)}"
        target = sql.Identifier(name)
        with self.admin() as connection, _only_one("create-database"):
            connection.execute(
                sql.SQL("create database {} encoding 'UTF8' template {}").format(
                    target, sql.Identifier(template)
                )
            )
            if template == "template0":
                return name
            connection.execute(sql.SQL("revoke all on database {} from public").format(target))
            grants = connection.execute(
                """
                select coalesce(r.rolname, ''), a.privilege_type
                from pg_database as d
                cross join lateral aclexplode(d.datacl) as a
                left join pg_roles as r on r.oid = a.grantee
                where d.datname = %s
                """,
                (template,),
            ).fetchall()
            for role, privilege in grants:
                grantee = sql.Identifier(role) if role else sql.SQL("public")
                connection.execute(
                    sql.SQL("grant {} on database {} to {}").format(sql.SQL(privilege), target, grantee)
                )
            settings = connection.execute(
                """
                select r.rolname, unnest(s.setconfig)
                from pg_db_role_setting as s
                inner join pg_database as d on d.oid = s.setdatabase
                left join pg_roles as r on r.oid = s.setrole
                where d.datname = %s
                """,
                (template,),
            ).fetchall()
            for role, setting in settings:
                key, _, value = setting.partition("=")
                whom = (
                    sql.SQL("role {} in database {}").format(sql.Identifier(role), target)
                    if role
                    else sql.SQL("database {}").format(target)
                )
                connection.execute(
                    sql.SQL("alter {} set {} = {}").format(whom, sql.SQL(key), sql.Literal(value))
                )
        return name

    def drop_database(self, name: str) -> None:
        with self.admin() as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def clusters() -> Callable[[int], Cluster]:
    """clusters(16): the session's server of that version, started when first asked for."""
    known: dict[int, Cluster] = {}

    def get(version: int = 18) -> Cluster:
        if version not in known:
            known[version] = Cluster(version)
        return known[version]

    return get


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, clusters: Callable[[int], Cluster]) -> Cluster:
    return clusters(getattr(request, "param", 18))


# -- a database ---------------------------------------------------------------------------------------------


@dataclass
class Warehouse:
    """One database, addressed like an external server: AEGIS_DATABASE_URL with a data folder of its own."""

    cluster: Cluster
    name: str
    settings: Settings
    database: Database
    _logins: dict[tuple[str, str], str] = field(default_factory=dict)

    def url(self, role: str = "admin") -> str:
        return self.database.url(role)

    def connect(self, role: str = "admin", **options: Any) -> psycopg.Connection[Any]:
        return self.database.connect(role, **options)

    def rows(self, query: str, parameters: Any = None, role: str = "admin") -> list[tuple[Any, ...]]:
        with self.connect(role) as connection:
            return connection.execute(query, parameters).fetchall()

    def environment(self, **more: str) -> dict[str, str]:
        """For a subprocess: nothing of the person's own AEGIS_* settings, nor of their .env."""
        return {
            **os.environ,
            "AEGIS_DATABASE_URL": self.url(),
            "AEGIS_DATA_DIR": str(self.settings.data_dir),
            "AEGIS_ROLE_PREFIX": self.settings.role_prefix,
            "AEGIS_PG_VERSION": "",
            "AEGIS_ALLOW_PROD": "",
            "AEGIS_DEBUG": "",
            "COLUMNS": "160",
            **more,
        }

    def run_cli(
        self,
        *arguments: str,
        timeout: float = 180,
        check: bool = False,
        text_input: str | None = None,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        """The command as a person runs it. check=True asserts exit code 0 and shows what was said."""
        done = subprocess.run(
            [sys.executable, "-m", "aegis.cli.main", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(**more),
            cwd=ROOT,
            input=text_input,
        )
        if check:
            assert done.returncode == 0, f"aegis {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def add_tenant(self, name: str = "", currency: str = "EUR", timezone: str = "Europe/Berlin") -> str:
        """A tenant's row, straight into the table; returns its id."""
        with self.connect("admin") as connection:
            row = connection.execute(
                "insert into tenancy.tenants (name, currency, timezone) values (%s, %s, %s) returning tenant_id",
                (name or f"tenant {secrets.token_hex(4)}", currency, timezone),
            ).fetchone()
            assert row is not None
            return str(row[0])

    def tenant_url(self, tenant_id: str, kind: str = "reader") -> str:
        """URL with password of a login bound to that tenant, made on first use."""
        key = (tenant_id, kind)
        if key not in self._logins:
            with _only_one("roles"):
                login = ensure_tenant_login(self.database, tenant_id, kind)
                with self.connect("admin") as connection:
                    # The same in every test: two databases of one server may share a login.
                    connection.execute(
                        sql.SQL("alter role {} password 'test'").format(sql.Identifier(login.name))
                    )
            self._logins[key] = login.name
        return with_user(self.url("admin"), self._logins[key], "test")


@pytest.fixture(scope="session")
def new_warehouse(
    clusters: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Warehouse]]:
    """new_warehouse(version=18, deployed=True, prefix=None) -> Warehouse; dropped at the session's end at the latest.

    Not deployed: the database is empty and its role prefix is its own unless one is given.
    """
    made: list[Warehouse] = []

    def make(version: int = 18, deployed: bool = True, prefix: str | None = None) -> Warehouse:
        cluster = clusters(version)
        if prefix is None:
            prefix = "aegis_" if deployed else f"x{secrets.token_hex(4)}_"
        name = cluster.create_database(cluster.template() if deployed else "template0")
        data_dir = tmp_path_factory.mktemp("data")
        data_dir.chmod(0o700)
        settings = Settings(
            root=ROOT,
            data_dir=data_dir,
            database_url=with_database(cluster.admin_url(), name),
            role_prefix=prefix,
        )
        one = Warehouse(cluster, name, settings, Database(settings))
        made.append(one)
        return one

    yield make
    for one in made:
        one.cluster.drop_database(one.name)


@pytest.fixture
def warehouse(new_warehouse: Callable[..., Warehouse], cluster: Cluster) -> Iterator[Warehouse]:
    """A deployed database for this test alone, on `cluster` (so it follows that fixture's parameter)."""
    one = new_warehouse(version=cluster.version)
    yield one
    one.cluster.drop_database(one.name)


@pytest.fixture(scope="session")
def as_tenant() -> Callable[..., contextlib.AbstractContextManager[psycopg.Connection[Any]]]:
    """A transaction as a real login of that tenant; rolled back at the end, whatever happened in it."""

    @contextlib.contextmanager
    def enter(
        warehouse: Warehouse, tenant_id: str, kind: str = "reader"
    ) -> Iterator[psycopg.Connection[Any]]:
        connection = psycopg.connect(warehouse.tenant_url(tenant_id, kind), connect_timeout=10)
        try:
            yield connection
        finally:
            connection.rollback()
            connection.close()

    return enter
