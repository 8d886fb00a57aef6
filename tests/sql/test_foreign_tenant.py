"""A login bound to one tenant, or the application acting for one, against the rows of another."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
import pytest
from actors import EVERYBODY, PEOPLE, SHARED, World, insert_row, make_login, refused, tables
from psycopg import sql

DENIED = "42501"
WRITABLE = ("metrics_daily", "budget_allocation", "ab_tests", "platform_configs")
# As a person writes them: only the columns people may give.
PEOPLES_ROWS: dict[str, dict[str, Any]] = {
    "metrics_daily": {
        "platform": "meta",
        "level": "campaign",
        "platform_id": "new",
        "day": "2026-01-06",
        "spend": 5,
    },
    "budget_allocation": {"platform": "meta", "campaign_id": "new", "budget": 100},
    "ab_tests": {"platform": "meta", "name": "new", "test_type": "creative", "variants": "[]"},
    "platform_configs": {"platform": "google", "max_cpa": 10},
}


def visible(connection: psycopg.Connection[Any], table: str) -> set[str]:
    rows = connection.execute(
        sql.SQL("select distinct tenant_id::text from ads.{}").format(sql.Identifier(table))
    ).fetchall()
    return {row[0] for row in rows}


def expected(table: str, *tenants: str) -> set[str]:
    return {*tenants, EVERYBODY} if table in SHARED else set(tenants)


def insert(connection: psycopg.Connection[Any], table: str, tenant: str, **more: Any) -> None:
    row = PEOPLES_ROWS[table] | {"tenant_id": tenant} | more
    connection.execute(
        sql.SQL("insert into ads.{} ({}) values ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        ),
        list(row.values()),
    )


def choose(connection: psycopg.Connection[Any], tenant: str) -> None:
    connection.execute("select set_config('saas.tenant_id', %s, true)", (tenant,))


@pytest.mark.parametrize("who", PEOPLE)
def test_a_login_sees_its_tenant_and_no_other(world: World, who: str) -> None:
    with world.login(world.north, who) as connection:
        for table in tables(connection):
            assert visible(connection, table) == expected(table, world.north), table


@pytest.mark.parametrize("who", PEOPLE)
def test_a_setting_cannot_widen_what_a_login_sees(world: World, who: str) -> None:
    with world.login(world.north, who) as connection:
        for tenant in (world.south, EVERYBODY, "12345678-1234-1234-1234-123456789012"):
            choose(connection, tenant)
            for table in tables(connection):
                assert visible(connection, table) == set(), f"{table} with the setting {tenant}"
        choose(connection, world.north)
        for table in tables(connection):
            assert visible(connection, table) == expected(table, world.north), table


def test_a_setting_narrows_a_login_of_two_tenants(world: World) -> None:
    url = make_login(world.warehouse, ("aegis_reader",))
    with world.warehouse.connect("admin") as admin:
        admin.execute(
            """
            insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind)
            select r.oid, r.rolname, t, 'reader' from pg_roles as r cross join unnest(%s::uuid[]) as t
            where r.rolname = %s
            """,
            ([world.north, world.south], psycopg.conninfo.conninfo_to_dict(url)["user"]),
        )
    with world.at(url) as connection:
        for table in tables(connection):
            assert visible(connection, table) == expected(table, world.north, world.south), table
        for tenant in (world.north, world.south):
            choose(connection, tenant)
            for table in tables(connection):
                assert visible(connection, table) == expected(table, tenant), table


def test_the_application_sees_the_tenant_it_chose(world: World) -> None:
    for tenant in (world.north, world.south):
        with world.app(tenant) as connection:
            for table in tables(connection):
                assert visible(connection, table) == expected(table, tenant), table


def test_what_tenants_see_is_disjoint_and_together_everything(world: World) -> None:
    with world.service("transformer") as connection:
        for table in tables(connection):
            everything = visible(connection, table)
            parts = []
            for tenant in (world.north, world.south):
                with world.login(tenant) as reader:
                    parts.append(visible(reader, table) - {EVERYBODY})
            assert parts[0] & parts[1] == set()
            assert parts[0] | parts[1] == everything - {EVERYBODY}, table


@pytest.mark.parametrize("table", WRITABLE)
@pytest.mark.parametrize("who", ["app", "buyer"])
def test_rows_of_another_tenant_cannot_be_written(world: World, who: str, table: str) -> None:
    actor = world.app(world.north) if who == "app" else world.login(world.north, who)
    name = sql.Identifier(table)
    column = {"metrics_daily": "spend", "budget_allocation": "budget", "ab_tests": "min_days"}.get(
        table, "max_cpa"
    )
    with actor as connection:
        insert(connection, table, world.north)
        for tenant in (world.south, EVERYBODY):
            with refused(connection, DENIED, "row-level security"):
                insert(connection, table, tenant)
        changed = connection.execute(
            sql.SQL("update ads.{} set {} = 77 where tenant_id <> %s").format(name, sql.Identifier(column)),
            (world.north,),
        )
        assert changed.rowcount == 0
        assert (
            connection.execute(
                sql.SQL("delete from ads.{} where tenant_id <> %s").format(name), (world.north,)
            ).rowcount
            == 0
        )
        # Without a condition only rows of the own tenant change, and the own tenant cannot be given away.
        connection.execute(sql.SQL("update ads.{} set {} = 77").format(name, sql.Identifier(column)))
        connection.execute(sql.SQL("delete from ads.{}").format(name))
        with refused(connection, DENIED):
            connection.execute(sql.SQL("update ads.{} set tenant_id = %s").format(name), (world.south,))
        connection.execute("reset role") if who == "app" else None
    with world.service("transformer") as service:
        row = service.execute(
            sql.SQL("select count(*) from ads.{} where tenant_id = %s and {} = 77").format(
                name, sql.Identifier(column)
            ),
            (world.south,),
        ).fetchone()
        assert row == (0,)


def test_decisions_reach_only_the_own_tenants_rows(world: World) -> None:
    for actor in (world.app(world.north), world.login(world.north, "buyer")):
        with actor as connection:
            assert (
                connection.execute(
                    "update ads.optimization_recommendations set status = 'rejected', rejection_reason = 'no'"
                ).rowcount
                == 1
            )
            assert connection.execute("update ads.anomalies set status = 'acknowledged'").rowcount == 1


def test_the_application_cannot_write_the_rows_for_everybody(world: World) -> None:
    """A setting may name the reserved tenant; its rows stay as they are."""
    with world.app(EVERYBODY) as connection:
        assert connection.execute("select count(*) from ads.platform_configs").fetchone() == (5,)
        assert connection.execute("update ads.platform_configs set max_cpa = 1").rowcount == 0
        assert connection.execute("delete from ads.platform_configs").rowcount == 0
        for table in WRITABLE:
            with refused(connection, DENIED, "row-level security"):
                insert(connection, table, EVERYBODY)


def test_a_refusal_does_not_tell_whether_a_row_exists(world: World) -> None:
    """The same error for a key that the other tenant has as for one that it has not."""
    with world.login(world.north, "buyer") as connection:
        for platform_id in ("c1", "nowhere"):
            for conflict in ("", " on conflict do nothing"):
                with refused(connection, DENIED, "row-level security"):
                    connection.execute(
                        "insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend) "
                        f"values (%s, 'meta', 'campaign', %s, '2026-01-05', 1){conflict}",
                        (world.south, platform_id),
                    )
        for platform in ("meta", "google"):
            with refused(connection, DENIED, "row-level security"):
                connection.execute(
                    "insert into ads.platform_configs (tenant_id, platform, max_cpa) values (%s, %s, 1) "
                    "on conflict (tenant_id, platform) do update set max_cpa = 1",
                    (world.south, platform),
                )


@pytest.mark.parametrize("who", PEOPLE)
def test_copy_and_statistics_show_no_more_than_select(world: World, who: str) -> None:
    with world.login(world.north, who) as connection:
        with connection.cursor() as cursor, cursor.copy("copy ads.metrics_daily to stdout") as copy:
            lines = [bytes(line).decode() for line in copy]
        assert len(lines) == 1
        assert world.north in lines[0]
        assert connection.execute(
            "select count(*) from pg_stats where schemaname = 'ads' and tablename <> 'x'"
        ).fetchone() == (0,)


def test_a_leaky_function_is_asked_only_about_visible_rows(world: World) -> None:
    """An analyst's function that is cheap and tells what it was given runs after the policy, not before."""
    with world.login(world.north, "analyst") as connection:
        connection.execute(
            """
            create function told(tenant_id uuid) returns boolean language plpgsql cost 0.0001 as
            'begin raise notice ''%%'', tenant_id; return true; end'
            """.replace("%%", "%")
        )
        said: list[str] = []
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        for table in tables(connection):
            connection.execute(
                sql.SQL("select * from ads.{} where told(tenant_id)").format(sql.Identifier(table))
            )
    assert said
    assert world.south not in said


def test_a_new_tenant_is_seen_by_nobody_else(world: World) -> None:
    newcomer = world.warehouse.add_tenant(f"new {secrets.token_hex(3)}")
    with world.warehouse.connect("transformer") as connection:
        insert_row(connection, "metrics_daily", newcomer)
    try:
        for tenant in (world.north, world.south):
            with world.login(tenant) as reader:
                assert visible(reader, "metrics_daily") == {tenant}
    finally:
        with world.warehouse.connect("transformer") as connection:
            connection.execute("delete from ads.metrics_daily where tenant_id = %s", (newcomer,))
