"""Rows a person types into ads.metrics_daily: what is filled in, what is refused and in which words."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest
from actors import World, insert_row, refused
from psycopg import sql

DAY = "2026-01-09"
COLUMNS = (
    "account_id, campaign_id, adset_id, currency, source, data_status, reporting_currency, spend_reporting"
)


def enter(connection: psycopg.Connection[Any], tenant: str, **row: Any) -> None:
    row = {
        "tenant_id": tenant,
        "platform": "meta",
        "level": "campaign",
        "platform_id": "h",
        "day": DAY,
        "spend": 10,
    } | row
    connection.execute(
        sql.SQL("insert into ads.metrics_daily ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
        ),
        list(row.values()),
    )


def stored(connection: psycopg.Connection[Any], platform_id: str = "h") -> tuple[Any, ...]:
    row = connection.execute(
        f"select {COLUMNS} from ads.metrics_daily where platform_id = %s and day = %s".encode(),
        (platform_id, DAY),
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("level", "given", "account", "campaign", "adset"),
    [
        ("account", {}, "h", None, None),
        ("campaign", {}, "manual", "h", None),
        ("adset", {}, "manual", "manual~unattributed", "h"),
        ("ad", {}, "manual", "manual~unattributed", "manual~unattributed~unattributed"),
        ("ad", {"account_id": "7"}, "7", "7~unattributed", "7~unattributed~unattributed"),
        ("ad", {"account_id": "7", "campaign_id": "k"}, "7", "k", "k~unattributed"),
        ("ad", {"account_id": "7", "campaign_id": "k", "adset_id": "s"}, "7", "k", "s"),
    ],
)
def test_parents_that_are_not_known(
    world: World, level: str, given: dict[str, str], account: str, campaign: str | None, adset: str | None
) -> None:
    with world.login(world.north, "buyer") as buyer:
        enter(buyer, world.north, level=level, **given)
        assert stored(buyer) == (account, campaign, adset, "EUR", "manual", "final", "EUR", 10)


def test_parents_of_a_known_entity(world: World) -> None:
    """From ads.entities of the same tenant; a rate of the day is only known to the next build."""
    with world.warehouse.connect("transformer") as machine:
        for tenant, account in ((world.north, "right"), (world.south, "wrong")):
            insert_row(
                machine,
                "entities",
                tenant,
                level="ad",
                platform_id="known",
                account_id=account,
                campaign_id="kk",
                adset_id="ss",
                currency="USD",
            )
    try:
        with world.login(world.north, "buyer") as buyer:
            enter(buyer, world.north, level="ad", platform_id="known")
            assert stored(buyer, "known") == ("right", "kk", "ss", "USD", "manual", "final", "EUR", None)
    finally:
        with world.warehouse.connect("transformer") as machine:
            machine.execute("delete from ads.entities where platform_id = 'known'")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"day": "2099-01-01"}, ("day 2099-01-01 is in the future", "days that have begun")),
        ({"spend": -1}, ("are below zero", "zero or more")),
        ({"conversions": -1}, ("are below zero",)),
        ({"impressions": -1}, ("are below zero",)),
        ({"view_through_conversions": -1}, ("are below zero",)),
        ({"spend": "NaN"}, ("are no numbers",)),
        ({"platform": "shopify"}, ('platform "shopify" has no rows', "shop_daily")),
        ({"platform": "myspace"}, ('platform "myspace"', "meta, tiktok, google, pinterest")),
        ({"level": "keyword"}, ('level "keyword" is unknown', "account, campaign, adset, ad")),
    ],
)
@pytest.mark.parametrize("who", ["app", "buyer"])
def test_refused_in_words(world: World, who: str, given: dict[str, Any], words: tuple[str, ...]) -> None:
    actor = world.app(world.north) if who == "app" else world.login(world.north, who)
    with actor as connection, refused(connection, "23514", *words):
        enter(connection, world.north, **given)


def test_a_key_that_is_there_is_refused_in_words(world: World) -> None:
    with world.login(world.north, "buyer") as buyer:
        enter(buyer, world.north)
        with refused(buyer, "23505", "already is a row of meta campaign h", "can be updated or deleted"):
            enter(buyer, world.north)
        with refused(buyer, "23505", "already is a row of meta campaign c1"):
            enter(buyer, world.north, platform_id="c1", day="2026-01-05")
        with refused(buyer, "42501", "row-level security"):  # whether it exists elsewhere is not told
            enter(buyer, world.south, platform_id="c1", day="2026-01-05")


def test_today_may_be_entered_wherever_it_has_begun(world: World) -> None:
    """The earliest zone is 14 hours ahead of UTC."""
    newest = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=14)).date()
    with world.login(world.north, "buyer") as buyer:
        enter(buyer, world.north, day=newest)
        with refused(buyer, "23514", "is in the future"):
            enter(buyer, world.north, day=newest + dt.timedelta(days=2))


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_only_hand_rows_can_be_changed_or_removed(world: World, who: str) -> None:
    actor = world.app(world.north) if who == "app" else world.login(world.north, who)
    with actor as connection:
        enter(connection, world.north)
        assert (
            connection.execute("update ads.metrics_daily set spend = 20, conversion_value = 60").rowcount == 1
        )
        row = connection.execute(
            "select spend, roas, spend_reporting, source from ads.metrics_daily where platform_id = 'h'"
        ).fetchone()
        assert row == (20, 3, 20, "manual")
        with refused(connection, "23514", "are below zero"):
            connection.execute("update ads.metrics_daily set spend = -1")
        assert connection.execute("delete from ads.metrics_daily").rowcount == 1
        assert connection.execute("select platform_id, source from ads.metrics_daily").fetchall() == [
            ("c1", "file")
        ]


def test_every_step_is_kept_for_the_next_build(world: World) -> None:
    """insert, update, delete: three rows of raw_manual with their coverage; what was refused leaves none."""
    with world.warehouse.connect("transformer") as machine:
        begin = machine.execute("select coalesce(max(hand_id), 0) from raw_manual.hand_rows").fetchone()
    with world.at(world.warehouse.tenant_url(world.north, "buyer")) as buyer:
        enter(buyer, world.north, clicks=3)
        with refused(buyer, "42501"):
            enter(buyer, world.south)
        buyer.execute("update ads.metrics_daily set spend = 11 where platform_id = 'h'")
        buyer.execute("delete from ads.metrics_daily where platform_id = 'h'")
        buyer.commit()
    with world.service("transformer") as machine:
        rows = machine.execute(
            """
            select h.operation, h.tenant_id::text, h.spend, h.clicks, h.account_id, c.source, c.rows, c.state, c.day::text
            from raw_manual.hand_rows as h
            left join ops.coverage as c on h.load_id = c.load_id and h.tenant_id = c.tenant_id and h.day = c.day
            where h.hand_id > %s
            order by h.hand_id
            """,
            begin,
        ).fetchall()
    tail = (3, "manual", "manual", 1, "pending", DAY)
    assert rows == [
        ("insert", world.north, 10, *tail),
        ("update", world.north, 11, *tail),
        ("delete", world.north, 11, *tail),
    ]


def test_a_build_writes_without_the_triggers(world: World) -> None:
    with world.service("transformer") as machine:
        before = machine.execute("select count(*) from raw_manual.hand_rows").fetchone()
        insert_row(machine, "metrics_daily", world.north, platform_id="built", source="api", day="2026-01-08")
        machine.execute("update ads.metrics_daily set spend = 5 where platform_id = 'built'")
        assert machine.execute(
            "select source from ads.metrics_daily where platform_id = 'built'"
        ).fetchone() == ("api",)
        assert machine.execute("select count(*) from raw_manual.hand_rows").fetchone() == before
