"""Relations that would show another tenant's rows although every table is protected: views, copies, children."""

from __future__ import annotations

import psycopg
import pytest
from actors import World, refused
from psycopg import sql

from aegis.settings import project_root
from aegis.validate import run_checks

CHECKS = project_root() / "sql" / "checks"


def findings(connection: psycopg.Connection, check: str) -> list[str]:
    return [str(problem) for problem in run_checks(connection, CHECKS, "aegis_")[check]]


def as_role(connection: psycopg.Connection, role: str, *statements: str) -> None:
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    for statement in statements:
        connection.execute(statement.encode())
    connection.execute("reset role")


@pytest.mark.parametrize("kind", ["view", "materialized view"])
def test_a_view_that_readers_can_read_is_found(world: World, kind: str) -> None:
    """It shows both tenants to a login of one: the reason for the rule, and the check that finds it."""
    name = f"leak_{kind.split()[0]}"
    with world.warehouse.connect("admin") as admin:
        as_role(
            admin,
            "aegis_transformer",
            f"create {kind} ads.{name} as select tenant_id, spend from ads.metrics_daily",
            f"grant select on ads.{name} to aegis_reader",
        )
    try:
        with world.login(world.north) as reader:
            assert reader.execute(f"select count(*) from ads.{name}".encode()).fetchone() == (2,), (
                "no leak: rule obsolete?"
            )
        with world.service("admin") as admin:
            assert any(name in text and kind in text for text in findings(admin, "readable_views"))
    finally:
        with world.warehouse.connect("admin") as admin:
            admin.execute(f"drop {kind} ads.{name}".encode())
    with world.service("admin") as admin:
        assert findings(admin, "readable_views") == []


def test_a_security_invoker_view_asks_for_the_reader(world: World) -> None:
    with world.service("admin") as admin:
        as_role(
            admin,
            "aegis_transformer",
            "create view ads.honest with (security_invoker = true) as select tenant_id from ads.metrics_daily",
            "grant select on ads.honest to aegis_reader",
        )
        assert findings(admin, "readable_views") == []


def test_protect_refuses_a_view(world: World) -> None:
    with world.service("transformer") as connection:
        connection.execute("create view ads.view as select * from ads.metrics_daily")
        with refused(connection, "42809", "is no table", "views run with their owner's rights"):
            connection.execute("select tenancy.protect('ads.view')")


def test_a_view_of_the_analysts_own_shows_its_tenant_only(world: World) -> None:
    with world.login(world.north, "analyst") as connection:
        connection.execute("create view mine as select * from ads.metrics_daily")
        connection.execute("create materialized view kept as select * from ads.metrics_daily")
        for relation in ("mine", "kept"):
            rows = connection.execute(f"select distinct tenant_id::text from {relation}".encode()).fetchall()
            assert rows == [(world.north,)]


def test_a_table_made_in_ads_by_hand_is_unreadable(world: World) -> None:
    """The event trigger enables row security; a grant alone then shows nothing."""
    with world.service("transformer") as connection:
        for statement in (
            "create table ads.made as select * from ads.metrics_daily",
            "select * into ads.selected from ads.metrics_daily",
            "create table ads.moved (tenant_id uuid not null)",
            "create table ads_internal.arriving as select * from ads.metrics_daily",
            "alter table ads_internal.arriving set schema ads",
            "alter table ads.made disable row level security",
        ):
            connection.execute(statement.encode())
        states = connection.execute(
            "select relname, relrowsecurity from pg_class where relnamespace = 'ads'::regnamespace and relname = any(%s)",
            (["made", "selected", "moved", "arriving"],),
        ).fetchall()
        assert states and all(secured for _, secured in states), states
        assert len(states) == 4


def test_granted_without_policies_it_shows_nothing(world: World) -> None:
    with world.warehouse.connect("transformer") as connection:
        connection.execute("create table ads.granted as select * from ads.metrics_daily")
        connection.execute("grant select on ads.granted to aegis_reader, aegis_app")
    try:
        with world.login(world.north) as reader:
            assert reader.execute("select count(*) from ads.granted").fetchone() == (0,)
        with world.app(world.north) as app:
            assert app.execute("select count(*) from ads.granted").fetchone() == (0,)
        with world.service("admin") as admin:
            assert any("ads.granted" in text for text in findings(admin, "unprotected_tables"))
    finally:
        with world.warehouse.connect("transformer") as connection:
            connection.execute("drop table ads.granted")


def test_partition_children_are_closed_too(world: World) -> None:
    """A child has its own row security and grants: through it a parent's policy would not be asked."""
    with world.service("transformer") as connection:
        connection.execute(
            "create table ads.parted (tenant_id uuid not null, day date not null) partition by range (day)"
        )
        connection.execute(
            "create table ads.parted_2026 partition of ads.parted for values from ('2026-01-01') to ('2027-01-01')"
        )
        connection.execute("select tenancy.protect('ads.parted')")
        rows = connection.execute(
            """
            select c.relname, c.relrowsecurity, has_table_privilege('aegis_reader', c.oid, 'select')
            from pg_class as c where c.relname like 'parted%' and c.relkind in ('r', 'p') order by 1
            """
        ).fetchall()
        assert rows == [("parted", True, True), ("parted_2026", True, False)]


def test_a_further_permissive_policy_is_found(world: World) -> None:
    """Policies are OR'ed: one more opens the table, however strict the others are."""
    with world.service("admin") as admin:
        as_role(
            admin,
            "aegis_transformer",
            "create policy extra on ads.anomalies for select to aegis_reader using (true)",
        )
        assert any(
            "extra" in text and "ads.anomalies" in text for text in findings(admin, "policies_of_others")
        )


def test_tables_of_failed_tests_are_out_of_reach(world: World) -> None:
    """dbt's store_failures writes rows of all tenants into a schema of its own; readers have no way in."""
    with world.service("transformer") as connection:
        connection.execute("create schema ads_dbt_test__audit")
        connection.execute("create table ads_dbt_test__audit.not_null as select * from ads.metrics_daily")
        for role in ("aegis_reader", "aegis_app", "aegis_buyer", "aegis_analyst", "public"):
            row = connection.execute(
                "select has_schema_privilege(%s, 'ads_dbt_test__audit', 'usage'),"
                " has_table_privilege(%s, 'ads_dbt_test__audit.not_null', 'select')",
                (role, role),
            ).fetchone()
            assert row == (False, False), role
