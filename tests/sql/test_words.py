"""What people enter by hand and cannot: refused in words, with what to do; odd figures are taken and found later."""

from __future__ import annotations

import re
from typing import Any

import pytest
from actors import World, refused

BUDGET = (
    "insert into ads.budget_allocation (tenant_id, platform, campaign_id, budget{}) values (%s, {}, {}, {}{})"
)
TEST = "insert into ads.ab_tests (tenant_id, name, test_type, platform, variants) values (%s, {}, {}, {}, {})"
LIST = "'[]'"


@pytest.mark.parametrize("who", ["buyer", "app"])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (BUDGET.format("", "'bing'", "'k'", "5", ""), ('platform "bing" is unknown', "meta, tiktok")),
        (BUDGET.format("", "'meta'", "null", "5", ""), ("for one campaign", "campaign_id")),
        (BUDGET.format("", "'meta'", "'k'", "-5", ""), ("a budget of -5.000000 cannot be set", "zero or more")),
        (BUDGET.format("", "'meta'", "'k'", "null", ""), ("a budget of nothing", "zero or more")),
        (BUDGET.format("", "'meta'", "'k'", "'NaN'", ""), ("a budget of NaN", "zero or more")),
        (BUDGET.format(", currency", "'meta'", "'k'", "5", ", 'Euro'"), ('"Euro" is no currency', "three letters")),
        (
            BUDGET.format(", period_start, period_end", "'meta'", "'k'", "5", ", '2026-02-01', '2026-01-01'"),
            ("ends on 2026-01-01, before it begins", "Exchange"),
        ),
        (TEST.format("' '", "'creative'", "'meta'", LIST), ("needs a name",)),
        (TEST.format("'A|B'", "'colour'", "'meta'", LIST), ('type "colour" is unknown', "creative, audience")),
        (TEST.format("'A'", "'creative'", "'x|y'", LIST), ('platform "x|y" is unknown', "Use one of meta")),
        (TEST.format("'A'", "'creative'", "'meta'", "'{}'"), ("variants is no list of objects", "is_control")),
        ("insert into ads.platform_configs (tenant_id, platform, max_cpa) values (%s, 'google', 0)", ("max_cpa of 0", "above zero")),
        ("insert into ads.platform_configs (tenant_id, platform, target_roas) values (%s, 'google', -1)", ("target_roas of -1",)),
        ("insert into ads.platform_configs (tenant_id, platform, min_roas) values (%s, 'google', -1)", ("min_roas of -1",)),
        ("insert into ads.platform_configs (tenant_id, platform, currency) values (%s, 'google', 'e')", ("no currency",)),
        ("insert into ads.platform_configs (tenant_id, platform, thresholds) values (%s, 'google', '[]')", ("names with values",)),
        ("update ads.ab_tests set status = 'won' where tenant_id = %s", ('cannot be "won"', "draft, running")),
        ("update ads.ab_tests set alpha = 5 where tenant_id = %s", ("alpha 5 is not between", "0.05")),
        ("update ads.ab_tests set metric = 'joy' where tenant_id = %s", ('decided by "joy"', "roas")),
        ("update ads.ab_tests set assignment = 'dice' where tenant_id = %s", ('"dice" is unknown', "geo_split")),
        ("update ads.ab_tests set end_date = start_date - 1 where tenant_id = %s", ("before it begins", "Exchange")),
    ],
)  # fmt: skip
def test_refused_in_words(world18: World, who: str, statement: str, words: tuple[str, ...]) -> None:
    actor = world18.app(world18.north) if who == "app" else world18.login(world18.north, who)
    with actor as connection, refused(connection, "23514", *words):
        connection.execute(statement.encode(), (world18.north,))


def test_every_check_of_these_tables_is_said_in_words(world18: World) -> None:
    """A constraint that a migration adds is reached by a person only after the trigger knows words for it."""
    said_elsewhere = {
        "budget_allocation_pacing_status_is_known",
        "ab_tests_verdict_is_known",
    }  # machines' columns
    with world18.service("admin") as admin:
        columns: list[Any] = admin.execute(
            """
            select k.conname, c.relname, a.attname
            from pg_constraint as k inner join pg_class as c on k.conrelid = c.oid
            inner join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.conkey[1]
            where k.contype = 'c' and c.oid = any(array['ads.budget_allocation', 'ads.ab_tests', 'ads.platform_configs']::regclass[])
            """
        ).fetchall()
        sources = {
            table: admin.execute("select prosrc from pg_proc where proname = %s", (function,)).fetchone()[0]  # type: ignore[index]
            for table, function in (
                ("budget_allocation", "fill_budget"),
                ("ab_tests", "check_test"),
                ("platform_configs", "fill_config"),
            )
        }
    assert len(columns) > 15
    for constraint, table, column in columns:
        if constraint not in said_elsewhere:
            checks = sources[table].partition("refuse_first")[2]
            assert re.search(rf"\bnew\.{column}\b", checks), constraint


def test_a_second_row_of_a_key_is_named(world18: World) -> None:
    with world18.login(world18.north, "buyer") as buyer:
        statement = BUDGET.format("", "'meta'", "'twice'", "5", "")
        buyer.execute(statement.encode(), (world18.north,))
        with refused(buyer, "23505", "one_budget_per_campaign_and_period_start"):
            buyer.execute(statement.encode(), (world18.north,))
        with refused(buyer, "23505", "one_configuration_per_platform"):
            buyer.execute(
                "insert into ads.platform_configs (tenant_id, platform) values (%s, 'meta')", (world18.north,)
            )


def test_more_clicks_than_impressions_is_taken(world18: World) -> None:
    """The quality step lists it as a finding (tests/flows/test_quality.py); it may well be what the platform says."""
    with world18.login(world18.north, "buyer") as buyer:
        row = buyer.execute(
            "insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, impressions, clicks)"
            " values (%s, 'meta', 'ad', 'odd', '2026-01-07', 5, 9) returning ctr",
            (world18.north,),
        ).fetchone()
        assert row is not None and float(row[0]) == 1.8
