"""A login that is gone takes its binding with it: the next one of that name starts with nothing."""

from __future__ import annotations

import psycopg
from actors import World, make_login
from psycopg import sql

from aegis.database import with_user
from aegis.settings import project_root
from aegis.validate import run_checks


def bind(world: World, url: str, tenant: str) -> str:
    name = str(psycopg.conninfo.conninfo_to_dict(url)["user"])
    with world.warehouse.connect("admin") as admin:
        admin.execute(
            "insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind)"
            " select oid, rolname, %s::uuid, 'reader' from pg_roles where rolname = %s",
            (tenant, name),
        )
    return name


def seen(world: World, url: str) -> int:
    with world.at(url) as connection:
        row = connection.execute("select count(*) from ads.metrics_daily").fetchone()
        assert row is not None
        return row[0]


def stale(world: World) -> list[str]:
    with world.service("admin") as admin:
        return [
            str(one)
            for one in run_checks(admin, project_root() / "sql" / "checks", "aegis_")["stale_bindings"]
        ]


def test_a_login_made_again_under_the_same_name_is_not_bound(world: World) -> None:
    url = make_login(world.warehouse, ("aegis_reader",))
    name = bind(world, url, world.north)
    assert seen(world, url) == 1
    with world.warehouse.connect("admin", autocommit=True) as admin:
        admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
        admin.execute(sql.SQL("create role {} login password 'test'").format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("grant aegis_reader to {} with inherit true, set false").format(sql.Identifier(name))
        )
    try:
        assert seen(world, url) == 0
        assert any(name in text and "dropped" in text for text in stale(world))
    finally:
        with world.warehouse.connect("admin") as admin:
            admin.execute("delete from tenancy.role_tenants where role_name = %s", (name,))
    assert stale(world) == []


def test_revoking_the_binding_closes_an_open_session(world: World) -> None:
    url = make_login(world.warehouse, ("aegis_reader",))
    name = bind(world, url, world.north)
    with psycopg.connect(url, autocommit=True) as session:
        assert session.execute("select count(*) from ads.metrics_daily").fetchone() == (1,)
        with world.warehouse.connect("admin") as admin:
            admin.execute("delete from tenancy.role_tenants where role_name = %s", (name,))
        assert session.execute("select count(*) from ads.metrics_daily").fetchone() == (0,)


def test_a_renamed_login_stays_bound(world: World) -> None:
    url = make_login(world.warehouse, ("aegis_reader",))
    name = bind(world, url, world.north)
    with world.warehouse.connect("admin", autocommit=True) as admin:
        admin.execute(
            sql.SQL("alter role {} rename to {}").format(sql.Identifier(name), sql.Identifier(f"{name}_new"))
        )
        admin.execute(sql.SQL("alter role {} password 'test'").format(sql.Identifier(f"{name}_new")))
    assert seen(world, with_user(url, f"{name}_new", "test")) == 1


def test_a_binding_without_the_group_role_is_found(world: World) -> None:
    url = make_login(world.warehouse, ())
    name = bind(world, url, world.north)
    try:
        assert any(name in text and "no member of aegis_reader" in text for text in stale(world))
    finally:
        with world.warehouse.connect("admin") as admin:
            admin.execute("delete from tenancy.role_tenants where role_name = %s", (name,))
