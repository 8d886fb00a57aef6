"""Logins: of the services on the embedded server, and of tenants anywhere."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest

from aegis.database import Database, dsn, ensure_service_logins, ensure_tenant_login, open_database
from aegis.settings import SERVICES, Settings, project_root
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    from conftest import Warehouse


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A deployed embedded server of this module's own: the road that `make run` takes."""
    from aegis.deploy import deploy

    settings = Settings(root=project_root(), data_dir=tmp_path_factory.mktemp("embedded") / "data")
    database = Database(settings)
    assert database.server is not None
    database.server.durable = False
    try:
        open_database(settings)
        deploy(database)
        yield database
    finally:
        database.server.destroy()


def one(database: Database, role: str, query: str) -> Any:
    with database.connect(role) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def add_tenant(database: Database, tenant_id: str | None = None) -> str:
    tenant_id = tenant_id or str(uuid.uuid4())
    with database.connect("admin") as connection:
        connection.execute(
            "insert into tenancy.tenants (tenant_id, name) values (%s, %s)", (tenant_id, tenant_id)
        )
    return tenant_id


@pytest.mark.parametrize("role", SERVICES)
def test_a_services_session_begins_as_its_role(embedded: Database, role: str) -> None:
    assert one(embedded, role, "select current_user") == f"aegis_{role}"
    assert one(embedded, role, "select session_user") == f"aegis_{role}_login"
    assert one(embedded, role, "select rolsuper from pg_roles where rolname = session_user") is False


@pytest.mark.parametrize("cluster", [18, 16], indirect=True)
@pytest.mark.parametrize("role", SERVICES)
def test_on_an_external_server_too(warehouse: Warehouse, role: str) -> None:
    with warehouse.connect(role) as connection:
        row = connection.execute("select current_user").fetchone()
        assert row == (f"aegis_{role}",)


def test_service_logins_are_mended_only_when_needed(embedded: Database) -> None:
    assert embedded.server is not None
    with embedded.connect("admin") as admin:
        assert ensure_service_logins(embedded, admin) == []
    embedded.server.keep_password("aegis_loader_login", None)
    with embedded.connect("admin") as admin:
        assert ensure_service_logins(embedded, admin) == ["aegis_loader_login"]
    assert one(embedded, "loader", "select current_user") == "aegis_loader"
    with embedded.connect("admin") as admin:
        admin.execute("alter role aegis_app_login reset role")
    with embedded.connect("admin") as admin:
        assert ensure_service_logins(embedded, admin) == ["aegis_app_login"]


def test_connections_hold_no_password_when_shown(embedded: Database) -> None:
    assert embedded.server is not None
    shown = repr(embedded.connections()) + repr(embedded) + repr(embedded.settings)
    assert not any(password in shown for password in embedded.server.passwords().values())


def test_no_password_reaches_the_log(embedded: Database) -> None:
    assert embedded.server is not None
    tenant = add_tenant(embedded)
    ensure_tenant_login(embedded, tenant)
    text = embedded.server.log_file.read_text()
    assert not any(password in text for password in embedded.server.passwords().values())


def test_a_tenants_login_is_made_once_and_is_narrow(embedded: Database) -> None:
    tenant = add_tenant(embedded)
    url, login = dsn(embedded, None, tenant)
    assert login is not None and login.created
    assert login.name == f"aegis_t_{tenant[:8]}_reader"
    again, second = dsn(embedded, "reader", tenant)
    assert again == url and second is not None and not second.created
    with psycopg.connect(url) as connection:
        row = connection.execute(
            """
            select current_user, current_setting('max_parallel_workers_per_gather'), current_setting('jit'),
                pg_has_role('aegis_reader', 'usage'), pg_has_role('aegis_reader', 'set'),
                tenancy.visible_tenants()
            """
        ).fetchone()
        assert row is not None
        assert row[:5] == (login.name, "0", "off", True, False)
        assert [str(one_id) for one_id in row[5]] == [tenant]
        for other in ("aegis_reader", "aegis_transformer", "aegis_admin", "aegis_app"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"set role {other}")
            connection.rollback()


def test_an_analyst_has_a_schema_of_its_own_and_no_other(embedded: Database) -> None:
    tenant = add_tenant(embedded)
    url, login = dsn(embedded, "analyst", tenant)
    assert login is not None
    with psycopg.connect(url) as connection:
        connection.execute("create table mine as select 1 as one")
        assert connection.execute(f"select one from {login.name}.mine").fetchone() == (1,)
        connection.execute("select count(*) from ads.metrics_daily")
        for schema in ("public", "ads", "history"):
            connection.commit()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"create table {schema}.not_mine ()")
            connection.rollback()


def test_two_tenants_with_the_same_first_digits_get_two_logins(embedded: Database) -> None:
    first = add_tenant(embedded, "12345678-0000-4000-8000-000000000001")
    second = add_tenant(embedded, "12345678-0000-4000-8000-000000000002")
    one_login, other = (ensure_tenant_login(embedded, tenant) for tenant in (first, second))
    assert one_login.name != other.name
    assert ensure_tenant_login(embedded, second).name == other.name


def test_a_dropped_and_remade_login_is_bound_anew(embedded: Database) -> None:
    tenant = add_tenant(embedded)
    name = ensure_tenant_login(embedded, tenant).name
    with embedded.connect("admin") as admin:
        admin.execute("delete from tenancy.role_tenants where role_name = %s", (name,))
        admin.execute(f"drop role {name}")
    url, login = dsn(embedded, "reader", tenant)
    assert login is not None and login.created
    with psycopg.connect(url) as connection:
        assert connection.execute("select cardinality(tenancy.visible_tenants())").fetchone() == (1,)


def test_the_password_of_another_server_is_left_out(warehouse: Warehouse) -> None:
    tenant = warehouse.add_tenant("north")
    for arguments in (["dsn"], ["dsn", "--role", "transformer"], ["dsn", "--tenant", "north"]):
        done = warehouse.run_cli(*arguments, check=True)
        parts = urlsplit(done.stdout.strip())
        assert parts.password is None and parts.username
    assert "password" in done.stderr, "whoever made the login is told that it has none yet"
    assert parts.username == f"aegis_t_{tenant[:8]}_reader"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tenant", "nobody"], "nobody"),
        (["--role", "king"], "king"),
        (["--role", "buyer"], "--tenant"),
        (["--tenant", "x", "--role", "loader"], "loader"),
    ],
)
def test_wrong_roles_and_tenants_are_named(warehouse: Warehouse, arguments: list[str], said: str) -> None:
    done = warehouse.run_cli("dsn", *arguments)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_a_database_without_schema_says_deploy(new_warehouse: Callable[..., Warehouse]) -> None:
    empty = new_warehouse(deployed=False)
    with pytest.raises(AegisError, match="aegis deploy"):
        empty.connect("loader")


def test_the_fixture_for_tenants_is_a_real_login(
    warehouse: Warehouse,
    as_tenant: Callable[..., AbstractContextManager[psycopg.Connection[Any]]],
    tmp_path: Path,
) -> None:
    mine, other = warehouse.add_tenant(), warehouse.add_tenant()
    with as_tenant(warehouse, mine, "buyer") as connection:
        row = connection.execute("select session_user, current_user, tenancy.visible_tenants()").fetchone()
        assert row is not None
        assert row[0] == row[1] == f"aegis_t_{mine[:8]}_buyer"
        assert [str(one_id) for one_id in row[2]] == [mine] != [other]
