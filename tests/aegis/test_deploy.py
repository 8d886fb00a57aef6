"""aegis deploy: from nothing, again, interrupted, twice at once, and on databases that are not ours to change."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from aegis.database import Database, with_database, with_user
from aegis.deploy import SCHEMA_OWNERS, SqlTree, deploy, with_prefix
from aegis.settings import GROUP_ROLES, Settings, project_root
from aegis.validate import validate
from dlt_pipelines.common.errors import AegisError

SQL = project_root() / "sql"
VERSIONS = pytest.mark.parametrize("version", [18, 16])


@pytest.fixture
def empty(new_warehouse: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """empty(version=18): a database without Aegis, whose role prefix nobody else has."""
    made = []

    def make(version: int = 18, **options: Any) -> Any:
        made.append(new_warehouse(version=version, deployed=False, **options))
        return made[-1]

    yield make
    for one in made:
        one.cluster.drop_database(one.name)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of sql/ to change."""
    return Path(shutil.copytree(SQL, tmp_path / "sql"))


def log(warehouse: Any, where: str = "true") -> list[tuple[Any, ...]]:
    return warehouse.rows(
        f"select phase, name, status, message from public.deployment_log where {where} order by deployment_id"
    )


def state(warehouse: Any) -> list[tuple[Any, ...]]:
    """Everything a deployment could have touched in this database, and which of our roles exist."""
    return warehouse.rows(
        """
        select 'relation', c.oid::regclass::text, c.relowner::regrole::text, c.relacl::text, c.xmin::text
        from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg\\_temp%%'
        union all select 'schema', nspname, nspowner::regrole::text, nspacl::text, '' from pg_namespace
        where nspname not like 'pg\\_temp%%' and nspname not like 'pg\\_toast%%'
        union all select 'role', rolname, '', '', '' from pg_roles where rolname like %s
        union all select 'function', oid::regprocedure::text, proowner::regrole::text, proacl::text, ''
        from pg_proc where pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
        order by 1, 2
        """,
        (f"{warehouse.settings.role_prefix}%",),
    )


def refused(warehouse: Any, *words: str, sql_folder: Path | None = None) -> AegisError:
    """deploy() must fail with those words and change nothing."""
    before = state(warehouse)
    with pytest.raises(AegisError) as caught:
        deploy(warehouse.database, sql_folder=sql_folder)
    for word in words:
        assert word in str(caught.value), caught.value
    assert caught.value.hint
    assert state(warehouse) == before, "something was changed"
    return caught.value


# -- the road that everybody takes ---------------------------------------------------------------------------


@VERSIONS
def test_from_nothing_and_again(empty: Callable[..., Any], version: int) -> None:
    warehouse = empty(version)
    migrations = [path.name for path in sorted((SQL / "migrations").glob("*.sql"))]
    first = deploy(warehouse.database)
    assert first.applied == migrations
    assert first.seconds < 10
    again = deploy(warehouse.database)
    assert again.applied == []
    assert again.seconds < 3
    assert again.warnings == []
    rows = log(warehouse)
    assert [name for phase, name, status, _ in rows if phase == "migration"] == migrations
    assert {status for _, _, status, _ in rows} <= {"done", "skipped"}
    for phase in ("bootstrap", "functions", "protect", "event trigger", "service logins"):
        assert len([1 for row in rows if row[0] == phase]) == 2, phase
    assert warehouse.rows(
        "select count(*) from public.deployment_log where duration_ms < 0 or started_at > now()"
    ) == [(0,)]
    assert warehouse.rows(
        "select pg_get_userbyid(relowner) from pg_class where oid = 'public.deployment_log'::regclass"
    ) == [(warehouse.database.role("owner"),)]
    assert validate(warehouse.database).problems == []


