"""Pacing of budgets and the reallocation between them, against the same figures computed here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from planted import TENANT, Campaign, Planted, day, prepare
from scipy import optimize

from flows.transform import run_dbt

AS_OF = dt.date(2026, 4, 20)  # a Monday; day 105 of the series
APRIL = (dt.date(2026, 4, 1), dt.date(2026, 4, 30))
VIEWS = ("budget_pacing", "budget_responses", "budget_moves", "budget_readouts")
WITHOUT = "12345678-0000-4000-8000-000000000007"  # a tenant without any figures


@pytest.fixture(scope="module")
def built(new_warehouse: Callable[..., Any], dbt_folder: Path) -> Iterator[Any]:
    warehouse = new_warehouse()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        prepare(warehouse)
        result = run_dbt(warehouse.database.connections(), ["run", "--target", "prod", "--select", *VIEWS])
        assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]
        with warehouse.connect() as connection:
            connection.execute(
                "insert into tenancy.tenants (tenant_id, name, currency) values (%s, 'Without', 'EUR')",
                (WITHOUT,),
            )
    yield warehouse


class Budgets(Planted):
    """Campaigns whose figures the marts hold as well, and budgets as a buyer writes them."""

    def set(self, campaign_id: str, budget: float, **columns: Any) -> None:
        row = {
            "tenant_id": TENANT, "platform": "meta", "campaign_id": campaign_id, "budget": budget,
            "period_start": APRIL[0], **columns,
        }  # fmt: skip
        with self.warehouse.connect("transformer" if row["tenant_id"] == WITHOUT else "admin") as connection:
            connection.execute(
                f"insert into ads.budget_allocation ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
                list(row.values()),
            )

    def look(self, as_of: dt.date = AS_OF, *, moves: bool = False) -> int:
        """Read the budgets as of a day. Only moves between them need a model built; the rest is views."""
        if moves:
            self.run(as_of)
        else:
            self.describe(as_of)
        with self.warehouse.connect() as connection:
            connection.execute("set local session_replication_role = replica")
            connection.execute("truncate ads.metrics_daily")
            connection.execute(
                """
                insert into ads.metrics_daily (
                    tenant_id, platform, level, platform_id, day, account_id, currency, data_status, source, spend,
                    conversions, conversion_value
                )
                select tenant_id, platform, level, platform_id, day, account_id, currency, 'final', 'file', spend,
                    conversions, conversion_value
                from intermediate.int_metrics__entity_days where delivery = 'delivered'
                """
            )
        return self.read_again()

    def read_again(self) -> int:
        with self.warehouse.connect("transformer") as connection:
            row = connection.execute("select ads_internal.refresh_budget_allocation()").fetchone()
            assert row is not None
            return int(row[0])

    def read(self, campaign_id: str) -> dict[str, Any]:
        (row,) = self._dicts(f"select * from ads.budget_allocation where campaign_id = '{campaign_id}'")
        return row

    def spend(self, campaign_id: str, first: dt.date, last: dt.date) -> dict[dt.date, float]:
        days = (first + dt.timedelta(days=n) for n in range((last - first).days + 1))
        return {one: self.figures(self.campaigns[campaign_id], one)["spend"] for one in days}


@pytest.fixture
def budgets(built: Any) -> Iterator[Budgets]:
    series = Budgets(built, select=("int_recommendations__days", *VIEWS))
    yield series
    series.forget()
    with built.connect() as connection:
        connection.execute("truncate ads.budget_allocation, ads.metrics_daily")


def weekly(first: dt.date, last: dt.date, factor: float, campaign_id: str) -> Any:
    """Weekends that spend `factor` times an ordinary day."""

    def plan(campaign: Campaign, on: dt.date, figures: dict[str, float]) -> None:
        if campaign.campaign_id == campaign_id and on.isoweekday() >= 6 and first <= on <= last:
            figures["spend"] *= factor

    return plan


def test_expectation_follows_the_weekdays(budgets: Budgets) -> None:
    budgets.add(Campaign("weekend", spread=0.02))
    budgets.plant(weekly(day(0), day(200), 2.0, "weekend"))
    budgets.set("weekend", 7800)
    budgets.look()
    got = budgets.read("weekend")

    pattern = budgets.spend("weekend", APRIL[0] - dt.timedelta(days=56), APRIL[0] - dt.timedelta(days=1))
    index = {w: np.mean([s for on, s in pattern.items() if on.isoweekday() == w]) for w in range(1, 8)}
    mean = np.mean(list(index.values()))
    weight = {
        APRIL[0] + dt.timedelta(days=n): index[(APRIL[0] + dt.timedelta(days=n)).isoweekday()] / mean
        for n in range(30)
    }
    elapsed = sum(w for on, w in weight.items() if on <= AS_OF)
    spent = sum(budgets.spend("weekend", APRIL[0], AS_OF).values())
    week = budgets.spend("weekend", AS_OF - dt.timedelta(days=6), AS_OF)
    pace = sum(week.values()) / sum(index[on.isoweekday()] / mean for on in week)

    assert float(got["spend_to_date"]) == pytest.approx(spent, abs=0.001)
    assert float(got["expected_to_date"]) == pytest.approx(7800 * elapsed / sum(weight.values()), rel=1e-6)
    assert float(got["pacing"]) == pytest.approx(spent / (7800 * elapsed / sum(weight.values())), rel=1e-5)
    assert float(got["projected_spend"]) == pytest.approx(
        spent + pace * (sum(weight.values()) - elapsed), rel=1e-6
    )
    assert got["pacing_status"] == "on_track"
    assert got["results"]["weekdays_from"] == "campaign"
    assert got["results"]["band"][0] == pytest.approx(1 - (0.25 - 0.2 * 20 / 30), abs=1e-4)
    assert budgets.read_again() == 0, "reading again changes nothing"


@pytest.mark.parametrize(("budget", "status"), [(4000, "over"), (6000, "on_track"), (9000, "under")])
def test_status(budgets: Budgets, budget: float, status: str) -> None:
    budgets.add(Campaign("c", spread=0.01))
    budgets.set("c", budget)
    budgets.look()
    assert budgets.read("c")["pacing_status"] == status
    budgets.change("c", status="paused")
    budgets.statuses = lambda campaign, on: "active" if on < AS_OF else "paused"
    budgets.look()
    got = budgets.read("c")
    assert got["pacing_status"] == ("unknown" if status == "under" else status)
    assert got["projected_spend"] == got["spend_to_date"]


def test_a_day_over_budget_is_legal_where_the_platform_says_so(budgets: Budgets) -> None:
    budgets.add(
        *(Campaign(p, platform=p, account_id=p, spread=0.001) for p in ("meta", "google", "pinterest"))
    )
    for platform in ("meta", "google", "pinterest"):
        budgets.times(platform, "volume", dt.date(2026, 4, 3), dt.date(2026, 4, 3), 1.7)
        budgets.set(platform, 6000, platform=platform)
    budgets.look(dt.date(2026, 4, 3))
    assert {p: budgets.read(p)["pacing_status"] for p in ("meta", "google", "pinterest")} == {
        "meta": "on_track", "google": "on_track", "pinterest": "over",
    }  # fmt: skip
    for platform in ("meta", "google", "pinterest"):
        budgets.times(platform, "volume", dt.date(2026, 4, 1), dt.date(2026, 4, 20), 1.6)
    budgets.look()
    assert {budgets.read(p)["pacing_status"] for p in ("meta", "google", "pinterest")} == {"over"}


def test_what_cannot_be_known_says_why(budgets: Budgets) -> None:
    budgets.add(Campaign("c"))
    budgets.set("c", 3000, period_start=AS_OF, period_end=AS_OF + dt.timedelta(days=9))
    budgets.set("future", 3000, period_start=dt.date(2026, 5, 1))
    budgets.set("nobody", 3000)
    budgets.set("elsewhere", 3000, tenant_id=WITHOUT, currency="EUR", period_end=APRIL[1])
    budgets.add(Campaign("dollars"), Campaign("nothing"))
    budgets.set("dollars", 3000, currency="XAF")
    budgets.set("nothing", 0)
    budgets.look()
    reasons = {
        one: (budgets.read(one)["pacing_status"], budgets.read(one)["results"]["reason"])
        for one in ("c", "future", "nobody", "elsewhere", "dollars", "nothing")
    }
    assert reasons == {
        "c": ("unknown", "One day says nothing about a pace."),
        "future": ("unknown", "No campaign future is known on meta."),
        "nobody": ("unknown", "No campaign nobody is known on meta."),
        "elsewhere": ("unknown", "No figures of this tenant are there yet."),
        "dollars": (
            "unknown", f"There is no rate from EUR to XAF on {APRIL[0]}, so spend cannot be held against the budget.",
        ),
        "nothing": ("over", "More was spent than the weekdays and the platform's leeway explain."),
    }  # fmt: skip
    assert budgets.read("dollars")["spend_to_date"] is None
    assert budgets.read("elsewhere")["spend_to_date"] is None
    assert budgets.read("elsewhere")["recommended_budget"] is None


def test_missing_days_are_not_held_against_a_campaign(budgets: Budgets) -> None:
    budgets.add(Campaign("c", spread=0.001), Campaign("whole", spread=0.001))
    budgets.missing = {("c", dt.date(2026, 4, n)) for n in range(5, 13)}
    budgets.set("c", 6000)
    budgets.set("whole", 6000)
    budgets.look()
    got, whole = budgets.read("c"), budgets.read("whole")
    assert float(got["pacing"]) == pytest.approx(float(whole["pacing"]), rel=0.01)
    assert got["results"]["days_missing"] == 8
    assert got["spend_to_date"] < whole["spend_to_date"]


def test_one_tenants_impossible_figures_stop_nobody(budgets: Budgets) -> None:
    budgets.add(Campaign("c"))
    budgets.set("c", 6000)
    budgets.set("huge", 6000, tenant_id=WITHOUT, currency="EUR", period_end=APRIL[1])
    budgets.look()
    with budgets.warehouse.connect() as connection:
        connection.execute(
            "insert into intermediate.int_run__as_of (tenant_id, as_of, currency, timezone) values (%s, %s, 'EUR', 'UTC')",
            (WITHOUT, AS_OF),
        )
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            """
            insert into ads.metrics_daily (
                tenant_id, platform, level, platform_id, day, account_id, currency, data_status, source, spend
            )
            select %s, 'meta', 'campaign', 'huge', d, 'x', 'EUR', 'final', 'file', 99999999999999
            from generate_series(%s::date, %s::date, interval '1 day') as d
            """,
            (WITHOUT, APRIL[0], AS_OF),
        )
    before = budgets.read("c")
    with budgets.warehouse.connect() as connection:
        connection.execute("update ads.budget_allocation set pacing_status = null where campaign_id = 'c'")
    budgets.read_again()
    assert budgets.read("c")["pacing_status"] == before["pacing_status"] == "on_track"
    huge = budgets.read("huge")
    assert (huge["pacing_status"], huge["spend_to_date"]) == ("unknown", None)
    assert huge["results"]["reason"] == "The figures cannot be computed: numeric field overflow."


def test_a_period_that_cannot_be_is_refused_and_one_that_stands_is_unknown(budgets: Budgets) -> None:
    budgets.add(Campaign("c"))
    with pytest.raises(
        psycopg.errors.CheckViolation, match="a budget cannot run from 2026-04-01 to 2099-01-01"
    ):
        budgets.set("c", 5, period_end=dt.date(2099, 1, 1))
    budgets.set("c", 6000)
    with budgets.warehouse.connect() as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute("update ads.budget_allocation set period_end = '9999-12-31'")
    budgets.look()
    assert budgets.read("c")["pacing_status"] == "unknown"
    assert budgets.read("c")["results"]["reason"] == "The period is longer than three years."


# -- reallocation -------------------------------------------------------------------------------------------


def plan_for_reallocation(budgets: Budgets, better: float = 6.0) -> None:
    budgets.add(
        Campaign("strong", spread=0.25, order_value=60 * better),
        Campaign("weak", spread=0.25, account_id="act_2"),
        Campaign("middle", spread=0.25, order_value=80),
    )
    for name, budget in (("strong", 6000), ("weak", 6000), ("middle", 6500)):
        budgets.set(name, budget)


def test_money_moves_to_where_the_next_of_it_earns_more(budgets: Budgets) -> None:
    plan_for_reallocation(budgets)
    budgets.look(moves=True)
    rows = {name: budgets.read(name) for name in ("strong", "weak", "middle")}
    assert sum(row["recommended_budget"] for row in rows.values()) == 18500
    assert rows["strong"]["recommended_budget"] > 6000
    assert rows["middle"]["recommended_budget"] < 6500, (
        "it has more left a day than the others, and returns less"
    )
    low, high = rows["strong"]["results"]["gain_interval"]
    gain = rows["strong"]["results"]["gain_of_all_moves"]
    assert 0 < low < gain < high

    left = 10.0
    curves, start, bounds = [], [], []
    for name, row in rows.items():
        found = row["results"]
        days = budgets.spend(name, AS_OF - dt.timedelta(days=59), AS_OF)
        weeks = [sum(list(days.values())[n - 6 : n + 1]) / 7 for n in range(6, 60)]
        assert found["most_spent_a_day"] == pytest.approx(max(weeks), rel=1e-4)
        daily = float(row["budget"] - row["spend_to_date"]) / left
        after = float(row["recommended_budget"] - row["spend_to_date"]) / left
        assert 0.8 * daily - 0.01 <= after <= 1.2 * daily + 0.01
        assert after <= 1.2 * max(weeks) + 0.01
        curves.append((found["daily_value"], found["daily_spend"], found["elasticity"]))
        start.append(daily)
        bounds.append((min(0.8 * daily, 1.2 * max(weeks)), min(1.2 * daily, 1.2 * max(weeks))))

    def value(spends: Any) -> float:
        return left * sum(
            v0 * (s / s0) / (b + (1 - b) * s / s0) for s, (v0, s0, b) in zip(spends, curves, strict=True)
        )

    published = optimize.minimize(
        lambda s: -value(s), start, bounds=bounds, method="SLSQP", options={"ftol": 1e-12, "maxiter": 500},
        constraints={"type": "eq", "fun": lambda s: sum(s) - sum(start)},
    )  # fmt: skip
    after = [float(row["recommended_budget"] - row["spend_to_date"]) / left for row in rows.values()]
    assert value(after) == pytest.approx(-published.fun, rel=1e-6)
    assert gain == pytest.approx(value(after) - value(start), rel=1e-3)
    assert sum(float(row["expected_return"]) for row in rows.values()) == pytest.approx(
        value(after), rel=1e-3
    )


def test_nothing_moves_without_a_gain_that_is_more_than_doubt(budgets: Budgets) -> None:
    plan_for_reallocation(budgets, better=1.0)
    budgets.add(Campaign("new", start=AS_OF - dt.timedelta(days=10)), Campaign("free", order_value=0))
    budgets.set("new", 6000)
    budgets.set("free", 6000)
    budgets.change("middle", order_value=60)
    budgets.look(moves=True)
    for name in ("strong", "weak", "middle"):
        row = budgets.read(name)
        assert row["recommended_budget"] == row["budget"], name
        assert row["results"]["reallocation"] == "None: no move has a gain that is more than doubt."
    assert budgets.read("new")["results"]["reallocation"] == "None: too few usable days."
    assert budgets.read("free")["results"]["reallocation"] == "None: no conversion value is reported."
    assert budgets.read("free")["recommended_budget"] is None


def test_budgets_nobody_ever_spent_are_not_moved(budgets: Budgets) -> None:
    plan_for_reallocation(budgets)
    for name in ("strong", "weak", "middle"):
        budgets.decide("update ads.budget_allocation set budget = 60000 where campaign_id = %s", (name,))
    budgets.look(moves=True)
    row = budgets.read("strong")
    assert row["recommended_budget"] is None
    assert (
        row["results"]["reallocation"]
        == "None: what is left of these budgets is more than their campaigns ever spent."
    )
