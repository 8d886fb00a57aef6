"""Readers poll while a derived table is replaced again and again, as dbt replaces it: no instant without its policy."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
from actors import World, insert_row

SECONDS = 1.0


def rebuild(connection: psycopg.Connection[Any], *, hook_inside: bool) -> None:
    """One build of ads.shop_daily: a new table, filled, renamed, protected; the old one goes. One transaction."""
    for statement in (
        "create table ads.shop_daily__dbt_tmp (like ads.shop_daily including indexes)",
        "insert into ads.shop_daily__dbt_tmp select * from ads.shop_daily",
        "alter table ads.shop_daily rename to shop_daily__dbt_backup",
        "alter table ads.shop_daily__dbt_tmp rename to shop_daily",
        "drop table ads.shop_daily__dbt_backup cascade",
    ):
        connection.execute(statement.encode())
    if not hook_inside:
        connection.commit()
        time.sleep(0.02)
    connection.execute("select tenancy.protect('ads.shop_daily')")
    connection.commit()


def poll(url: str, tenant: str, until: float, seen: list[str]) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as reader:
        while time.monotonic() < until:
            try:
                rows = reader.execute("select tenant_id::text from ads.shop_daily").fetchall()
                seen.append("own" if rows == [(tenant,)] else f"wrong: {rows}")
            except psycopg.Error as problem:
                seen.append(f"error: {problem.sqlstate} {problem.diag.message_primary}")


def race(world: World, *, hook_inside: bool) -> tuple[int, list[str]]:
    """(builds, what two readers of different tenants saw)."""
    seen: list[str] = []
    until = time.monotonic() + SECONDS
    readers = [
        threading.Thread(target=poll, args=(world.warehouse.tenant_url(tenant), tenant, until, seen))
        for tenant in (world.north, world.south)
    ]
    for reader in readers:
        reader.start()
    builds = 0
    with world.warehouse.connect("transformer") as machine:
        while time.monotonic() < until:
            rebuild(machine, hook_inside=hook_inside)
            builds += 1
    for reader in readers:
        reader.join(30)
    return builds, seen


def test_no_reader_ever_sees_another_tenant_or_a_gap(world: World) -> None:
    builds, seen = race(world, hook_inside=True)
    assert builds >= 5
    assert len(seen) >= 25
    assert set(seen) == {"own"}


def test_the_race_notices_a_hook_that_comes_too_late(world: World) -> None:
    """After the commit there is an instant without grants: closed, not open, and this test can see it."""
    _, seen = race(world, hook_inside=False)
    late = [one for one in seen if one != "own"]
    assert late, "the race is blind"
    assert all(one.startswith("error: 42501") for one in late), set(late)
    with world.warehouse.connect("transformer") as machine:  # as it was, for the next test
        machine.execute("delete from ads.shop_daily")
        for tenant in (world.north, world.south):
            insert_row(machine, "shop_daily", tenant)
