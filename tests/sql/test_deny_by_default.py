"""Whoever was not granted something by name has nothing: no schema, no table, no row, no function."""

from __future__ import annotations

import psycopg
import pytest
from actors import CLOSED_SCHEMAS, PEOPLE, World, insert_row, refused, tables
from psycopg import sql

DENIED = "42501"


def count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(sql.SQL("select count(*) from ads.{}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return row[0]


def test_a_login_without_a_role_reaches_nothing(world: World) -> None:
    with world.at(world.stranger) as connection:
        for schema in ("ads", "audit", *CLOSED_SCHEMAS):
            with refused(connection, DENIED, f"schema {schema}"):
                connection.execute(sql.SQL("select * from {}.anything").format(sql.Identifier(schema)))
        with refused(connection, DENIED):
            connection.execute("select tenancy.visible_tenants()")
        with refused(connection, DENIED, "schema public"):
            connection.execute("create table public.mine (a int)")
        with refused(connection, DENIED, "temporary"):
            connection.execute("create temporary table mine (a int)")


def test_a_reader_bound_to_no_tenant_sees_no_row(world: World) -> None:
    with world.at(world.outsider) as connection:
        for table in tables(connection):
            assert count(connection, table) == 0, table
        connection.execute(sql.SQL("set saas.tenant_id = {}").format(sql.Literal(world.north)))
        for table in tables(connection):
            assert count(connection, table) == 0, f"a setting opened {table}"


def test_the_application_without_a_setting_sees_no_row(world: World) -> None:
    with world.app() as connection:
        for table in tables(connection):
            assert count(connection, table) == 0, table
        connection.execute("set local saas.tenant_id = ''")
        for table in tables(connection):
            assert count(connection, table) == 0, table


@pytest.mark.parametrize("who", ["app", *PEOPLE])
def test_a_setting_that_is_no_uuid_is_an_error(world: World, who: str) -> None:
    actor = world.app() if who == "app" else world.login(world.north, who)
    with actor as connection:
        connection.execute("set local saas.tenant_id = 'north'")
        for table in tables(connection):
            with refused(connection, "22P02", "uuid"):
                count(connection, table)


@pytest.mark.parametrize("who", ["app", *PEOPLE])
def test_only_ads_and_the_audit_trail_can_be_read(world: World, who: str) -> None:
    with world.service("admin") as admin:
        relations = admin.execute(
            """
            select n.nspname, c.relname from pg_class as c
            inner join pg_namespace as n on c.relnamespace = n.oid
            where n.nspname = any(%s) and c.relkind in ('r', 'p', 'v', 'm')
            """,
            (list(CLOSED_SCHEMAS),),
        ).fetchall()
    assert len(relations) > 15
    actor = world.app(world.north) if who == "app" else world.login(world.north, who)
    with actor as connection:
        for schema, relation in [*relations, ("public", "deployment_log")]:
            # tenancy alone can be entered: its functions are for everybody
            words = () if schema == "tenancy" else (f"schema {schema}",)
            with refused(connection, DENIED, *words):
                connection.execute(
                    sql.SQL("select * from {}.{}").format(sql.Identifier(schema), sql.Identifier(relation))
                )


@pytest.mark.parametrize("who", ["app", *PEOPLE])
def test_nobody_creates_objects_where_others_look(world: World, who: str) -> None:
    actor = world.app(world.north) if who == "app" else world.login(world.north, who)
    with actor as connection:
        for schema in ("ads", "public", "tenancy", "audit", *CLOSED_SCHEMAS):
            with refused(connection, DENIED):
                connection.execute(
                    sql.SQL("create table {}.mine (tenant_id uuid not null)").format(sql.Identifier(schema))
                )
        with refused(connection, DENIED):
            connection.execute("create schema mine")


def test_an_analyst_creates_in_the_schema_of_its_own(world: World) -> None:
    with world.login(world.north, "analyst") as connection:
        connection.execute("create table mine as select * from ads.metrics_daily")
        assert connection.execute("select count(*) from mine").fetchone() == (1,)
        row = connection.execute("select current_schema() = session_user").fetchone()
        assert row == (True,)
        connection.execute("create temporary table scratch (a int)")


@pytest.mark.parametrize("who", ["reader", "analyst"])
def test_readers_write_nothing(world: World, who: str) -> None:
    with world.login(world.north, who) as connection:
        for table in tables(connection):
            with refused(connection, DENIED):
                insert_row(connection, table, world.north)
            for statement in (
                "update ads.{} set tenant_id = tenant_id",
                "delete from ads.{}",
                "truncate ads.{}",
                "alter table ads.{} disable row level security",
                "drop table ads.{}",
                "alter table ads.{} no force row level security",
                "create policy mine on ads.{} for select to public using (true)",
            ):
                with refused(connection, DENIED):
                    connection.execute(sql.SQL(statement).format(sql.Identifier(table)))


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_buyers_write_only_what_people_write(world: World, who: str) -> None:
    """Derived tables not at all; of the others only people's columns, and nobody empties a table."""
    people = {"metrics_daily", "budget_allocation", "ab_tests", "platform_configs"}
    machine = {
        "metrics_daily": ("source", "maturity", "data_status", "fx_rate", "roas", "tenant_id", "platform_id"),
        "optimization_recommendations": (
            "evidence",
            "estimated_impact",
            "action",
            "decided_by",
            "tenant_id",
            "as_of",
        ),
        "anomalies": ("observed", "severity", "acknowledged_by", "tenant_id", "day"),
        "budget_allocation": (
            "spend_to_date",
            "pacing_status",
            "created_by",
            "tenant_id",
            "recommended_budget",
        ),
        "ab_tests": ("results", "winner", "p_value", "verdict", "tenant_id"),
        "platform_configs": ("updated_by", "updated_at", "tenant_id"),
    }
    actor = world.app(world.north) if who == "app" else world.login(world.north, who)
    with actor as connection:
        for table in tables(connection):
            name = sql.Identifier(table)
            if table not in people:
                with refused(connection, DENIED):
                    insert_row(connection, table, world.north)
                with refused(connection, DENIED):
                    connection.execute(sql.SQL("delete from ads.{}").format(name))
            if table not in machine:
                with refused(connection, DENIED):
                    connection.execute(sql.SQL("update ads.{} set tenant_id = tenant_id").format(name))
            for column in machine.get(table, ()):
                with refused(connection, DENIED):
                    connection.execute(
                        sql.SQL("update ads.{} set {} = null").format(name, sql.Identifier(column))
                    )
            with refused(connection, DENIED):
                connection.execute(sql.SQL("truncate ads.{}").format(name))


@pytest.mark.parametrize("who", ["app", *PEOPLE])
def test_nobody_becomes_somebody_else(world: World, who: str) -> None:
    actor = (
        world.login(world.north, who)
        if who != "app"
        else world.at(
            # The administrator of the tests is a superuser; a login of the application is not.
            app_login(world)
        )
    )
    with actor as connection:
        for role in (
            "owner",
            "loader",
            "transformer",
            "reader",
            "buyer",
            "analyst",
            *(() if who == "app" else ("app",)),
        ):
            with refused(connection, DENIED, "set role"):
                connection.execute(sql.SQL("set role {}").format(sql.Identifier(f"aegis_{role}")))
        with refused(connection, DENIED):
            connection.execute("set session authorization aegis_transformer")
        connection.execute("set row_security = off")
        with refused(connection, DENIED, "row-level security"):
            connection.execute("select * from ads.metrics_daily")


def app_login(world: World) -> str:
    from actors import make_login

    return make_login(world.warehouse, ("aegis_app",))


def test_the_services_see_all_tenants_but_cannot_destroy_history(world: World) -> None:
    with world.service("transformer") as connection:
        assert count(connection, "metrics_daily") == 2
        for table in ("performance_versions", "entity_snapshots", "entity_changes", "currency_rates"):
            for statement in ("truncate history.{}", "drop table history.{}"):
                with refused(connection, DENIED):
                    connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
    with world.service("loader") as connection:
        with refused(connection, DENIED, "schema ads"):
            count(connection, "metrics_daily")
        with refused(connection, DENIED):
            connection.execute("truncate history.performance_versions")
        with refused(connection, DENIED):
            connection.execute("delete from ops.coverage")
