"""tenancy.effective_config: a tenant's own values over the defaults, amounts in the tenant's currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from actors import EVERYBODY, World, insert_row, refused

COLUMNS = "max_cpa, target_roas, currency, max_cpa_source, target_roas_source"


def effective(connection: psycopg.Connection[Any], tenant: str, platform: str = "google") -> tuple[Any, ...]:
    row = connection.execute(
        f"select {COLUMNS} from tenancy.effective_config(%s, %s)".encode(), (tenant, platform)
    ).fetchone()
    assert row is not None
    return row


def rate(connection: psycopg.Connection[Any], currency: str, value: str, day: str = "2026-01-05") -> None:
    connection.execute(
        "insert into history.currency_rates (day, currency, rate, source, load_id) values (%s, %s, %s, 'test', 'x')",
        (day, currency, value),
    )


@pytest.mark.parametrize(
    ("platform", "max_cpa"),
    [("meta", 50), ("tiktok", 45), ("google", 60), ("pinterest", 40), ("shopify", 35)],
)
def test_the_default_of_each_platform(world18: World, platform: str, max_cpa: int) -> None:
    with world18.service("transformer") as machine:
        machine.execute("delete from ads.platform_configs where tenant_id <> %s", (EVERYBODY,))
        # south reports in USD, the currency of the defaults
        assert effective(machine, world18.south, platform) == (max_cpa, 3, "USD", "default", "default")


def test_amounts_of_the_default_are_converted(world18: World) -> None:
    """Rates are units for one euro; the newest counts: 60 USD at 1.20 USD a euro are 50 euros."""
    with world18.service("transformer") as machine:
        assert effective(machine, world18.north) == (None, 3, "EUR", "default", "default"), (
            "no rate: null, never 1"
        )
        rate(machine, "USD", "2.0", "2025-12-01")
        rate(machine, "USD", "1.2")
        assert effective(machine, world18.north) == (50, 3, "EUR", "default", "default")
        machine.execute("set local role aegis_owner")
        machine.execute("update tenancy.tenants set currency = 'CAD' where tenant_id = %s", (world18.north,))
        machine.execute("set local role aegis_transformer")
        assert effective(machine, world18.north)[:3] == (None, 3, "CAD"), "one rate is not enough"
        rate(machine, "CAD", "1.5")
        assert effective(machine, world18.north)[:3] == (75, 3, "CAD")
        assert effective(machine, world18.north, "meta")[2] == "CAD"


def test_own_values_win_column_by_column_and_are_not_converted(world18: World) -> None:
    with world18.service("transformer") as machine:
        rate(machine, "USD", "1.2")
        insert_row(machine, "platform_configs", world18.north, platform="google", max_cpa=33)
        assert effective(machine, world18.north) == (33, 3, "EUR", "tenant", "default")
        machine.execute(
            "update ads.platform_configs set max_cpa = null, target_roas = 5 where tenant_id = %s and platform = 'google'",
            (world18.north,),
        )
        assert effective(machine, world18.north) == (50, 5, "EUR", "default", "tenant")
        machine.execute(
            "update ads.platform_configs set currency = 'USD', max_daily_budget = 9, max_cpa = 33"
            " where tenant_id = %s and platform = 'google'",
            (world18.north,),
        )
        assert effective(machine, world18.north) == (33, 5, "USD", "tenant", "tenant")


def test_flags_and_thresholds(world18: World) -> None:
    query = (
        "select min_roas, auto_pause, anomaly_detection_enabled, thresholds, conversion_event, legacy_rules"
        " from tenancy.effective_config(%s, 'google')"
    )
    with world18.service("transformer") as machine:
        assert machine.execute(query, (world18.north,)).fetchone() == (1, False, True, {}, None, False)
        insert_row(
            machine,
            "platform_configs",
            world18.north,
            platform="google",
            anomaly_detection_enabled=False,
            thresholds='{"spend_spike": 2}',
            conversion_event="lead",
            legacy_rules=True,
        )
        machine.execute(
            'update ads.platform_configs set thresholds = \'{"spend_spike": 3, "ctr_drop": 1}\' where tenant_id = %s'
            " and platform = 'google'",
            (EVERYBODY,),
        )
        row = machine.execute(query, (world18.north,)).fetchone()
        assert row == (1, False, False, {"spend_spike": 2, "ctr_drop": 1}, "lead", True)


def test_every_reader_may_ask_for_its_own(world18: World) -> None:
    for actor in (
        world18.app(world18.north),
        world18.login(world18.north),
        world18.login(world18.north, "buyer"),
        world18.login(world18.north, "analyst"),
    ):
        with actor as connection:
            assert effective(connection, world18.north, "meta")[1] == Decimal(3)
    with world18.at(world18.outsider) as connection:
        row = connection.execute(
            "select count(*) from tenancy.effective_config(%s, 'meta')", (world18.north,)
        ).fetchone()
        assert row == (0,)
    with world18.at(world18.stranger) as connection, refused(connection, "42501"):
        effective(connection, world18.north)
