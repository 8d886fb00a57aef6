"""tenancy.protect(): security, policies, grants, in that order; and nothing at all when nothing changed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from actors import World, refused, tables


def protect(connection: psycopg.Connection[Any], table: str) -> str:
    row = connection.execute("select tenancy.protect(%s::regclass)", (table,)).fetchone()
    assert row is not None
    return row[0]


def make(
    connection: psycopg.Connection[Any], name: str, columns: str = "tenant_id uuid not null, n int"
) -> None:
    connection.execute(f"create table ads.{name} ({columns})".encode())


def test_a_new_table_is_closed_until_protected(world: World) -> None:
    with world.service("transformer") as machine:
        make(machine, "fresh")
        machine.execute("insert into ads.fresh values (%s, 1), (%s, 2)", (world.north, world.south))
        for role in ("aegis_reader", "aegis_app", "aegis_buyer", "aegis_analyst", "aegis_loader"):
            row = machine.execute("select has_table_privilege(%s, 'ads.fresh', 'select')", (role,)).fetchone()
            assert row == (False,), role
        assert protect(machine, "ads.fresh") == "protected"
        machine.execute("set local role aegis_app")
        assert machine.execute("select count(*) from ads.fresh").fetchone() == (0,)
        machine.execute("select set_config('saas.tenant_id', %s, true)", (world.south,))
        assert machine.execute("select n from ads.fresh").fetchall() == [(2,)]


def test_nothing_happens_when_nothing_changed(world: World) -> None:
    """A policy that is replaced locks readers out: so the oids must stay."""
    query = "select array_agg(oid order by oid) from pg_policy"
    with world.service("transformer") as machine:
        before = machine.execute(query).fetchone()
        for table in tables(machine):
            assert protect(machine, f"ads.{table}") == "unchanged", table
        assert machine.execute(query).fetchone() == before


@pytest.mark.parametrize(
    "damage",
    [
        "alter table ads.anomalies no force row level security",
        "drop policy anomalies_reader_select on ads.anomalies",
        "create policy extra on ads.anomalies for select to public using (true)",
        "revoke select on ads.anomalies from aegis_reader",
        "comment on policy anomalies_app_select on ads.anomalies is 'older'",
    ],
)
def test_damage_is_mended(world: World, damage: str) -> None:
    with world.service("transformer") as machine:
        machine.execute(damage.encode())
        assert protect(machine, "ads.anomalies") == "protected"
        assert protect(machine, "ads.anomalies") == "unchanged"
        row = machine.execute(
            "select relrowsecurity, relforcerowsecurity, has_table_privilege('aegis_reader', oid, 'select'),"
            " (select count(*) from pg_policy where polrelid = c.oid)"
            " from pg_class as c where oid = 'ads.anomalies'::regclass"
        ).fetchone()
        assert row == (True, True, True, 5)


@pytest.mark.parametrize("columns", ["tenant_id uuid", "n int", "tenant_id uuid, primary key (n)", ""])
def test_no_tenant_no_protection(world: World, columns: str) -> None:
    with world.service("transformer") as machine:
        make(machine, "loose", columns.replace(", primary", ", n int, primary"))
        with refused(machine, "23502", "has no tenant_id that is not null", "tenant_id uuid not null"):
            protect(machine, "ads.loose")


@pytest.mark.parametrize("kind", ["view", "materialized view"])
def test_no_views(world: World, kind: str) -> None:
    with world.service("transformer") as machine:
        machine.execute(f"create {kind} ads.window_ as select * from ads.anomalies".encode())
        with refused(machine, "42809", "is no table"):
            protect(machine, "ads.window_")


def test_only_the_owner_can_protect(world: World) -> None:
    for actor in (world.app(world.north), world.login(world.north, "buyer"), world.service("loader")):
        with actor as connection, refused(connection, "42501"):
            protect(connection, "ads.anomalies")


def test_the_owner_is_bound_by_its_own_policy(world: World) -> None:
    """Forced: inside a definer function the owner sees all rows through a policy, not around it."""
    with world.service("transformer") as machine:
        row = machine.execute("select count(*) from ads.metrics_daily").fetchone()
        assert row == (2,)
        machine.execute("drop policy metrics_daily_owner on ads.metrics_daily")
        assert machine.execute("select count(*) from ads.metrics_daily").fetchone() == (0,)


def test_protecting_a_swapped_table_in_its_transaction(world: World) -> None:
    """What dbt does: a new table takes the old one's name; before the commit it is protected again."""
    with world.service("transformer") as machine:
        machine.execute("create table ads.entities__dbt_tmp (like ads.entities including constraints)")
        machine.execute("insert into ads.entities__dbt_tmp select * from ads.entities")
        machine.execute("alter table ads.entities rename to entities__dbt_backup")
        machine.execute("alter table ads.entities__dbt_tmp rename to entities")
        assert protect(machine, "ads.entities") == "protected"
        machine.execute("drop table ads.entities__dbt_backup cascade")
        machine.execute("set local role aegis_app")
        machine.execute("select set_config('saas.tenant_id', %s, true)", (world.north,))
        assert machine.execute("select tenant_id::text from ads.entities").fetchall() == [(world.north,)]
