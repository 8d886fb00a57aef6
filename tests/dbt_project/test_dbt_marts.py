"""What stands in `ads` after a build: sums to the cent, who wins over whom, and what a person typed."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from conftest import CHAIN, HARBOUR, NORTHWIND, TENANT, Feed

D1 = date(2026, 6, 1)
D2 = date(2026, 6, 2)
INSERT = (
    "insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend, impressions, clicks, "
    "conversions, conversion_value) values (%s, 'meta', %s, %s, %s, %s, 1000, 10, 1, 50)"
)


# -- the small world, built once ------------------------------------------------------------------------------


def test_every_level_holds_the_sums_of_the_newest_raw_rows(small_world: Any) -> None:
    raw = small_world.rows(
        """
        select platform, sum(spend), sum(impressions)::bigint, sum(conversions), sum(conversion_value)
        from (
            select distinct on (platform, platform_id, day) *
            from raw_manual.performance
            order by platform, platform_id, day, known_on desc nulls last
        ) as newest
        group by platform
        order by platform
        """
    )
    for level in ("account", "campaign", "adset", "ad"):
        served = small_world.rows(
            """
            select platform, sum(spend), sum(impressions)::bigint, sum(conversions), sum(conversion_value)
            from ads.metrics_daily where level = %s group by platform order by platform
            """,
            (level,),
        )
        assert served == raw, level


def test_ratios_are_of_sums_and_reporting_amounts_at_the_days_rate(small_world: Any) -> None:
    [(roas, cpa, cpc, cpm, ctr, cvr, spend, value, conversions, clicks, impressions)] = small_world.rows(
        """
        select roas, cpa, cpc, cpm, ctr, cvr, spend, conversion_value, conversions, clicks, impressions
        from ads.metrics_daily where platform = 'google' and level = 'account' and day = '2026-06-15'
        """
    )
    expected = (
        value / spend,
        spend / conversions,
        spend / clicks,
        spend * 1000 / impressions,
        Decimal(clicks) / impressions,
        conversions / clicks,
    )
    assert [round(ratio, 12) for ratio in (roas, cpa, cpc, cpm, ctr, cvr)] == [round(r, 12) for r in expected]
    # Friday's rates hold on Sunday; Harbour reports in euro and needs none.
    rates = small_world.rows(
        """
        select extract(isodow from day)::int, fx_rate, spend_reporting - round(spend * fx_rate, 6), reporting_currency
        from ads.metrics_daily
        where platform = 'google' and level = 'account' and day in ('2026-06-12', '2026-06-14') order by day
        """
    )
    assert [row[1] for row in rates] == [rates[0][1]] * 2
    assert {row[2:] for row in rates} == {(0, "USD")}
    assert small_world.rows("select distinct fx_rate from ads.metrics_daily where platform = 'tiktok'") == [
        (1,)
    ]


def test_maturity_comes_from_reports_of_several_days_only(small_world: Any) -> None:
    known = dict(
        small_world.rows(
            "select day, maturity from ads.metrics_daily where platform = 'meta' and level = 'account'"
        )
    )
    last = date(2026, 6, 30)
    shares = [float(known[last - timedelta(age)]) for age in (0, 2, 3, 9, 10, 27, 28, 40)]
    assert shares == [0.4, 0.4, 0.8, 0.8, 0.95, 0.95, 1, 1]
    assert small_world.rows("select distinct maturity from ads.metrics_daily where platform = 'tiktok'") == [
        (None,)
    ]


def test_past_states_are_found_by_undoing_the_changes(small_world: Any) -> None:
    days = dict(
        small_world.rows(
            """
            select day, array[delivery, status, daily_budget::float8::text]
            from intermediate.int_metrics__entity_days
            where level = 'campaign' and platform_id in ('mc1', 'mc3') and day in ('2026-05-31', '2026-06-01', '2026-06-15')
                and platform_id = 'mc1'
            """
        )
    )
    assert [days[day][2] for day in (date(2026, 5, 31), D1, date(2026, 6, 15))] == ["150", "200", "250"]
    paused = small_world.rows(
        """
        select day, delivery, spend from intermediate.int_metrics__entity_days
        where level = 'campaign' and platform_id = 'mc3' and status = 'paused' order by day
        """
    )
    assert paused == [(date(2026, 6, 10) + timedelta(n), "paused", 0) for n in range(5)]
    # Google's log says nothing of a pause: the same five days are zero delivery.
    assert small_world.rows(
        """
        select delivery, count(*) from intermediate.int_metrics__entity_days
        where platform_id = 'gc3' group by delivery order by delivery
        """
    ) == [("delivered", 55), ("zero", 5)]


def test_entities_show_the_newest_state(small_world: Any) -> None:
    rows = small_world.rows(
        """
        select platform_id, name, status, status_since, daily_budget, budget_level, first_day, last_day
        from ads.entities where level = 'campaign' and platform = 'meta' order by platform_id
        """
    )
    first, last = date(2026, 5, 2), date(2026, 6, 30)
    assert rows == [
        ("mc1", "Campaign mc1", "active", first, 250, "campaign", first, last),
        ("mc2", "Campaign mc2", "paused", last, 200, "campaign", first, last),
        ("mc3", "Campaign mc3", "active", date(2026, 6, 15), 200, "campaign", first, last),
    ]
    # An ad of a paused campaign does not deliver, whatever its own switch says.
    assert small_world.rows(
        "select distinct status from ads.entities where campaign_id = 'mc2' and level = 'ad'"
    ) == [("paused",)]


def test_baselines_are_sums_over_the_window_before_the_day_judged(small_world: Any) -> None:
    for window in (1, 7, 30, 91):
        [(as_of, n_days, spend, conversions, roas, p50, sufficient)] = small_world.rows(
            """
            select as_of, n_days, spend, conversions, roas, spend_p50, is_sufficient from ads.baselines
            where platform_id = 'gc3' and window_days = %s
            """,
            (window,),
        )
        assert as_of == date(2026, 6, 30)
        expected = small_world.rows(
            """
            select count(*), sum(spend), sum(conversions), sum(conversion_value) / sum(spend),
                percentile_cont(0.5) within group (order by spend)::numeric
            from intermediate.int_metrics__entity_days
            where platform_id = 'gc3' and day between %s::date - %s and %s::date - 1
            """,
            (as_of, window, as_of),
        )
        assert [(n_days, spend, conversions, roas, p50)] == expected
        assert sufficient == (window > 1)
    fallbacks = small_world.rows(
        "select distinct is_sufficient, fallback_level from ads.baselines where window_days = 1 and level = 'ad'"
    )
    assert fallbacks == [(False, None)]  # a day is noise at every level: nothing to fall back to


def test_the_function_writes_the_same_baselines_as_the_build(small_world: Any) -> None:
    query = """
        select platform_id, n_days, spend, conversions, spend_p50, spend_mad, is_sufficient
        from ads.baselines where tenant_id = %s and platform = 'meta' and level = 'adset' and window_days = 28 order by 1
    """
    built = small_world.rows(query, (NORTHWIND,))
    with small_world.connect("transformer") as connection:
        [(said,)] = connection.execute(
            "select ads.compute_baselines(%s, 'meta', 'adset', 28)", (NORTHWIND,)
        ).fetchall()
    assert said == "updated 6 baselines"
    assert small_world.rows(query, (NORTHWIND,)) == built


def test_periods_compare_with_the_one_before(small_world: Any) -> None:
    weeks = small_world.rows(
        """
        select period_start, period_end, spend, previous_spend, round(change_spend, 6), is_complete
        from ads.campaign_performance where campaign_id = 'mc3' and period_type = 'week' order by period_start
        """
    )
    assert all(row[0].isoweekday() == 1 and row[1] == row[0] + timedelta(6) for row in weeks)
    assert [row[3] for row in weeks[1:]] == [row[2] for row in weeks[:-1]]
    assert weeks[2][4] == 0 and weeks[0][3] is None and weeks[0][4] is None
    assert [row[5] for row in weeks] == [True] * (len(weeks) - 1) + [False]
    months = small_world.rows(
        """
        select period_start, period_end, is_complete from ads.campaign_performance
        where campaign_id = 'tc1' and period_type = 'month' order by 1
        """
    )
    assert months == [(date(2026, 5, 1), date(2026, 5, 31), True), (D1, date(2026, 6, 30), True)]


def test_files_are_final_and_nothing_of_them_is_missing(small_world: Any) -> None:
    assert small_world.rows("select state, count(*) from ads.data_status group by state") == [("final", 180)]
    assert small_world.rows("select count(*) from ops.findings") == [(0,)]


def test_benchmarks_carry_their_provenance(small_world: Any) -> None:
    rows = small_world.rows(
        "select platform, metric, value, p50, statistic, source_url, tenant_id::text, period_start from ads.performance_benchmarks"
    )
    assert len(rows) > 50
    assert {row[6] for row in rows} == {"00000000-0000-0000-0000-000000000000"}
    assert all(row[5].startswith("https://") for row in rows)
    assert not [row for row in rows if row[7].year < 2021 or row[2] == Decimal("18.68")]  # the stale of 2017
    assert {row[4] for row in rows if row[3] is not None} == {"median"}


def test_every_column_of_a_built_mart_is_described_in_the_database(small_world: Any) -> None:
    built = small_world.rows(
        """
        select c.relname, a.attname, col_description(c.oid, a.attnum) is not null, obj_description(c.oid) is not null
        from pg_class as c
        inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'ads'::regnamespace and c.relkind = 'r'
            and c.relname not in ('conversions_daily', 'shop_daily', 'attribution_daily')
        """
    )
    assert len({row[0] for row in built}) >= 12
    assert [row[:2] for row in built if not (row[2] and row[3])] == []


def test_a_tenant_stands_against_the_benchmarks_of_its_platforms(small_world: Any) -> None:
    rows = small_world.rows(
        """
        select c.metric, c.own_value, c.standing, c.maturity, b.value = c.benchmark_value, c.difference
        from ads.benchmark_comparison as c
        inner join ads.performance_benchmarks as b using (platform, industry, objective, geography, metric, statistic, source, period_start)
        where c.tenant_id = %s and c.platform = 'meta' and c.source = 'WordStream'
        """,
        (NORTHWIND,),
    )
    [(spend, clicks, conversions)] = small_world.rows(
        """
        select sum(spend), sum(clicks), sum(conversions) from ads.metrics_daily
        where tenant_id = %s and platform = 'meta' and level = 'account' and day between '2026-06-01' and '2026-06-30'
        """,
        (NORTHWIND,),
    )
    own = {metric: value for metric, value, *_ in rows}
    assert round(own["cpc"], 12) == round(spend / clicks, 12)
    assert round(own["cpa"], 12) == round(spend / conversions, 12)
    assert all(is_same and 0 < maturity < 1 for _, _, _, maturity, is_same, _ in rows)
    # Northwind pays a few cents a click: far below what is published.
    assert {
        (standing, difference < 0) for metric, _, standing, _, _, difference in rows if metric == "cpc"
    } == {("better", True)}
    # Harbour reports in euro and the benchmarks in dollars.
    [(ratio,)] = small_world.rows(
        """
        select c.own_value / (
            select sum(m.spend) / sum(m.clicks) from ads.metrics_daily as m
            where m.tenant_id = c.tenant_id and m.level = 'account' and m.day between '2026-06-01' and '2026-06-30'
        )
        from ads.benchmark_comparison as c
        where c.tenant_id = %s and c.metric = 'cpc' limit 1
        """,
        (HARBOUR,),
    )
    assert 1.10 < ratio < 1.14


def test_any_two_periods_of_a_campaign_compare(small_world: Any) -> None:
    call = "select * from ads.compare_campaign_periods(%s, 'meta', 'mc1', '2026-06-24', '2026-06-30'"
    with psycopg.connect(small_world.tenant_url(NORTHWIND, "reader")) as reader:
        week = {row[0]: row for row in reader.execute(call + ")", (NORTHWIND,))}
        [(spend,)] = reader.execute(
            "select previous_spend from ads.campaign_performance where campaign_id = 'mc1' and period_type = 'week' and period_start = '2026-06-22'"
        ).fetchall()
        assert len(week) == 12 and week["spend"][4:] == (
            "USD",
            date(2026, 6, 17),
            date(2026, 6, 23),
            True,
            True,
        )
        monday = reader.execute(
            "select compared_value from ads.compare_campaign_periods(%s, 'meta', 'mc1', '2026-06-22', '2026-06-28')"
            " where metric_name = 'spend'",
            (NORTHWIND,),
        ).fetchone()
        assert monday == (spend,)
        custom = {
            row[0]: row
            for row in reader.execute(call + ", 'custom', '2026-06-17', '2026-06-23')", (NORTHWIND,))
        }
        assert custom == week
        # A year earlier nothing was loaded: null and incomplete, neither zero nor a fall of 100 %.
        year = {row[0]: row for row in reader.execute(call + ", 'previous_year')", (NORTHWIND,))}
        assert year["spend"][2:4] == (None, None)
        assert year["spend"][5:] == (date(2025, 6, 24), date(2025, 6, 30), True, False)
        same = reader.execute(call + ", 'previous_year_same_weekdays') limit 1", (NORTHWIND,)).fetchone()
        assert (
            same is not None
            and same[5] == date(2025, 6, 25)
            and same[5].weekday() == date(2026, 6, 24).weekday()
        )
    with (
        psycopg.connect(small_world.tenant_url(HARBOUR, "reader")) as reader,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        reader.execute(call + ")", (NORTHWIND,))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("'2026-06-30', '2026-06-24'", "cannot be compared"),
        ("'2026-06-24', '2026-06-30', 'last_week'", "no period is called last_week"),
        ("'2026-06-24', '2026-06-30', 'custom'", "needs compare_start"),
    ],
)
def test_periods_that_are_none_are_refused_in_words(small_world: Any, arguments: str, words: str) -> None:
    with (
        psycopg.connect(small_world.tenant_url(NORTHWIND, "reader")) as reader,
        pytest.raises(psycopg.errors.InvalidParameterValue, match=words),
    ):
        reader.execute(
            f"select * from ads.compare_campaign_periods('{NORTHWIND}', 'meta', 'mc1', {arguments})".encode()
        )


# -- one row at a time ----------------------------------------------------------------------------------------


def test_the_file_wins_over_the_hand_row_which_is_kept_and_listed(feed: Feed) -> None:
    feed.as_buyer(INSERT, (TENANT, "ad", "a1", D1, 5))
    feed.judge()
    feed.build()
    assert feed.served() == {("a1", D1): (5, "manual")}
    assert feed.served("account") == {("manual", D1): (5, "manual")}

    feed.load([{"platform_id": "a1", "day": D1, "spend": 8}])
    result = feed.build()
    assert feed.served() == {("a1", D1): (8, "file")}
    assert feed.served("account") == {("act_1", D1): (8, "file")}
    assert "build_found_nothing_odd" in {node.name for node in result.warnings}
    assert feed.warehouse.rows("select check_name, subject, account_id from ops.findings") == [
        ("overlapping_sources", "manual ad a1", "manual")
    ]
    assert len(feed.versions()) == 2


def test_a_hand_row_above_level_ad_counts_where_nothing_lies_below(feed: Feed) -> None:
    feed.load([{"platform_id": "a1", "day": D1, "spend": 8}])
    feed.build("+entities", *CHAIN)  # whose ad account a hand row belongs to
    feed.as_buyer(INSERT, (TENANT, "campaign", "c1", D2, 100))
    feed.as_buyer(
        INSERT.replace("(tenant_id,", "(account_id, tenant_id,").replace("values (", "values ('act_1', "),
        (TENANT, "campaign", "c9", D1, 40),
    )
    assert feed.served("campaign")[("c1", D2)] == (100, "manual")  # at once
    feed.judge()
    feed.build()
    assert feed.served("campaign") == {
        ("c1", D1): (8, "file"),
        ("c9", D1): (40, "manual"),
        ("c1", D2): (100, "manual"),
    }
    assert feed.served("account") == {("act_1", D1): (48, "file"), ("act_1", D2): (100, "manual")}
    assert feed.served("adset") == {("s1", D1): (8, "file")}


def test_a_hand_rows_own_figure_survives_hand_rows_below_it(feed: Feed) -> None:
    feed.as_buyer(INSERT, (TENANT, "campaign", "c1", D1, 100))
    feed.as_buyer(
        INSERT.replace("(tenant_id,", "(campaign_id, tenant_id,").replace("values (", "values ('c1', "),
        (TENANT, "ad", "a1", D1, 30),
    )
    feed.judge()
    feed.build(vars={"rebuild": True})
    assert feed.served("campaign") == {("c1", D1): (100, "manual")}
    assert feed.served("adset") == {("c1~unattributed", D1): (30, "manual")}
    assert feed.served("account") == {("manual", D1): (30, "manual")}


def test_what_a_person_did_since_the_quality_step_stays_as_it_is(feed: Feed) -> None:
    feed.as_buyer(INSERT, (TENANT, "ad", "h1", D1, 5))
    feed.judge()
    feed.build()
    feed.as_buyer("update ads.metrics_daily set spend = 6 where platform_id = 'h1' and level = 'ad'")
    feed.as_buyer(INSERT, (TENANT, "ad", "h2", D1, 7))
    feed.build(vars={"rebuild": True})  # not judged yet
    assert feed.served() == {("h1", D1): (6, "manual"), ("h2", D1): (7, "manual")}
    feed.as_buyer("delete from ads.metrics_daily where platform_id = 'h1' and level = 'ad'")
    feed.build(vars={"rebuild": True})
    assert feed.served() == {("h2", D1): (7, "manual")}
    feed.judge()
    feed.build()
    assert feed.served() == {("h2", D1): (7, "manual")}
    assert feed.served("account") == {("manual", D1): (7, "manual")}


def test_unknown_parents_and_campaign_rows_of_a_file(feed: Feed) -> None:
    feed.load(
        [
            {"platform_id": "a1", "day": D1, "spend": 1, "campaign_id": None, "adset_id": None},
            {"platform_id": "a2", "day": D1, "spend": 2, "campaign_id": "c2", "adset_id": None},
            {"platform_id": "c3", "level": "campaign", "day": D1, "spend": 4, "adset_id": None},
        ]
    )
    feed.build()
    assert feed.served("adset") == {
        ("act_1~unattributed~unattributed", D1): (1, "file"),
        ("c2~unattributed", D1): (2, "file"),
    }
    assert feed.served("campaign") == {
        ("act_1~unattributed", D1): (1, "file"),
        ("c2", D1): (2, "file"),
        ("c3", D1): (4, "file"),
    }
    assert feed.served("account") == {("act_1", D1): (7, "file")}


def test_a_platforms_own_campaign_report_leaves_a_residual_ad_set(feed: Feed) -> None:
    """No connector writes source api yet; its rows are put straight into history."""
    feed.load([{"platform_id": "x", "day": D1}])
    with feed.warehouse.connect() as connection:
        connection.execute("update ops.coverage set source = 'api', versioned_at = now()")
        for level, entity, spend, reach in (
            ("ad", "a1", 60, None),
            ("campaign", "c1", 100, 500),
            ("campaign", "c2", 7, None),
        ):
            connection.execute(
                """
                insert into history.performance_versions (
                    tenant_id, platform, account_id, level, platform_id, day, known_on, source, reported_on, campaign_id,
                    adset_id, currency, spend, impressions, clicks, reach, load_id
                )
                values (%s, 'meta', 'act_1', %s, %s, %s, %s, 'api', %s, %s, 's1', 'USD', %s, 100, 5, %s, 'load')
                """,
                (TENANT, level, entity, D1, D1, D1, entity if level == "campaign" else "c1", spend, reach),
            )
    feed.build()
    assert feed.served("adset") == {
        ("s1", D1): (60, "api"),
        ("c1~unattributed", D1): (40, "api"),
        ("c2~unattributed", D1): (7, "api"),
    }
    assert feed.served("campaign") == {("c1", D1): (100, "api"), ("c2", D1): (7, "api")}
    assert feed.served("account") == {("act_1", D1): (107, "api")}
    assert feed.warehouse.rows(
        "select reach, impressions from ads.metrics_daily where level = 'campaign' and platform_id = 'c1'"
    ) == [(500, 100)]
    assert feed.warehouse.rows(
        "select ad_sum, campaign_total, difference, state from ads.data_status where day = %s", (D1,)
    ) == [(60, 107, 47, "provisional")]
    assert feed.warehouse.rows("select check_name from ops.findings") == [("totals_differ",)]


def test_figures_are_judged_as_they_were_known(feed: Feed) -> None:
    feed.load(
        [
            {"platform_id": "a1", "day": D1, "known_on": D1, "conversions": 1},
            {"platform_id": "a1", "day": D1, "known_on": date(2026, 6, 4), "conversions": 5},
            {"platform_id": "a1", "day": D2, "known_on": D2, "conversions": 2},
            {"platform_id": "a1", "day": date(2026, 6, 3), "known_on": date(2026, 6, 3), "conversions": 9},
        ]
    )
    feed.ran(D2)
    feed.build("+baselines")
    newest = feed.warehouse.rows(
        "select day, conversions from ads.metrics_daily where level = 'ad' order by day"
    )
    assert newest == [(D1, 5), (D2, 2), (date(2026, 6, 3), 9)]
    known = feed.warehouse.rows(
        "select day, conversions from intermediate.int_metrics__entity_days where level = 'campaign' order by day"
    )
    assert known == [(D1, 1), (D2, 2)]
    assert feed.warehouse.rows(
        "select conversions, as_of from ads.baselines where level = 'campaign' and window_days = 7"
    ) == [(1, D2)]


def test_without_a_rate_reporting_amounts_are_empty_and_listed(feed: Feed) -> None:
    with feed.warehouse.connect() as connection:
        connection.execute("update tenancy.ad_accounts set currency = 'CAD'")
    feed.load([{"platform_id": "a1", "day": D1, "currency": "CAD"}])
    feed.describe("currency_rates", [{"day": date(2026, 5, 20), "currency": "CAD", "rate": 1.5}])
    feed.build()
    query = "select fx_rate, spend_reporting, reporting_currency from ads.metrics_daily where level = 'ad'"
    assert feed.warehouse.rows(query) == [(None, None, "USD")]
    assert feed.warehouse.rows("select check_name from ops.findings") == [("missing_rate",)]

    feed.describe(
        "currency_rates",
        [{"day": D1, "currency": "CAD", "rate": 1.5}, {"day": D1, "currency": "USD", "rate": 1.2}],
    )
    feed.build()
    assert feed.warehouse.rows(query) == [(Decimal("0.8"), Decimal(8), "USD")]
    assert feed.warehouse.rows("select count(*) from ops.findings") == [(0,)]


def test_targets_come_from_the_entity_then_the_tenant_then_the_default(feed: Feed) -> None:
    snapshot = {"snapshot_day": D1, "status": "active"}
    feed.load(
        [{"platform_id": f"a{n}", "day": D1, "campaign_id": f"c{n}", "adset_id": f"s{n}"} for n in (1, 2)]
    )
    feed.describe("campaigns", [{"campaign_id": "c1", "target_cpa": 20, "target_roas": None, **snapshot}])
    query = """
        select platform_id, target_metric, target::float8, target_source from intermediate.int_entities__targets
        where level = 'campaign' order by 1
    """
    feed.build("+int_entities__targets")
    assert feed.warehouse.rows(query) == [("c1", "cpa", 20, "entity"), ("c2", "roas", 3, "default")]
    feed.as_buyer(
        "insert into ads.platform_configs (tenant_id, platform, target_roas) values (%s, 'meta', 2.5)",
        (TENANT,),
    )
    feed.build("+int_entities__targets")
    assert feed.warehouse.rows(query) == [("c1", "cpa", 20, "entity"), ("c2", "roas", 2.5, "tenant")]


def test_days_nobody_reported_are_missing_not_zero(feed: Feed) -> None:
    feed.load(
        [{"platform_id": "a1", "day": D1}, {"platform_id": "a1", "day": date(2026, 6, 4)}], covered=[D2]
    )
    feed.build("+int_metrics__entity_days")
    assert feed.warehouse.rows(
        "select day, delivery, spend from intermediate.int_metrics__entity_days where level = 'campaign' order by day"
    ) == [
        (D1, "delivered", 10),
        (D2, "zero", 0),
        (date(2026, 6, 3), "missing", None),
        (date(2026, 6, 4), "delivered", 10),
    ]


def test_tenants_share_nothing(small_world: Any) -> None:
    curves = small_world.rows("select distinct tenant_id::text from intermediate.int_maturity__curve")
    assert curves == [(NORTHWIND,)] and HARBOUR not in {row[0] for row in curves}
