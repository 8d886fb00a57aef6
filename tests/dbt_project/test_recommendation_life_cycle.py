"""From figures to advice, and what becomes of it from one as-of day to the next, with people deciding in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from planted import OUTAGES, RECOMMENDATIONS, TENANT, Campaign, Planted, day, prepare

D = 110


@pytest.fixture(scope="module")
def built(new_warehouse: Callable[..., Any], dbt_folder: Path) -> Iterator[Any]:
    warehouse = new_warehouse()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        prepare(warehouse)
    yield warehouse


@pytest.fixture
def planted(built: Any) -> Iterator[Planted]:
    """One campaign twice its target at its budget, one at a quarter, one on target; ordinary days bring a ROAS of 1.8."""
    series = Planted(built, select=RECOMMENDATIONS)
    series.add(
        Campaign("winner", target=0.9, daily_budget=205),
        Campaign("loser", target=7.2, account_id="act_2"),
        Campaign("steady", target=1.8, spend=1000, impressions=100000, daily_budget=1300),
    )
    yield series
    series.forget()


def open_ones(series: Planted) -> dict[str, tuple[str, str]]:
    return {
        row["platform_id"]: (row["recommendation_type"], row["status"])
        for row in series.recommendations("status in ('pending', 'approved')")
    }


def only(series: Planted, platform_id: str, where: str = "true") -> dict[str, Any]:
    (row,) = series.recommendations(f"platform_id = '{platform_id}' and {where}")
    return row


def test_advice_is_raised_refreshed_and_expires(planted: Planted) -> None:
    planted.run(day(D))
    assert open_ones(planted) == {"winner": ("budget_increase", "pending"), "loser": ("pause", "pending")}
    raised = only(planted, "winner")
    assert raised["action"] == {"field": "daily_budget", "from": 205, "to": 246}
    assert "Campaign winner" in raised["description"] and "EUR 246" in raised["description"]
    assert raised["evidence"]["target_source"] == "entity"
    assert raised["estimated_impact_low"] < raised["estimated_impact"] < raised["estimated_impact_high"]
    assert raised["expires_at"] == dt.datetime.combine(day(D + 2), dt.time(22), dt.UTC)  # 48 hours, Berlin
    assert raised["as_of"] == day(D)
    assert only(planted, "loser")["evidence"]["named_rules"] == []  # ROAS 1.8: bad, but no pause_low_roas

    before = planted.rows("select r::text from ads.optimization_recommendations as r order by 1")
    planted.run(day(D))
    assert planted.rows("select r::text from ads.optimization_recommendations as r order by 1") == before

    planted.run(day(D + 1))
    refreshed = only(planted, "winner")
    assert refreshed["id"] == raised["id"]
    assert refreshed["evidence"]["window_end"] == str(day(D + 1))
    assert (refreshed["description"], refreshed["expires_at"], refreshed["as_of"]) == (
        raised["description"], raised["expires_at"], raised["as_of"],
    )  # fmt: skip

    planted.run(day(D + 2))
    assert only(planted, "winner", "status = 'expired'")["id"] == raised["id"]
    again = only(planted, "winner", "status = 'pending'")
    assert (again["recommendation_key"], again["as_of"]) == (raised["recommendation_key"], day(D + 2))


def test_an_approved_one_survives_builds_until_it_expires(planted: Planted) -> None:
    planted.run(day(D))
    planted.decide(
        "update ads.optimization_recommendations set status = 'approved' where platform_id = 'winner'"
    )
    approved = only(planted, "winner")
    assert approved["decided_by"] and approved["approved_at"]

    planted.change("winner", target=1.8)  # the evidence is gone
    planted.run(day(D + 1))
    assert only(planted, "winner") == approved

    planted.run(day(D + 2))
    assert only(planted, "winner")["status"] == "expired"


def test_a_rejected_one_is_not_raised_again_before_its_evidence_changed(planted: Planted) -> None:
    planted.run(day(D))
    planted.decide(
        "update ads.optimization_recommendations set status = 'rejected', rejection_reason = 'no stock' "
        "where platform_id = 'winner'"
    )
    for later in (1, 2, 5):
        planted.run(day(D + later))
        assert "winner" not in open_ones(planted)

    planted.change("winner", target=0.7)  # now two and a half times its target
    planted.run(day(D + 6))
    assert only(planted, "winner", "status = 'pending'")["as_of"] == day(D + 6)
    assert only(planted, "winner", "status = 'rejected'")["rejection_reason"] == "no stock"


def test_an_applied_one_is_seen_in_the_change_log_and_given_time(planted: Planted) -> None:
    planted.run(day(D))
    planted.decide(
        "update ads.optimization_recommendations set status = 'applied', applied_at = now() "
        "where platform_id = 'winner' and status = 'pending'"
    )
    applied = only(planted, "winner")
    assert applied["approved_at"] and applied["decided_by"]
    planted.changes = [("winner", day(D + 1), "daily_budget", "205", "246")]
    planted.change("winner", daily_budget=246, spend=240, target=0.7)
    planted.run(day(D + 1))
    seen = only(planted, "winner")
    assert seen["status"] == "applied"
    assert seen["observed_at"] == dt.datetime.combine(day(D + 1), dt.time(22), dt.UTC)
    assert "winner" not in open_ones(planted)


def test_another_action_supersedes(planted: Planted) -> None:
    planted.run(day(D))
    first = only(planted, "winner")
    planted.change("winner", daily_budget=220)
    planted.run(day(D + 1))
    assert only(planted, "winner", "status = 'superseded'")["id"] == first["id"]
    second = only(planted, "winner", "status = 'pending'")
    assert second["action"]["from"] == 220
    assert second["recommendation_key"] == first["recommendation_key"]

    planted.change("winner", target=0.6)  # the same action, worth far more
    planted.run(day(D + 2))
    assert [row["status"] for row in planted.recommendations("platform_id = 'winner'")] == [
        "superseded", "superseded", "pending",
    ]  # fmt: skip


def test_worse_results_replace_a_cut_by_a_pause(planted: Planted) -> None:
    planted.change("loser", target=3.2)
    planted.run(day(D))
    assert open_ones(planted)["loser"] == ("budget_decrease", "pending")
    planted.change("loser", target=7.2)
    planted.run(day(D + 1))
    assert [(row["recommendation_type"], row["status"]) for row in planted.recommendations("platform_id = 'loser'")] == [
        ("budget_decrease", "superseded"), ("pause", "pending"),
    ]  # fmt: skip


def test_gone_evidence_expires_a_pending_one(planted: Planted) -> None:
    planted.run(day(D))
    planted.change("loser", target=1.8)
    planted.run(day(D + 1))
    assert only(planted, "loser")["status"] == "expired"


def test_a_snoozed_one_is_left_alone_until_it_wakes(planted: Planted) -> None:
    planted.run(day(D))
    planted.decide(
        "update ads.optimization_recommendations set snoozed_until = %s where platform_id = 'loser'",
        (dt.datetime.combine(day(D + 6), dt.time(), dt.UTC),),
    )
    snoozed = only(planted, "loser")
    planted.run(day(D + 4))  # it would have expired twice over
    assert only(planted, "loser") == snoozed
    planted.run(day(D + 6))
    assert only(planted, "loser", "status = 'expired'")["id"] == snoozed["id"]
    assert only(planted, "loser", "status = 'pending'")["as_of"] == day(D + 6)


def test_a_default_target_raises_no_advice_about_money(planted: Planted) -> None:
    for campaign_id in ("winner", "loser"):
        planted.change(campaign_id, target_source="default")
    planted.run(day(D))
    assert open_ones(planted) == {}
    planted.decide(
        "insert into ads.platform_configs (tenant_id, platform, legacy_rules) values (%s, 'meta', true)",
        (TENANT,),
    )
    planted.change("winner", order_value=130.0)  # ROAS 3.9
    planted.change("loser", order_value=25.0)  # ROAS 0.75
    planted.run(day(D))
    assert {row["platform_id"]: row["rule_id"] for row in planted.recommendations()} == {
        "winner": "rec_scale_high_roas", "loser": "rec_pause_low_roas",
    }  # fmt: skip


def test_an_outage_is_no_reason_to_pause(planted: Planted) -> None:
    planted.select = OUTAGES + RECOMMENDATIONS
    planted.change(
        "loser", target=10.8, cvr=0.06, impressions=30000
    )  # on target but for a week without conversions
    planted.times("loser", "cvr", day(D - 8), day(D - 1), 0)
    planted.run(day(D))
    assert "loser" not in open_ones(planted)
    (days,) = planted.rows(
        "select count(*) from intermediate.int_recommendations__days where campaign_id = 'loser' and is_outage"
    )
    assert days[0] >= 8


def test_the_function_writes_what_the_build_would(planted: Planted) -> None:
    planted.run(day(D))
    before = planted.by_build("optimization_recommendations")
    planted.change("winner", daily_budget=220)
    planted.run(day(D + 1), lists=False)
    assert planted.by_build("optimization_recommendations") == before
    written = planted.by_function("generate_recommendations", "optimization_recommendations")
    planted.run(day(D + 1))
    assert planted.by_build("optimization_recommendations") == written
    assert {row["status"] for row in planted.recommendations()} == {"pending", "superseded"}


def test_another_currency_changes_no_advice(planted: Planted) -> None:
    planted.run(day(D))
    before = [(row["platform_id"], row["rule_id"], row["priority"]) for row in planted.recommendations()]
    impact = only(planted, "winner")["estimated_impact"]
    planted.forget()
    for campaign_id in planted.campaigns:
        planted.change(campaign_id, money=161.3)
    planted.run(day(D))
    assert [
        (row["platform_id"], row["rule_id"], row["priority"]) for row in planted.recommendations()
    ] == before
    assert float(only(planted, "winner")["estimated_impact"]) == pytest.approx(
        161.3 * float(impact), rel=0.01
    )


def test_who_decides_during_the_build_waits_for_it(planted: Planted) -> None:
    """The model holds the table while it merges: a decision comes before or after it, never in between."""
    planted.run(day(D))
    url = planted.warehouse.tenant_url(TENANT, "buyer")
    with (
        planted.warehouse.connect("transformer") as build,
        psycopg.connect(url, connect_timeout=10) as person,
    ):
        build.execute("lock table ads.optimization_recommendations in share row exclusive mode")
        assert person.execute("select count(*) from ads.optimization_recommendations").fetchone() == (2,)
        person.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            person.execute("update ads.optimization_recommendations set status = 'approved'")
