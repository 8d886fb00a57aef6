"""The ledger: what followed advice brought, against the same figures added up here."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from planted import TENANT, Campaign, Planted, day, prepare

from flows.transform import run_dbt

D = 70
MODELS = (
    "int_outcomes__recommendations",
    "recommendation_outcomes",
    "int_history__recommendation_outcomes",
    "rule_outcomes",
)


@pytest.fixture(scope="module")
def built(new_warehouse: Callable[..., Any], dbt_folder: Path) -> Iterator[Any]:
    warehouse = new_warehouse()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        prepare(warehouse)
        run_dbt(warehouse.database.connections(), ["run", "--target", "prod", "--select", *MODELS])
    yield warehouse


class Ledger(Planted):
    def follow(self, campaign_id: str, rule: str, kind: str, **columns: Any) -> None:
        """Advice on a campaign, followed on day D: said by a person (applied_at) or seen in the change log."""
        import json

        row = {
            "tenant_id": TENANT, "recommendation_key": f"{campaign_id}{rule}", "as_of": day(D - 1), "platform": "meta",
            "account_id": "act_1", "level": "campaign", "platform_id": campaign_id, "rule_id": rule,
            "recommendation_type": kind, "description": "x", "rationale": "x", "action": "{}",
            "evidence": json.dumps({"target_metric": "roas", "target": 1.8, "cv2": 0.3}), "estimated_impact": 500,
            "currency": "EUR", "confidence": 0.9, "priority": "high", "status": "applied",
            "expires_at": "2099-01-01", "applied_at": dt.datetime.combine(day(D), dt.time(12), dt.UTC), **columns,
        }  # fmt: skip
        with self.warehouse.connect("transformer") as connection:
            connection.execute(
                f"insert into ads.optimization_recommendations ({', '.join(row)})"
                f" values ({', '.join(['%s'] * len(row))})",
                list(row.values()),
            )

    def outcomes(self) -> dict[tuple[str, int], dict[str, Any]]:
        return {
            (row[0]["platform_id"], row[1]): row[0]
            for row in self.rows("select outcome, horizon_days from history.recommendation_outcomes")
        }

    def totals(self, campaign_id: str, first: int, last: int) -> dict[str, float]:
        campaign = self.campaigns[campaign_id]
        rows = [self.figures(campaign, day(n)) for n in range(first, last + 1)]
        active = [row for n, row in enumerate(rows, first) if self.statuses(campaign, day(n)) == "active"]
        return {name: sum(row[name] for row in active) for name in ("spend", "value", "conversions")}


@pytest.fixture
def ledger(built: Any) -> Iterator[Ledger]:
    series = Ledger(built, select=MODELS)
    series.add(
        Campaign("advised", spread=0.1),
        Campaign("one", spread=0.1),
        Campaign("two", spread=0.1, account_id="act_2"),
    )
    yield series
    series.forget()
    with built.connect() as connection:
        connection.execute("delete from history.recommendation_outcomes")


def expected_gain(
    ledger: Ledger, horizon: int, others: tuple[str, ...] = ("one", "two")
) -> tuple[float, float]:
    """Gain in 30 days, and the drift of comparable campaigns."""
    before, after = (ledger.totals("advised", *span) for span in ((D - 28, D - 1), (D + 1, D + horizon)))
    rest = [
        {name: sum(ledger.totals(one, *span)[name] for one in others) for name in before}
        for span in ((D - 28, D - 1), (D + 1, D + horizon))
    ]
    drift = (rest[1]["value"] / rest[1]["spend"]) / (rest[0]["value"] / rest[0]["spend"]) if others else 1
    gain = 30 * (
        (after["value"] / 1.8 - after["spend"]) / horizon
        - (before["value"] / 1.8 * drift - before["spend"]) / 28
    )
    return gain, drift


def test_outcomes_come_after_7_14_and_28_days_and_are_written_once(ledger: Ledger) -> None:
    ledger.times("advised", "order_value", day(0), day(300), 2)
    ledger.times("advised", "volume", day(D + 1), day(300), 3)
    ledger.follow("advised", "rec_increase_budget", "budget_increase")
    ledger.run(day(D + 6))
    assert ledger.outcomes() == {}
    ledger.run(day(D + 7))
    first = ledger.outcomes()
    assert set(first) == {("advised", 7)}
    ledger.times(
        "advised", "order_value", day(D), day(300), 0.1
    )  # what is restated later does not rewrite the ledger
    ledger.run(day(D + 8))
    assert ledger.outcomes() == first
    ledger.plans.pop()
    ledger.run(day(D + 28))
    got = ledger.outcomes()
    assert set(got) == {("advised", 7), ("advised", 14), ("advised", 28)}
    for horizon in (7, 14, 28):
        gain, drift = expected_gain(ledger, horizon)
        row = got["advised", horizon]
        assert row["gain"] == pytest.approx(gain, abs=0.02)
        assert row["drift"] == pytest.approx(drift, abs=1e-4)
        assert row["comparable_campaigns"] == 2
        assert row["was_right"] is True
        assert row["gain_interval"][0] < row["gain"] < row["gain_interval"][1]
    assert got["advised", 28]["is_beyond_doubt"] is True


def test_a_pause_is_right_where_the_campaign_lost_money_and_wrong_where_it_earned(ledger: Ledger) -> None:
    ledger.statuses = lambda campaign, on: (
        "paused" if campaign.campaign_id == "advised" and on > day(D) else "active"
    )
    ledger.follow("advised", "rec_pause_campaign", "pause")
    ledger.times("advised", "order_value", day(0), day(300), 0.4)
    ledger.run(day(D + 14))
    row = ledger.outcomes()["advised", 14]
    assert row["spend_after_a_day"] == 0
    assert row["gain"] == pytest.approx(expected_gain(ledger, 14)[0], abs=0.02)
    assert (row["was_right"], row["is_beyond_doubt"]) == (True, True)

    with ledger.warehouse.connect() as connection:
        connection.execute("delete from history.recommendation_outcomes")
    ledger.plans.clear()
    ledger.times("advised", "order_value", day(0), day(300), 3)
    ledger.run(day(D + 14))
    assert ledger.outcomes()["advised", 14]["was_right"] is False


def test_what_happened_to_everybody_is_not_the_advices_doing(ledger: Ledger) -> None:
    ledger.follow("advised", "rec_refresh_creative", "creative")
    ledger.times(("advised", "one", "two"), "cvr", day(D + 1), day(300), 0.5)
    ledger.times("advised", "cvr", day(D + 1), day(300), 1.4)
    ledger.run(day(D + 28))
    row = ledger.outcomes()["advised", 28]
    assert row["worth_after_a_day"] < row["worth_before_a_day"]
    assert row["drift"] == pytest.approx(0.5, abs=0.12)
    assert row["was_right"] is True


def test_a_campaign_that_was_changed_itself_is_no_comparison(ledger: Ledger) -> None:
    ledger.follow("advised", "rec_increase_budget", "budget_increase")
    ledger.changes = [("one", day(D - 3), "daily_budget", "200", "300")]
    ledger.run(day(D + 7))
    row = ledger.outcomes()["advised", 7]
    assert row["comparable_campaigns"] == 1
    assert row["gain"] == pytest.approx(expected_gain(ledger, 7, ("two",))[0], abs=0.02)
    ledger.changes = []


def test_the_change_logs_day_counts_and_rows_without_a_target_say_so(ledger: Ledger) -> None:
    seen = dt.datetime.combine(day(D + 2), dt.time(23), dt.UTC)  # Berlin's midnight after day D + 2
    ledger.follow(
        "advised",
        "rec_increase_budget",
        "budget_increase",
        observed_at=seen,
        status="expired",
        applied_at=None,
    )
    ledger.follow("one", "rec_increase_budget", "budget_increase", evidence="{}")
    ledger.follow("two", "rec_increase_budget", "budget_increase", status="rejected")
    ledger.change("one", target=0)
    ledger.run(day(D + 8))
    got = ledger.outcomes()
    assert set(got) == {("one", 7)}
    assert (got["one", 7]["was_right"], got["one", 7]["gain"]) == (None, None)
    assert got["one", 7]["reason"].startswith("Nothing is known")
    ledger.run(day(D + 9))
    assert ledger.outcomes()["advised", 7]["done_on"] == str(day(D + 2))


def test_per_rule_how_often_advice_was_right(ledger: Ledger) -> None:
    ledger.times("advised", "order_value", day(0), day(300), 2)
    ledger.times(("advised", "one"), "volume", day(D + 1), day(300), 1.5)
    ledger.times("one", "order_value", day(0), day(300), 0.5)
    ledger.follow("advised", "rec_increase_budget", "budget_increase")
    ledger.follow("one", "rec_increase_budget", "budget_increase")
    ledger.run(day(D + 28))
    got = ledger.rows(
        "select horizon_days, n_followed, n_right, share_right, gain, expected_gain from ads_internal.rule_outcomes"
        " where rule_id = 'rec_increase_budget' order by horizon_days"
    )
    assert [row[0] for row in got] == [7, 14, 28]
    outcomes = ledger.outcomes()
    for horizon, followed, right, share, gain, wanted in got:
        assert (followed, right, float(share), wanted) == (2, 1, 0.5, 1000)
        assert math.isclose(
            float(gain),
            outcomes["advised", horizon]["gain"] + outcomes["one", horizon]["gain"],
            abs_tol=0.001,
        )