def test_again_changes_nothing(warehouse: Any) -> None:
    def catalogue() -> list[tuple[Any, ...]]:
        rows = warehouse.rows(
            "select oid, relname, relacl::text, xmin::text from pg_class where relnamespace::regnamespace::text = any(%s)"
            " union all select oid, polname, '', xmin::text from pg_policy order by 1",
            (list(SCHEMA_OWNERS),),
        )
        return [row for row in rows if "deployment_log" not in row[1]]

    deploy(warehouse.database)
    before = catalogue()
    deploy(warehouse.database)
    assert catalogue() == before


def test_the_command(warehouse: Any) -> None:
    done = warehouse.run_cli("deploy", check=True)
    for phase in ("bootstrap", "functions", "protect", "event trigger", "service logins"):
        assert phase in done.stdout
    assert "Next: `aegis validate`" in done.stdout
    assert warehouse.url() not in done.stdout


def test_functions_are_applied_every_time(warehouse: Any, tree: Path) -> None:
    path = tree / "functions" / "tenancy.context.sql"
    path.write_text(path.read_text().replace("tenant % is not one of yours", "tenant % is none of yours"))
    deploy(warehouse.database, sql_folder=tree)
    source = "select prosrc from pg_proc where oid = 'tenancy.require_tenant(uuid)'::regprocedure"
    assert "none of yours" in warehouse.rows(source)[0][0]
    deploy(warehouse.database)
    assert "not one of yours" in warehouse.rows(source)[0][0]


def test_a_new_migration_runs_once(warehouse: Any, tree: Path) -> None:
    (tree / "migrations" / "209901010000_more.sql").write_text(
        "set local role aegis_transformer; create table ads.more (tenant_id uuid not null);"
    )
    assert deploy(warehouse.database, sql_folder=tree).applied == ["209901010000_more.sql"]
    assert deploy(warehouse.database, sql_folder=tree).applied == []
    # the phase after the migrations protected what it made
    assert warehouse.rows("select relforcerowsecurity from pg_class where oid = 'ads.more'::regclass") == [
        (True,)
    ]


def test_a_table_without_tenant_is_left_closed_and_named(warehouse: Any) -> None:
    with warehouse.connect("transformer") as connection:
        connection.execute("create table ads.leftover (n int)")
    report = deploy(warehouse.database)
    assert [step.phase for step in report.warnings] == ["protect"]
    assert "ads.leftover" in report.warnings[0].message
    assert warehouse.rows("select has_table_privilege('aegis_reader', 'ads.leftover', 'select')") == [
        (False,)
    ]


# -- role prefix ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("grant select on x to aegis_reader, aegis_app;", "grant select on x to two_reader, two_app;"),
        ("current_user <> 'aegis_transformer'", "current_user <> 'two_transformer'"),
        ("aegis_loader_login", "aegis_loader_login"),
        (
            "my_aegis_loader aegis_ads_row_security aegis_analysts",
            "my_aegis_loader aegis_ads_row_security aegis_analysts",
        ),
    ],
)
def test_only_the_seven_names_take_the_prefix(text: str, becomes: str) -> None:
    assert with_prefix(text, "two_") == becomes
    assert with_prefix(text, "aegis_") == text


def test_nothing_is_left_of_the_default_prefix(empty: Callable[..., Any]) -> None:
    warehouse = empty()
    deploy(warehouse.database)
    own = {warehouse.database.role(kind) for kind in GROUP_ROLES if kind != "analyst"}  # which owns no right
    texts = warehouse.rows(
        """
        select pg_get_functiondef(p.oid) from pg_proc as p where p.pronamespace::regnamespace::text = any(%s)
        union all select concat(roles, qual, with_check) from pg_policies
        union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
        union all select relacl::text from pg_class where relnamespace::regnamespace::text = any(%s)
        union all select nspacl::text from pg_namespace
        """,
        (list(SCHEMA_OWNERS), list(SCHEMA_OWNERS)),
    )
    names = set()
    for (text,) in texts:
        names |= set(re.findall(rf"\w*_(?:{'|'.join(GROUP_ROLES)})\b", text or ""))
    assert own <= names
    assert not {f"aegis_{kind}" for kind in GROUP_ROLES} & names


