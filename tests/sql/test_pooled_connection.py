"""One connection that serves many tenants in turn: no setting, plan or prepared statement survives its transaction."""

from __future__ import annotations

from actors import World, make_login, refused
from psycopg import sql


def tenants(connection) -> list[str]:  # type: ignore[no-untyped-def]
    return [
        row[0]
        for row in connection.execute("select distinct tenant_id::text from ads.metrics_daily").fetchall()
    ]


def test_set_local_ends_with_its_transaction(world: World) -> None:
    with world.at(world.warehouse.url("app")) as connection:
        for end in (connection.commit, connection.rollback):
            connection.execute(sql.SQL("set local saas.tenant_id = {}").format(sql.Literal(world.north)))
            connection.execute("set local saas.user_id = 'somebody'")
            assert tenants(connection) == [world.north]
            end()
            assert tenants(connection) == []
            assert connection.execute("select tenancy.current_tenant_id()").fetchone() == (None,)
            assert connection.execute("select tenancy.acting_person() = session_user").fetchone() == (True,)
            connection.rollback()


def test_set_local_outside_a_transaction_does_nothing(world: World) -> None:
    with world.at(world.warehouse.url("app")) as connection:
        connection.autocommit = True
        connection.execute(sql.SQL("set local saas.tenant_id = {}").format(sql.Literal(world.north)))
        assert tenants(connection) == []
        connection.autocommit = False


def test_one_connection_serves_tenants_in_turn(world: World) -> None:
    """Also with a statement prepared long ago: its plan must not remember a tenant."""
    query = "select tenant_id::text from ads.metrics_daily where level = %s"
    with world.at(world.warehouse.url("app")) as connection:
        for turn in range(16):
            tenant = (world.north, world.south)[turn % 2]
            connection.execute("select set_config('saas.tenant_id', %s, true)", (tenant,))
            assert connection.execute(query, ("campaign",), prepare=True).fetchall() == [(tenant,)]
            connection.commit()
        assert connection.execute(query, ("campaign",), prepare=True).fetchall() == []


def test_a_failed_transaction_leaves_nothing(world: World) -> None:
    with world.at(world.warehouse.url("app")) as connection:
        connection.execute("select set_config('saas.tenant_id', %s, true)", (world.north,))
        with refused(connection, "22012"):
            connection.execute("select 1 / 0")
        connection.rollback()
        assert tenants(connection) == []


def test_the_application_plans_with_the_tenant_known(world: World) -> None:
    """A login of the application inherits nothing of the group role's settings: becoming the role brings them."""
    with world.at(make_login(world.warehouse, ("aegis_app",))) as connection:
        assert tenants(connection) == []
    with world.service("admin") as admin:
        row = admin.execute(
            "select setconfig from pg_db_role_setting where setrole = 'aegis_app'::regrole and setdatabase = 0"
        ).fetchone()
        assert row == (["plan_cache_mode=force_custom_plan"],)
