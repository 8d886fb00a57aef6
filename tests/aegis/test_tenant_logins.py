"""aegis tenant login: add, list, rotate, revoke; what cannot be is refused in a sentence and changes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from aegis.database import Database, with_user
from aegis.deploy import deploy
from aegis.logins import add_login, list_logins, revoke_login, rotate_login
from aegis.settings import Settings, project_root
from aegis.tenants import Tenant, list_tenants
from aegis.validate import validate
from dlt_pipelines.common.errors import AegisError


@pytest.fixture(scope="module")
def shop(new_warehouse: Callable[..., Any]) -> Any:
    warehouse = new_warehouse()
    with warehouse.connect("owner") as owner:
        for name in ("North", "South", "East, West", "Robert'); drop table ads.metrics_daily; --"):
            owner.execute("insert into tenancy.tenants (name) values (%s)", (name,))
    with warehouse.connect("transformer") as transformer:
        transformer.execute(
            "insert into ads.shop_daily (tenant_id, account_id, day) select tenant_id, name, '2026-01-01' from tenancy.tenants"
        )
    return warehouse


@pytest.fixture
def name(shop: Any) -> Iterator[str]:
    """A name that is free, and whose login is gone afterwards."""
    login = f"bi_{secrets.token_hex(4)}"
    yield login
    with shop.connect("admin", autocommit=True) as admin:
        if admin.execute("select 1 from pg_roles where rolname = %s", (login,)).fetchone():
            admin.execute("delete from tenancy.role_tenants where role_name = %s", (login,))
            admin.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(login)))
            admin.execute(sql.SQL("drop owned by {}").format(sql.Identifier(login)))
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


def tenants(shop: Any, *names: str) -> list[Tenant]:
    with shop.connect("owner") as owner:
        known = {one.name: one for one in list_tenants(owner)}
    return [known[one] for one in names]


def sees(shop: Any, name: str, password: str) -> set[str]:
    with psycopg.connect(with_user(shop.url(), name, password)) as connection:
        return {row[0] for row in connection.execute("select account_id from ads.shop_daily").fetchall()}


def state_of_roles(shop: Any) -> Any:
    return shop.rows(
        """
        select (select array_agg(rolname order by rolname) from pg_roles where rolname !~ '^(aegis_t_|x_|bi_|defect_)'),
            (select array_agg(role_name || tenant_id order by 1) from tenancy.role_tenants),
            (select array_agg(name order by name) from tenancy.tenants), to_regclass('ads.metrics_daily')::text
        """
    )


def test_the_commands(shop: Any, name: str) -> None:
    done = shop.run_cli("tenant", "login", "add", "--tenant", "north", "--name", name, check=True)
    password = done.stdout.strip()
    assert len(password) >= 24 and f"Made the login {name}, a reader of North" in done.stderr
    assert password not in done.stderr
    assert sees(shop, name, password) == {"North"}

    done = shop.run_cli("tenant", "login", "list", "--tenant", "North", check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith(name))
    assert line.split()[1:3] == ["reader", "North"] and line.endswith("active")
    assert password not in done.stdout

    done = shop.run_cli("tenant", "login", "rotate", name, check=True)
    new = done.stdout.strip()
    with pytest.raises(psycopg.OperationalError):
        sees(shop, name, password)
    assert sees(shop, name, new) == {"North"}

    done = shop.run_cli("tenant", "login", "revoke", name, check=True)
    assert f"Revoked and dropped {name}" in done.stdout
    with pytest.raises(psycopg.OperationalError):
        sees(shop, name, new)
    assert name not in shop.run_cli("tenant", "login", "list", check=True).stdout


def test_several_tenants(shop: Any, name: str) -> None:
    """Names with commas are found before they are taken apart."""
    done = shop.run_cli(
        "tenant",
        "login",
        "add",
        "--tenant",
        "East, West",
        "--also",
        "North,South",
        "--name",
        name,
        check=True,
    )
    assert sees(shop, name, done.stdout.strip()) == {"East, West", "North", "South"}
    line = next(
        x
        for x in shop.run_cli("tenant", "login", "list", check=True).stdout.splitlines()
        if x.startswith(name)
    )
    assert "East, West, North, South" in line
    assert validate(shop.database).problems == []


@pytest.mark.parametrize("kind", ["buyer", "analyst"])
def test_each_role(shop: Any, name: str, kind: str) -> None:
    north = tenants(shop, "North")
    password = add_login(shop.database, north, name, kind)
    with psycopg.connect(with_user(shop.url(), name, password)) as connection:
        row = connection.execute(
            "select tenancy.visible_tenants(), pg_has_role(%s, 'usage')", (f"aegis_{kind}",)
        ).fetchone()
        assert row == ([north[0].tenant_id], True)
        if kind == "analyst":
            connection.execute("create table mine as select * from ads.shop_daily")
            assert connection.execute(f"select account_id from {name}.mine".encode()).fetchall() == [
                ("North",)
            ]
    assert validate(shop.database).problems == []


def test_a_revoked_login_sees_nothing_at_once_and_its_session_ends(shop: Any, name: str) -> None:
    password = add_login(shop.database, tenants(shop, "North"), name)
    session = psycopg.connect(with_user(shop.url(), name, password), autocommit=True)
    assert session.execute("select count(*) from ads.shop_daily").fetchone() == (1,)
    assert revoke_login(shop.database, name) == (1, True)
    with pytest.raises(psycopg.OperationalError):
        session.execute("select 1")


def test_an_analysts_work_outlives_the_login(shop: Any, name: str) -> None:
    password = add_login(shop.database, tenants(shop, "North"), name, "analyst")
    with psycopg.connect(with_user(shop.url(), name, password)) as connection:
        connection.execute("create table mine as select 1 as one")
    assert revoke_login(shop.database, name) == (0, False)
    assert shop.rows(f"select one from {name}.mine") == [(1,)]
    assert shop.rows("select rolcanlogin from pg_roles where rolname = %s", (name,)) == [(False,)]
    with shop.connect("owner") as owner:
        assert name not in [one.name for one in list_logins(owner)]
    with pytest.raises(psycopg.OperationalError):
        sees(shop, name, password)
    # Its name stays taken: whoever comes next must not inherit what lies there.
    with pytest.raises(AegisError, match="already is a login or role"):
        add_login(shop.database, tenants(shop, "South"), name)


@pytest.mark.parametrize(
    "password", ['it\'s "quoted" \\ and; drop--', "dollar$$dollar$x$", "ünïcödé-größer", "%s%(x)s {} {0}"]
)
def test_a_password_of_ones_own_may_hold_anything(shop: Any, name: str, password: str) -> None:
    shop.run_cli(
        "tenant", "login", "add", "--tenant", "North", "--name", name, "--password-stdin",
        text_input=f"{password}\n", check=True,
    )  # fmt: skip
    assert sees(shop, name, password) == {"North"}
    rotate_login(shop.database, name, password[::-1])
    assert sees(shop, name, password[::-1]) == {"North"}


@pytest.mark.parametrize(
    ("login", "kind", "words"),
    [
        ("postgres", "reader", "kept for the server"),
        ("aegis_reader", "reader", "kept for the server and for Aegis"),
        ("pg_read_all_data", "reader", "kept for the server"),
        ('it"s', "reader", "cannot be the name"),
        ("it's; drop role x", "reader", "cannot be the name"),
        ("", "reader", "cannot be the name"),
        ("Upper", "reader", "cannot be the name"),
        ("x" * 64, "reader", "cannot be the name"),
        ("bi_free", "king", "no role 'king'"),
        ("bi_free", "transformer", "no role 'transformer'"),
    ],
)
def test_what_cannot_be_changes_nothing(shop: Any, login: str, kind: str, words: str) -> None:
    before = state_of_roles(shop)
    with pytest.raises(AegisError, match=words):
        add_login(shop.database, tenants(shop, "North"), login, kind)
    assert state_of_roles(shop) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tenant", "North", "--also", "South,Nort", "--name", "bi_free"], "There is no tenant 'Nort'"),
        (["--tenant", "'; drop table ads.metrics_daily; --", "--name", "bi_free"], "There is no tenant"),
        (["--tenant", "1234-not-a-uuid", "--name", 'it"s'], "There is no tenant"),
    ],
)
def test_the_command_says_what_is_wrong(shop: Any, arguments: list[str], words: str) -> None:
    before = state_of_roles(shop)
    done = shop.run_cli("tenant", "login", "add", *arguments)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    assert state_of_roles(shop) == before


def test_a_name_that_is_taken(shop: Any, name: str) -> None:
    password = add_login(shop.database, tenants(shop, "North"), name)
    before = state_of_roles(shop)
    done = shop.run_cli("tenant", "login", "add", "--tenant", "South", "--name", name)
    assert done.returncode == 1 and f"already is a login or role {name}" in done.stderr
    assert state_of_roles(shop) == before
    assert sees(shop, name, password) == {"North"}
    with shop.connect("admin", autocommit=True) as admin:
        admin.execute(f"create schema {name}_s".encode())
    with pytest.raises(AegisError, match=f"a schema {name}_s is there"):
        add_login(shop.database, tenants(shop, "North"), f"{name}_s", "analyst")
    assert shop.rows("select 1 from pg_roles where rolname = %s", (f"{name}_s",)) == []


def test_a_tenant_whose_name_is_sql(shop: Any, name: str) -> None:
    evil = "Robert'); drop table ads.metrics_daily; --"
    done = shop.run_cli("tenant", "login", "add", "--tenant", evil, "--name", name, check=True)
    assert sees(shop, name, done.stdout.strip()) == {evil}
    assert evil in shop.run_cli("tenant", "login", "list", check=True).stdout
    assert state_of_roles(shop)[0][3] == "ads.metrics_daily"


@pytest.mark.parametrize("end", [rotate_login, revoke_login])
@pytest.mark.parametrize("login", ["nobody", "aegis_reader", "it's", "aegis_transformer"])
def test_only_logins_of_tenants_are_touched(shop: Any, end: Callable[..., Any], login: str) -> None:
    before = state_of_roles(shop)
    with pytest.raises(AegisError, match="There is no login"):
        end(shop.database, login)
    assert state_of_roles(shop) == before


def test_a_weak_password_is_refused(shop: Any, name: str) -> None:
    with pytest.raises(AegisError, match="at least 12"):
        add_login(shop.database, tenants(shop, "North"), name, password="short")
    assert shop.rows("select 1 from pg_roles where rolname = %s", (name,)) == []


def test_logins_of_dsn_are_listed_rotated_and_revoked(tmp_path: Any) -> None:
    """On the embedded server their passwords are kept, so that `aegis dsn` prints the one that is good."""
    from aegis.database import dsn, open_database

    settings = Settings(root=project_root(), data_dir=tmp_path / "data")
    database = Database(settings)
    assert database.server is not None
    database.server.durable = False
    try:
        open_database(settings)
        deploy(database)
        with database.connect("owner") as owner:
            owner.execute("insert into tenancy.tenants (name) values ('North')")
            north = list_tenants(owner)[0]
        _, login = dsn(database, "reader", str(north.tenant_id))
        assert login is not None
        new = rotate_login(database, login.name)
        url, _ = dsn(database, "reader", str(north.tenant_id))
        assert new in url
        with psycopg.connect(url) as connection:
            assert connection.execute("select cardinality(tenancy.visible_tenants())").fetchone() == (1,)
        assert revoke_login(database, login.name) == (0, True)
        assert login.name not in database.server.passwords()
        assert new not in database.server.log_file.read_text()
        url, again = dsn(database, "reader", str(north.tenant_id))
        assert again is not None and again.created
    finally:
        database.server.destroy()


@pytest.mark.parametrize("version", [18, 16])
def test_an_administrator_who_is_no_superuser(new_warehouse: Callable[..., Any], version: int) -> None:
    warehouse = new_warehouse(version=version, deployed=False)
    boss, login = f"boss_{secrets.token_hex(4)}", f"bi_{secrets.token_hex(4)}"
    with warehouse.connect("admin", autocommit=True) as admin:
        admin.execute(f"create role {boss} login createrole password 'test'".encode())
        admin.execute(f"alter database {warehouse.name} owner to {boss}".encode())
    settings = Settings(
        root=project_root(),
        data_dir=warehouse.settings.data_dir,
        database_url=with_user(warehouse.url(), boss, "test"),
        role_prefix=warehouse.settings.role_prefix,
    )
    warehouse.settings, warehouse.database = settings, Database(settings)
    deploy(warehouse.database)
    warehouse.add_tenant("north")
    north = tenants(warehouse, "north")
    for kind in ("reader", "analyst"):
        password = add_login(warehouse.database, north, login, kind)
        with psycopg.connect(with_user(warehouse.url(), login, password)) as connection:
            assert connection.execute("select cardinality(tenancy.visible_tenants())").fetchone() == (1,)
        rotate_login(warehouse.database, login)
        _, is_gone = revoke_login(warehouse.database, login)
        assert is_gone == (kind == "reader")
    with warehouse.connect("owner") as owner:
        assert list_logins(owner) == []
    plain = f"plain_{secrets.token_hex(4)}"
    with warehouse.cluster.admin() as admin:
        admin.execute(f"create role {plain} login password 'test'".encode())
        admin.execute(f"grant {warehouse.database.role('owner')} to {plain}".encode())
    with pytest.raises(AegisError, match=r"may not make the login.*Nothing was changed"):
        add_login(
            Database(Settings(root=project_root(), data_dir=settings.data_dir,
                              database_url=with_user(warehouse.url(), plain, "test"), role_prefix=settings.role_prefix)),
            north, f"{login}_2",
        )  # fmt: skip
