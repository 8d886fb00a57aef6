"""The calls people already write, as product.md §2 quotes them: as a tenant's login, and as the application."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from actors import EVERYBODY, SHARED, World, insert_row, tables
from psycopg import sql

CONTRACT = {
    "metrics_daily",
    "entities",
    "data_status",
    "baselines",
    "performance_benchmarks",
    "campaign_performance",
    "optimization_recommendations",
    "anomalies",
    "budget_allocation",
    "ab_tests",
    "platform_configs",
    "conversions_daily",
    "shop_daily",
    "attribution_daily",
}


@contextlib.contextmanager
def acting(world: World, who: str) -> Iterator[psycopg.Connection[Any]]:
    """BEGIN; as the application: SET LOCAL saas.tenant_id = '…'; the call; ROLLBACK."""
    actor = world.app(world.north) if who == "app" else world.login(world.north, who)
    with actor as connection:
        yield connection


def test_every_table_of_the_contract_is_there(world18: World) -> None:
    with world18.service("admin") as connection:
        assert set(tables(connection)) >= CONTRACT


@pytest.mark.parametrize("who", ["app", "reader", "buyer", "analyst"])
def test_reading_each_table(world18: World, who: str) -> None:
    with acting(world18, who) as connection:
        for table in sorted(CONTRACT):
            rows = connection.execute(
                sql.SQL("SELECT * FROM ads.{}").format(sql.Identifier(table))
            ).fetchall()
            found = {str(row[0]) for row in rows}
            assert found == ({world18.north, EVERYBODY} if table in SHARED else {world18.north}), table


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_insert_metrics_daily(world18: World, who: str) -> None:
    with acting(world18, who) as connection:
        connection.execute(
            "INSERT INTO ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend, impressions, clicks,"
            " conversions, conversion_value) VALUES (%s, 'meta', 'campaign', 'typed', '2026-01-07', 100, 4000, 80, 4, 300)",
            (world18.north,),
        )
        row = connection.execute(
            "select account_id, campaign_id, adset_id, currency, source, data_status, maturity, roas, cpa, cpc, cpm, ctr, cvr,"
            " spend_reporting, reporting_currency from ads.metrics_daily where platform_id = 'typed'"
        ).fetchone()
        assert row is not None
        assert row[:6] == ("manual", "typed", None, "EUR", "manual", "final")
        assert [float(value) for value in row[6:14]] == [1, 3, 25, 1.25, 25, 0.02, 0.05, 100]
        assert row[14] == "EUR"


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_update_recommendation_to_applied(world18: World, who: str) -> None:
    """An approval and an application in one: the trigger sets approved_at and decided_by."""
    with acting(world18, who) as connection:
        if who == "app":
            connection.execute("set local saas.user_id = 'maria@example.com'")
        row = connection.execute("select id from ads.optimization_recommendations").fetchone()
        assert row is not None
        changed = connection.execute(
            "UPDATE ads.optimization_recommendations SET status = 'applied', applied_at = now()"
            " WHERE id = %s AND status = 'pending'",
            row,
        )
        assert changed.rowcount == 1
        after = connection.execute(
            "select status, applied_at = now(), approved_at = now(), decided_by, session_user"
            " from ads.optimization_recommendations"
        ).fetchone()
        assert after is not None
        assert after[:3] == ("applied", True, True)
        assert after[3] == ("maria@example.com" if who == "app" else after[4])
        again = connection.execute(
            "UPDATE ads.optimization_recommendations SET status = 'applied', applied_at = now()"
            " WHERE id = %s AND status = 'pending'",
            row,
        )
        assert again.rowcount == 0


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_insert_budget_allocation(world18: World, who: str) -> None:
    with acting(world18, who) as connection:
        connection.execute(
            "INSERT INTO ads.budget_allocation (tenant_id, platform, campaign_id, budget) VALUES (%s, 'meta', 'k', 5000)",
            (world18.north,),
        )
        row = connection.execute(
            """
            select currency, created_by = session_user, id is not null,
                period_start = date_trunc('month', current_date)::date,
                period_end = (date_trunc('month', current_date) + interval '1 month' - interval '1 day')::date
            from ads.budget_allocation where campaign_id = 'k'
            """
        ).fetchone()
        assert row == ("EUR", True, True, True, True)
        connection.execute(
            "insert into ads.budget_allocation (tenant_id, platform, campaign_id, budget, period_start)"
            " values (%s, 'meta', 'k', 5000, '2031-02-01')",
            (world18.north,),
        )
        row = connection.execute(
            "select period_end::text from ads.budget_allocation where period_start = '2031-02-01'"
        ).fetchone()
        assert row == ("2031-02-28",)


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_insert_platform_configs(world18: World, who: str) -> None:
    with acting(world18, who) as connection:
        connection.execute(
            "INSERT INTO ads.platform_configs (tenant_id, platform, target_roas) VALUES (%s, 'tiktok', 4)",
            (world18.north,),
        )
        row = connection.execute(
            "select max_cpa, min_roas, auto_pause, anomaly_detection_enabled, thresholds, currency, legacy_rules,"
            " updated_by = session_user, updated_at = now() from ads.platform_configs"
            " where tenant_id = %s and platform = 'tiktok'",
            (world18.north,),
        ).fetchone()
        assert row == (None, None, None, None, None, None, None, True, True)
        row = connection.execute(
            "select target_roas, min_roas, anomaly_detection_enabled, thresholds, auto_pause, legacy_rules"
            " from tenancy.effective_config(%s, 'tiktok')",
            (world18.north,),
        ).fetchone()
        assert row == (4, 1, True, {}, False, False)


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_insert_ab_test(world18: World, who: str) -> None:
    with acting(world18, who) as connection:
        connection.execute(
            "INSERT INTO ads.ab_tests (tenant_id, name, test_type, platform, variants) VALUES"
            """ (%s, 'Spring', 'creative', 'meta', '[{"name": "A", "level": "ad", "platform_id": "1", "is_control": true}]')""",
            (world18.north,),
        )
        row = connection.execute(
            "select status, metric, assignment, start_date = current_date, min_sample, min_days, alpha, id is not null"
            " from ads.ab_tests where name = 'Spring'"
        ).fetchone()
        assert row is not None
        assert (*row[:6], float(row[6]), row[7]) == (
            "draft",
            "cpa",
            "observational",
            True,
            100,
            14,
            0.05,
            True,
        )


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_update_platform_configs_without_a_condition(world18: World, who: str) -> None:
    with acting(world18, who) as connection:
        changed = connection.execute("UPDATE ads.platform_configs SET anomaly_detection_enabled = true")
        assert changed.rowcount == 1, "the rows for everybody must stay out of it"


@pytest.mark.parametrize("who", ["app", "reader"])
def test_comparing_metrics_with_baselines(world18: World, who: str) -> None:
    with acting(world18, who) as connection:
        rows = connection.execute(
            """
            SELECT m.day, m.spend, b.spend / b.window_days AS expected, m.spend / (b.spend / b.window_days) - 1 AS variance
            FROM ads.metrics_daily AS m
            JOIN ads.baselines AS b
                ON b.tenant_id = m.tenant_id AND b.platform = m.platform AND b.level = m.level
                AND b.platform_id = m.platform_id AND b.window_days = 7
            """
        ).fetchall()
        assert len(rows) == 1


@pytest.mark.parametrize("who", ["app", "buyer"])
def test_the_four_functions(world18: World, who: str) -> None:
    """With the views of a build in place, which here hold one row of each tenant."""
    tenant = {"tenant": world18.north}
    with world18.warehouse.connect("transformer") as connection:
        for view, table in (
            ("baselines_now", "baselines"),
            ("recommendations_merge", "optimization_recommendations"),
            ("anomalies_merge", "anomalies"),
        ):
            connection.execute(f"create table ads_internal.{view} as select * from ads.{table}".encode())
        connection.execute("update ads_internal.baselines_now set spend = 99")
        # One row goes on with new evidence, one is new.
        connection.execute("update ads_internal.recommendations_merge set evidence = '{\"n\": 2}'")
        connection.execute(
            "insert into ads_internal.recommendations_merge select (r).* from (select jsonb_populate_record(m, "
            "jsonb_build_object('id', gen_random_uuid(), 'recommendation_type', 'creative', 'recommendation_key', 'new')) as r"
            " from ads_internal.recommendations_merge as m) as made"
        )
        connection.execute("update ads_internal.anomalies_merge set severity = 'critical'")
    try:
        with acting(world18, who) as connection:
            said = connection.execute(
                "SELECT ads.compute_baselines(%(tenant)s, 'meta', 'campaign', 7)", tenant
            ).fetchone()
            assert said == ("updated 1 baselines",)
            assert connection.execute("select spend from ads.baselines").fetchall() == [(99,)]
            assert connection.execute(
                "SELECT ads.generate_recommendations(%(tenant)s)", tenant
            ).fetchone() == (1,)
            assert connection.execute(
                "SELECT ads.generate_recommendations(%(tenant)s)", tenant
            ).fetchone() == (0,)
            rows = connection.execute(
                "select recommendation_type, evidence from ads.optimization_recommendations order by 1"
            ).fetchall()
            assert rows == [("creative", {"n": 2}), ("pause", {"n": 2})]
            assert connection.execute("SELECT ads.detect_anomalies(%(tenant)s)", tenant).fetchone() == (1,)
            assert connection.execute("select severity from ads.anomalies").fetchall() == [("critical",)]
        with world18.service("transformer") as connection:  # nothing of the other tenant was touched
            row = connection.execute(
                "select spend from ads.baselines where tenant_id = %s", (world18.south,)
            ).fetchone()
            assert row == (None,)
    finally:
        with world18.warehouse.connect("transformer") as connection:
            for view in ("baselines_now", "recommendations_merge", "anomalies_merge"):
                connection.execute(f"drop table ads_internal.{view}".encode())


@pytest.mark.parametrize("who", ["app", "reader", "buyer", "analyst"])
def test_analyze_campaign_performance(world18: World, who: str) -> None:
    """Seven days against the seven before: spend 20 and 10 a day, twice the conversions."""
    with world18.warehouse.connect("transformer") as connection:
        for day in range(14):
            now = day >= 7
            insert_row(
                connection,
                "metrics_daily",
                world18.north,
                platform_id="analysed",
                campaign_id="analysed",
                day=f"2026-01-{day + 1:02d}",
                spend=20 if now else 10,
                impressions=1000,
                clicks=100,
                conversions=4 if now else 2,
                conversion_value=80 if now else 20,
            )
        connection.execute(
            "update ads.baselines set as_of = '2026-01-14' where tenant_id = %s", (world18.north,)
        )
    try:
        with acting(world18, who) as connection:
            rows = connection.execute(
                "SELECT * FROM ads.analyze_campaign_performance(%s, 'analysed', 'meta', 7)", (world18.north,)
            ).fetchall()
            found = {row[0]: (float(row[1]), float(row[2]), row[3]) for row in rows}
            assert found["spend"] == (140, 70, "average")
            assert found["conversions"] == (28, 14, "excellent")
            assert found["roas"] == (4, 2, "excellent")
            assert found["cpa"] == (5, 5, "good")
            assert found["cpc"][2] == "poor"
            assert found["ctr"] == (0.1, 0.1, "good")
            assert all(row[4] for row in rows)
            empty = connection.execute(
                "SELECT rating FROM ads.analyze_campaign_performance(%s, 'nothing', 'meta', 7)",
                (world18.north,),
            ).fetchall()
            assert {row[0] for row in empty} <= {"insufficient_data"}
    finally:
        with world18.warehouse.connect("transformer") as connection:
            connection.execute("delete from ads.metrics_daily where platform_id = 'analysed'")
            connection.execute("update ads.baselines set as_of = '2026-01-05'")


def test_types_are_those_of_the_contract(world18: World) -> None:
    """Money numeric(20,6), counts bigint, ids text, tenant_id uuid not null and first in every key."""
    money = {
        "spend",
        "conversion_value",
        "budget",
        "max_cpa",
        "target_cpa",
        "daily_budget",
        "lifetime_budget",
        "loss_per_day",
        "estimated_impact",
        "estimated_impact_low",
        "estimated_impact_high",
        "spend_reporting",
        "gross_sales",
        "net_sales",
        "conversion_value_reporting",
        "conversions",
        "attributed_orders",
        "attributed_revenue",
        "max_daily_budget",
    }
    counts = {"impressions", "clicks", "link_clicks", "reach", "orders", "sessions", "n_days", "rows"}
    with world18.service("admin") as connection:
        columns = connection.execute(
            """
            select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
            from pg_class as c inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
            where c.relnamespace = 'ads'::regnamespace and c.relkind = 'r'
            """
        ).fetchall()
        for table, name, kind, not_null in columns:
            where = f"{table}.{name}"
            if name == "tenant_id":
                assert (kind, not_null) == ("uuid", True), where
            elif name in money:
                assert kind == "numeric(20,6)", where
            elif name in counts:
                assert kind == "bigint", where
            elif name in ("platform_id", "account_id", "campaign_id", "adset_id"):
                assert kind == "text", where
            elif name.endswith("_at"):
                assert kind == "timestamp with time zone", where
            elif kind.startswith("double") or kind == "real":
                raise AssertionError(f"{where} is a float")
        keys = connection.execute(
            """
            select i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid, 1, true)
            from pg_index as i inner join pg_class as c on i.indrelid = c.oid
            where c.relnamespace = 'ads'::regnamespace and i.indisprimary
            """
        ).fetchall()
        assert len(keys) >= len(CONTRACT)
        assert {first for _, first in keys} == {"tenant_id"}
