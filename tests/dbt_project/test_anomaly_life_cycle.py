"""From figures to incidents, and what becomes of them from one as-of day to the next, on planted series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from planted import DAYS_BACK, TENANT, Campaign, Planted, day, prepare

CAMPAIGNS = tuple(f"c{number}" for number in range(1, 9))
D = 110  # the first day that something happens on


@pytest.fixture(scope="module")
def built(new_warehouse: Callable[..., Any], dbt_folder: Path) -> Iterator[Any]:
    warehouse = new_warehouse()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        prepare(warehouse)
    yield warehouse


@pytest.fixture
def planted(built: Any) -> Iterator[Planted]:
    """Eight flat campaigns in two accounts, six conversions in ten thousand impressions or more."""
    series = Planted(built)
    for number, campaign_id in enumerate(CAMPAIGNS):
        series.add(
            Campaign(
                campaign_id,
                account_id="act_1" if number < 4 else "act_2",
                spend=150 + 40 * number,
                daily_budget=400 + 40 * number,
                cvr=0.05,
            )
        )
    yield series
    series.forget()


def states(series: Planted) -> list[tuple[Any, ...]]:
    return [
        (row["platform_id"], row["anomaly_type"], row["day"], row["last_day"], row["status"])
        for row in series.anomalies()
    ]


def test_an_incident_opens_moves_and_is_resolved(planted: Planted) -> None:
    planted.times("c1", "volume", day(D), day(D + 2), 2.6)

    planted.run(day(D - 1))
    assert planted.anomalies() == []

    planted.run(day(D))
    (first,) = planted.anomalies()
    assert (first["anomaly_type"], first["metric"], first["level"], first["status"]) == (
        "spend_spike", "spend", "campaign", "active",
    )  # fmt: skip
    assert first["observed"] > first["upper_bound"] > first["expected"] > first["lower_bound"]
    assert float(first["deviation"]) == pytest.approx(1.6, abs=0.3)
    assert float(first["loss_per_day"]) == pytest.approx(240, rel=0.2)
    assert first["severity"] in {"high", "critical"}  # 240 of some 2,300 a day

    planted.run(day(D + 2))
    (moved,) = planted.anomalies()
    assert (moved["id"], moved["day"], moved["last_day"]) == (first["id"], day(D), day(D + 2))
    assert moved["known_as_of"] == day(D + 2)

    planted.run(day(D + 3))
    assert states(planted) == [("c1", "spend_spike", day(D), day(D + 2), "active")]

    planted.run(day(D + 4))
    (resolved,) = planted.anomalies()
    assert resolved["status"] == "resolved"
    assert resolved["resolved_at"] == dt.datetime.combine(
        day(D + 4), dt.time(22), dt.UTC
    )  # midnight in Berlin

    before = planted.rows("select a::text from ads.anomalies as a order by 1")
    log = planted.rows("select l::text from ads_internal.anomaly_log as l order by 1")
    planted.run(day(D + 4))
    assert planted.rows("select a::text from ads.anomalies as a order by 1") == before
    assert planted.rows("select l::text from ads_internal.anomaly_log as l order by 1") == log
    assert planted.rows("select as_of, status, last_day from ads_internal.anomaly_log order by as_of") == [
        (day(D), "active", day(D)),
        (day(D + 2), "active", day(D + 2)),
        (day(D + 3), "active", day(D + 2)),
        (day(D + 4), "resolved", day(D + 2)),
    ]

    planted.times("c1", "volume", day(D + 6), day(D + 6), 2.6)
    planted.run(day(D + 6))
    assert states(planted) == [
        ("c1", "spend_spike", day(D), day(D + 2), "resolved"),
        ("c1", "spend_spike", day(D + 6), day(D + 6), "active"),
    ]


def test_restated_data_withdraw_an_incident_and_bring_it_back(planted: Planted) -> None:
    wrong = planted.times("c2", "volume", day(D), day(D + 5), 2.6)
    planted.run(day(D))
    (raised,) = planted.anomalies()

    planted.plans.remove(wrong)
    planted.run(day(D + 1))
    assert states(planted) == [("c2", "spend_spike", day(D), day(D), "withdrawn")]
    planted.run(day(D + 1))
    assert states(planted) == [("c2", "spend_spike", day(D), day(D), "withdrawn")]

    planted.plant(wrong)
    planted.run(day(D + 2))
    (back,) = planted.anomalies()
    assert (back["id"], back["status"], back["day"], back["last_day"]) == (
        raised["id"],
        "active",
        day(D),
        day(D + 2),
    )


def test_an_acknowledged_incident_stays_acknowledged_until_it_ends(planted: Planted) -> None:
    planted.times("c1", "volume", day(D), day(D + 1), 2.6)
    planted.run(day(D))
    planted.decide("update ads.anomalies set status = 'acknowledged' where status = 'active'")
    planted.run(day(D + 1))
    (row,) = planted.anomalies()
    assert (row["status"], row["last_day"]) == ("acknowledged", day(D + 1))
    assert row["acknowledged_by"] and row["acknowledged_at"]
    planted.run(day(D + 3))
    (row,) = planted.anomalies()
    assert row["status"] == "resolved"
    assert row["acknowledged_by"]


def test_days_without_data_neither_end_nor_withdraw_an_incident(planted: Planted) -> None:
    planted.times("c1", "volume", day(D), day(D), 2.6)
    planted.run(day(D))
    planted.missing = {("c1", day(D + later)) for later in range(4)}
    planted.run(day(D + 3))
    assert states(planted) == [("c1", "spend_spike", day(D), day(D), "active")]


def test_the_change_log_explains_what_people_did(planted: Planted) -> None:
    planted.times(("c1", "c2", "c3"), "volume", day(D), day(D + 1), 2.6)
    planted.changes = [
        ("c1", day(D), "daily_budget", "400", "1000"),
        ("c2", day(D - 1), "daily_budget", "440", "500"),  # 14 %: explains nothing
        ("c3", day(D - 3), "daily_budget", "480", "1200"),  # three days before
    ]
    planted.run(day(D + 1))
    assert {row["platform_id"]: row["explained_by"] for row in planted.anomalies()} == {
        "c1": "change_log", "c2": None, "c3": None,
    }  # fmt: skip


def test_a_stopped_campaign_is_a_spend_drop_and_a_paused_week_is_nothing(planted: Planted) -> None:
    planted.times("c1", "volume", day(D), day(D + 9), 0)
    planted.statuses = lambda campaign, date: (
        "paused" if campaign.campaign_id == "c2" and day(D - 7) <= date < day(D) else "active"
    )
    planted.run(day(D + 1))
    (row,) = planted.anomalies()
    assert (row["platform_id"], row["anomaly_type"], row["observed"]) == ("c1", "spend_drop", 0)
    assert float(row["expected"]) == pytest.approx(150, rel=0.1)


def test_an_outage_of_one_account_is_one_incident_with_its_campaigns_below(planted: Planted) -> None:
    planted.times(CAMPAIGNS[:3], "cvr", day(D), day(D + 2), 0)
    planted.run(day(D + 1))
    shown = [row for row in planted.anomalies() if row["parent_id"] is None]
    assert [
        (row["level"], row["platform_id"], row["anomaly_type"], row["is_tracking_outage"]) for row in shown
    ] == [("account", "act_1", "conversion_drop", True)]
    children = [row for row in planted.anomalies() if row["parent_id"] is not None]
    assert {row["parent_id"] for row in children} == {shown[0]["id"]}
    assert {row["platform_id"] for row in children} == set(CAMPAIGNS[:3])

    planted.run(day(D + 4))
    assert {row["status"] for row in planted.anomalies()} == {"resolved"}
    assert {row["parent_id"] for row in planted.anomalies("level = 'campaign'")} == {shown[0]["id"]}


def test_what_moves_all_campaigns_is_the_tenants_incident_alone(planted: Planted) -> None:
    planted.times(CAMPAIGNS, "volume", day(D), day(D), 2.2)
    planted.run(day(D))
    shown = [row for row in planted.anomalies() if row["parent_id"] is None]
    assert [(row["level"], row["platform"], row["platform_id"], row["anomaly_type"]) for row in shown] == [
        ("tenant", "all", TENANT, "spend_spike")
    ]


def test_switched_off_detection_leaves_the_list_alone(planted: Planted) -> None:
    planted.times("c1", "volume", day(D), day(D + 1), 2.6)
    planted.run(day(D))
    before = planted.anomalies()
    planted.decide(
        "insert into ads.platform_configs (tenant_id, platform, anomaly_detection_enabled) values (%s, 'meta', false)",
        (TENANT,),
    )
    planted.run(day(D + 1))
    assert planted.anomalies() == before


def test_the_function_writes_what_the_build_would(planted: Planted) -> None:
    planted.times("c1", "volume", day(D - 3), day(D - 2), 2.6)
    planted.times("c2", "ctr", day(D), day(D), 0.3)
    planted.run(day(D - 2))
    before = planted.by_build("anomalies")
    planted.run(day(D), lists=False)
    assert planted.by_build("anomalies") == before
    written = planted.by_function("detect_anomalies", "anomalies")
    planted.run(day(D))
    assert planted.by_build("anomalies") == written
    assert [row[4] for row in states(planted)] == ["resolved", "active"]


def test_a_later_day_changes_no_earlier_flag(planted: Planted) -> None:
    planted.times("c1", "volume", day(D), day(D + 1), 2.6)
    planted.times("c3", "cvr", day(D - 4), day(D - 2), 0.1)
    planted.times("c5", "order_value", day(D - 3), day(D), 0.3)
    planted.run(day(D))
    before = planted.flags()
    assert len(before) >= 6
    planted.run(day(D + 1))
    assert [flag for flag in planted.flags() if flag[4] <= day(D)] == [
        flag for flag in before if flag[4] > day(D + 1 - 28)
    ]


def test_another_currency_changes_no_flag(planted: Planted) -> None:
    planted.times("c1", "volume", day(D), day(D + 1), 2.6)
    planted.times("c3", "cvr", day(D - 4), day(D - 2), 0.1)
    planted.times("c5", "order_value", day(D - 3), day(D), 0.3)
    planted.run(day(D))
    before = planted.flags()
    severities = [row["severity"] for row in planted.anomalies()]
    planted.forget()
    for campaign_id in CAMPAIGNS:
        planted.change(campaign_id, money=161.3)
    planted.run(day(D))
    assert [flag[:5] for flag in planted.flags()] == [flag[:5] for flag in before]
    assert [row["severity"] for row in planted.anomalies()] == severities


def test_half_the_clicks_of_a_tiny_campaign_are_nothing(planted: Planted) -> None:
    planted.add(Campaign("tiny", impressions=500, ctr=0.02, spend=5, daily_budget=8, cvr=0.02))
    planted.times("tiny", "ctr", day(D), day(D), 0.5)
    planted.run(day(D))
    assert planted.anomalies() == []


def test_a_new_campaign_is_not_tested_before_its_tenth_day(planted: Planted) -> None:
    planted.add(Campaign("young", start=day(D - 9)), Campaign("older", start=day(D - 16)))
    planted.times(("young", "older"), "volume", day(D), day(D), 4)
    planted.run(day(D))
    assert [row["platform_id"] for row in planted.anomalies()] == ["older"]


def test_flat_series_raise_next_to_nothing(built: Any) -> None:
    """150 flat campaigns of every size, 28 days judged: fewer than 0.05 false alarms a campaign and month."""
    series = Planted(built)
    for number in range(150):
        size = 10 ** (number % 7 / 3)
        series.add(
            Campaign(
                f"flat{number}", account_id=f"act_{number % 6}", impressions=1500 * size, spend=15 * size,
                daily_budget=40 * size, cvr=0.03, spread=0.15,
            )
        )  # fmt: skip
    try:
        series.run(day(DAYS_BACK))
        incidents = series.anomalies("level = 'campaign'")
        assert len(incidents) < 0.05 * 150 * 28 / 30, states(series)
    finally:
        series.forget()