def test_one_database_has_one_deployment(warehouse: Any) -> None:
    settings = Settings(
        root=project_root(),
        data_dir=warehouse.settings.data_dir,
        database_url=warehouse.url(),
        role_prefix="other_",
    )
    with pytest.raises(
        AegisError,
        match=r'schema "tenancy" that belongs to aegis_owner.*Nothing was changed.*AEGIS_ROLE_PREFIX',
    ):
        deploy(Database(settings))
    assert warehouse.rows("select count(*) from pg_roles where rolname like 'other\\_%%'", ()) == [(0,)]


# -- an administrator who is no superuser ----------------------------------------------------------------------


@pytest.fixture
def plain_admin(empty: Callable[..., Any]) -> Callable[[int], Any]:
    """A database that belongs to a login with CREATEROLE and CREATEDB, addressed through that login."""

    def make(version: int) -> Any:
        warehouse = empty(version)
        boss = f"boss_{secrets.token_hex(4)}"
        with warehouse.connect("admin", autocommit=True) as admin:
            admin.execute(
                sql.SQL("create role {} login createrole createdb password 'test'").format(
                    sql.Identifier(boss)
                )
            )
            admin.execute(
                sql.SQL("alter database {} owner to {}").format(
                    sql.Identifier(warehouse.name), sql.Identifier(boss)
                )
            )
        settings = Settings(
            root=project_root(),
            data_dir=warehouse.settings.data_dir,
            database_url=with_user(warehouse.url(), boss, "test"),
            role_prefix=warehouse.settings.role_prefix,
        )
        warehouse.settings, warehouse.database = settings, Database(settings)
        return warehouse

    return make


@VERSIONS
def test_without_a_superuser(plain_admin: Callable[[int], Any], version: int) -> None:
    warehouse = plain_admin(version)
    assert warehouse.rows("select rolsuper from pg_roles where rolname = current_user") == [(False,)]
    report = deploy(warehouse.database)
    assert [step.status for step in report.steps if step.phase == "event trigger"] == ["skipped"]
    assert "absent" in next(step.message for step in report.steps if step.phase == "event trigger")
    assert deploy(warehouse.database).applied == []
    assert validate(warehouse.database).problems == []
    for role in ("owner", "loader", "transformer", "app"):
        assert warehouse.rows("select current_user", role=role) == [(warehouse.database.role(role),)]
    # and tenants are kept apart
    north, south = warehouse.add_tenant("north"), warehouse.add_tenant("south")
    with warehouse.connect("transformer") as connection:
        for tenant in (north, south):
            connection.execute(
                "insert into ads.shop_daily (tenant_id, account_id, day) values (%s, 'a', '2026-01-01')",
                (tenant,),
            )
    for kind in ("reader", "buyer", "analyst"):
        with psycopg.connect(warehouse.tenant_url(north, kind)) as connection:
            assert connection.execute("select tenant_id::text from ads.shop_daily").fetchall() == [(north,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(
                    sql.SQL("set role {}").format(sql.Identifier(warehouse.database.role("app")))
                )
    with warehouse.connect("app") as connection:
        assert connection.execute("select count(*) from ads.shop_daily").fetchone() == (0,)
        connection.execute("select set_config('saas.tenant_id', %s, true)", (south,))
        assert connection.execute("select tenant_id::text from ads.shop_daily").fetchall() == [(south,)]
    assert validate(warehouse.database).problems == []


def test_roles_of_another_administrator(plain_admin: Callable[[int], Any], empty: Callable[..., Any]) -> None:
    """On the same cluster, under the same prefix: a clear word instead of half a deployment."""
    warehouse = plain_admin(18)
    other = empty(prefix=warehouse.settings.role_prefix)
    deploy(other.database)
    refused(warehouse, "failed: permission denied", "AEGIS_ROLE_PREFIX")


def test_an_administrator_who_owns_nothing(plain_admin: Callable[[int], Any]) -> None:
    warehouse = plain_admin(18)
    with warehouse.cluster.admin() as admin:
        admin.execute(
            sql.SQL("alter database {} owner to current_user").format(sql.Identifier(warehouse.name))
        )
    refused(warehouse, "neither owns the database", "superuser")


def test_an_administrator_who_may_not_make_roles(plain_admin: Callable[[int], Any]) -> None:
    warehouse = plain_admin(18)
    with warehouse.cluster.admin() as admin:
        user = psycopg.conninfo.conninfo_to_dict(warehouse.url())["user"]
        admin.execute(sql.SQL("alter role {} nocreaterole").format(sql.Identifier(str(user))))
    refused(warehouse, "may not create roles", "createrole")


# -- not ours to change ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", ["ads", "staging", "history"])
def test_a_schema_of_somebody_else(empty: Callable[..., Any], schema: str) -> None:
    warehouse = empty()
    with warehouse.connect("admin") as connection:
        connection.execute(f"create schema {schema} create table clicks (n int)".encode())
    refused(
        warehouse,
        f'already has a schema "{schema}" that belongs to aegis_admin',
        "Nothing was changed",
        "database of its own",
    )


def test_a_deployment_log_of_somebody_else(empty: Callable[..., Any]) -> None:
    warehouse = empty()
    with warehouse.connect("admin") as connection:
        connection.execute("create table public.deployment_log (n int)")
    refused(warehouse, "public.deployment_log that belongs to aegis_admin", "Nothing was changed")


# -- migrations that contradict the log ----------------------------------------------------------------------------


def newest(tree: Path) -> Path:
    return max((tree / "migrations").glob("*.sql"))


def test_a_changed_migration(warehouse: Any, tree: Path) -> None:
    path = newest(tree)
    path.write_text(path.read_text() + "\n-- a word more\n")
    refused(warehouse, path.name, "was changed after it ran", "new migration", sql_folder=tree)


def test_line_ends_are_no_change(warehouse: Any, tree: Path) -> None:
    for path in (tree / "migrations").glob("*.sql"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert deploy(warehouse.database, sql_folder=tree).applied == []


def test_a_database_of_a_newer_checkout(warehouse: Any, tree: Path) -> None:
    path = newest(tree)
    path.unlink()
    refused(warehouse, "deployed by a newer Aegis", path.name, "git pull", sql_folder=tree)


def test_a_migration_that_is_gone(warehouse: Any, tree: Path) -> None:
    path = min((tree / "migrations").glob("*.sql"))
    path.unlink()
    refused(warehouse, path.name, "is not in the checkout", "Restore the file", sql_folder=tree)


def test_a_migration_that_comes_too_late(warehouse: Any, tree: Path) -> None:
    (tree / "migrations" / "202001010000_old.sql").write_text("select 1;")
    refused(warehouse, "202001010000_old.sql has not run, but a later one", "later number", sql_folder=tree)


@pytest.mark.parametrize("name", ["1_short.sql", "202611200910_Upper.sql", "topic.sql"])
def test_a_badly_named_migration(warehouse: Any, tree: Path, name: str) -> None:
    (tree / "migrations" / name).write_text("select 1;")
    refused(warehouse, name, "YYYYMMDDHHMM_topic.sql", sql_folder=tree)


def test_a_number_that_is_used_twice(warehouse: Any, tree: Path) -> None:
    twin = newest(tree).name[:12] + "_twin.sql"
    (tree / "migrations" / twin).write_text("select 1;")
    refused(warehouse, "Two migrations have the number", twin, sql_folder=tree)


def test_an_empty_folder(warehouse: Any, tmp_path: Path) -> None:
    refused(warehouse, "There are no migrations", "complete checkout", sql_folder=tmp_path)


# -- failures in the middle ----------------------------------------------------------------------------------------


def test_a_failing_migration_leaves_no_trace_but_its_row(empty: Callable[..., Any], tree: Path) -> None:
    warehouse = empty()
    before, broken, after = (tree / "migrations" / f"20990101000{n}_m.sql" for n in range(3))
    before.write_text("set local role aegis_owner;\ncreate table ops.before (n int);")
    broken.write_text("set local role aegis_owner;\ncreate table ops.broken (n int);\nselect 1 / 0;\n")
    after.write_text("create table ops.after (n int);")
    with pytest.raises(
        AegisError,
        match=r"sql/migrations/209901010001_m\.sql failed: division by zero\. Nothing of it was kept",
    ):
        deploy(warehouse.database, sql_folder=tree)
    assert warehouse.rows(
        "select to_regclass('ops.before') is null, to_regclass('ops.broken') is null,"
        " to_regclass('ops.after') is null"
    ) == [(False, True, True)]
    assert [(name, status) for _, name, status, _ in log(warehouse, "name like '2099%%'")] == [
        (before.name, "done"),
        (broken.name, "failed"),
    ]
    assert "division by zero" in log(warehouse, "status = 'failed'")[0][3]
    broken.write_text("set local role aegis_owner;\ncreate table ops.broken (n int);")
    assert deploy(warehouse.database, sql_folder=tree).applied == [broken.name, after.name]


def test_a_syntax_error_is_named_with_its_line(warehouse: Any, tree: Path) -> None:
    path = tree / "functions" / "zz.broken.sql"
    path.write_text("select 1;\nselect 2;\nselekt 3;\n")
    with pytest.raises(AegisError, match=r"sql/functions/zz\.broken\.sql \(line 3\) failed: syntax error"):
        deploy(warehouse.database, sql_folder=tree)
    assert log(warehouse, "status = 'failed'")[-1][0] == "functions"


def test_a_function_that_changes_its_result(warehouse: Any, tree: Path) -> None:
    (tree / "functions" / "zz.changed.sql").write_text(
        "set local role aegis_owner; create or replace function tenancy.acting_role() returns integer"
        " language sql as 'select 1';"
    )
    with pytest.raises(AegisError, match="drop the old one in a migration first"):
        deploy(warehouse.database, sql_folder=tree)
    assert warehouse.rows("select tenancy.acting_role()") == [("aegis_admin",)]


def test_all_functions_or_none(warehouse: Any, tree: Path) -> None:
    (tree / "functions" / "aa.first.sql").write_text(
        "create function ops.first() returns int language sql as 'select 1';"
    )
    (tree / "functions" / "zz.last.sql").write_text("select 1 / 0;")
    with pytest.raises(AegisError):
        deploy(warehouse.database, sql_folder=tree)
    assert warehouse.rows("select to_regproc('ops.first') is null") == [(True,)]


def test_a_killed_deployment_holds_nobody_up(empty: Callable[..., Any], tree: Path) -> None:
    """Killed in the middle of a migration: nothing of it stays, and the next deployment gets its turn."""
    warehouse = empty()
    slow = tree / "migrations" / "209901010000_slow.sql"
    slow.write_text("create table ops.slow (n int); select pg_sleep(60);")
    code = (
        "import sys; from pathlib import Path; from aegis.database import Database; from aegis.deploy import deploy;"
        " from aegis.settings import Settings; deploy(Database(Settings.from_environment()), print, Path(sys.argv[1]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tree)],
        env=warehouse.environment(),
        stdout=subprocess.DEVNULL,
        cwd=project_root(),
    )
    try:
        sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        deadline = time.monotonic() + 30
        while warehouse.rows(sleeping) != [(1,)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    slow.unlink()
    begun = time.monotonic()
    deploy(warehouse.database)
    assert time.monotonic() - begun < 20
    assert warehouse.rows("select to_regclass('ops.slow') is null") == [(True,)]
    assert validate(warehouse.database).problems == []


# -- two at once ---------------------------------------------------------------------------------------------------


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            results[place] = calls[place]()
        except Exception as problem:  # noqa: BLE001  the test looks at it
            results[place] = problem

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_two_at_once_wait_for_each_other(empty: Callable[..., Any]) -> None:
    warehouse = empty()
    said: list[str] = []
    reports = in_threads(*[lambda: deploy(warehouse.database, said.append)] * 3)
    applied = [len(report.applied) for report in reports]
    migrations = len(list((SQL / "migrations").glob("*.sql")))
    assert sorted(applied) == [0, 0, migrations]
    assert any("waiting for it" in line for line in said)
    assert len(log(warehouse, "phase = 'migration'")) == migrations
    assert validate(warehouse.database).problems == []


def test_a_lock_that_is_never_given_up(empty: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = empty()
    monkeypatch.setattr("aegis.deploy.LOCK_SECONDS", 1)
    with warehouse.connect("admin") as holder:
        holder.execute("select pg_advisory_lock(hashtextextended('aegis deploy', 0))")
        refused(warehouse, "Another deployment of this database has been running", "again")


@VERSIONS
def test_two_databases_of_one_cluster_at_once(empty: Callable[..., Any], version: int) -> None:
    """They share the roles: what one changes in the catalogue of roles must not make the other fail."""
    one = empty(version)
    others = [empty(version, prefix=one.settings.role_prefix) for _ in range(3)]
    results = in_threads(*[lambda database=each.database: deploy(database) for each in (one, *others)])
    assert [result for result in results if isinstance(result, Exception)] == []


# -- the files themselves ------------------------------------------------------------------------------------------


def test_no_file_ends_its_transaction() -> None:
    """Each phase is one transaction: a commit inside would leave half of it behind."""
    for path in SQL.rglob("*.sql"):
        if path.parent.name == "examples":
            continue  # what people run themselves, each a transaction of its own
        text = re.sub(r"/\*.*?\*/|--[^\n]*|'(?:[^']|'')*'|\$\$.*?\$\$", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"^\s*(begin|commit|rollback|end)\s*;", text, re.MULTILINE | re.IGNORECASE), path


def test_every_file_opens_with_a_comment() -> None:
    tree = SqlTree.read(SQL)
    for one in (*tree.bootstrap, *tree.migrations, *tree.functions, *tree.superuser):
        assert one.text.startswith("/*"), one.name


def test_every_object_has_a_comment(warehouse: Any) -> None:
    """Schemas, tables and functions; columns only where a word helps."""
    rows = warehouse.rows(
        """
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace::regnamespace::text = any(%(ours)s) and c.relkind = 'r' and obj_description(c.oid, 'pg_class') is null
        union all select p.oid::regprocedure::text from pg_proc as p
        where p.pronamespace::regnamespace::text = any(%(ours)s) and obj_description(p.oid, 'pg_proc') is null
        union all select n.nspname from pg_namespace as n
        where n.nspname = any(%(ours)s) and obj_description(n.oid, 'pg_namespace') is null
        """,
        {"ours": list(SCHEMA_OWNERS)},
    )
    assert rows == []


# -- wrong places --------------------------------------------------------------------------------------------------


def test_a_database_that_is_not_utf8(clusters: Callable[[int], Any], tmp_path: Path) -> None:
    cluster = clusters(18)
    name = f"ascii_{secrets.token_hex(4)}"
    with cluster.admin() as admin:
        admin.execute(
            f"create database {name} encoding 'SQL_ASCII' locale_provider libc locale 'C' template template0".encode()
        )
    try:
        settings = Settings(
            root=project_root(), data_dir=tmp_path, database_url=with_database(cluster.admin_url(), name)
        )
        with pytest.raises(AegisError, match=r"SQL_ASCII.*UTF8"):
            deploy(Database(settings))
    finally:
        with contextlib.suppress(psycopg.Error):
            cluster.drop_database(name)
