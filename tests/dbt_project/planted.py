"""A small planted series for detectors and rules, put where they read: the intermediate tables of one as-of day.

`Planted` holds a warehouse whose project was built once on nothing. A test describes campaigns day by day, says what
went wrong, and moves the as-of day on; only detectors, rules and what follows them are built, as in a daily run.
Figures are a function of campaign and day alone, so two as-of days see the same past unless a test restates it.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from flows.transform import run_dbt

TENANT = "dddddddd-0000-4000-8000-000000000004"
CURRENCY = "EUR"
TIMEZONE = "Europe/Berlin"
START = dt.date(2026, 1, 5)
DAYS_BACK = 120

INPUTS = (
    "int_run__as_of",
    "int_metrics__entity_days",
    "int_entities__as_of",
    "int_entities__changes",
    "int_config__effective",
    "int_entities__targets",
)

# The nodes between the described tables and each list.
ANOMALIES = ("+anomalies,int_anomalies__configured+", "+anomalies,int_anomalies__series+")
RECOMMENDATIONS = ("+optimization_recommendations,int_recommendations__days+",)
OUTAGES = ("+int_anomalies__scores,int_anomalies__series+",)
LISTS = ("anomalies", "optimization_recommendations")

Figures = dict[str, float]
Change = Callable[["Campaign", dt.date, Figures], None]


@dataclass(frozen=True)
class Campaign:
    """A flat campaign: what it spends and earns on an ordinary day, with counts drawn around that."""

    campaign_id: str
    account_id: str = "act_1"
    platform: str = "meta"
    spend: float = 200.0
    impressions: float = 20000.0
    ctr: float = 0.02
    cvr: float = 0.015
    order_value: float = 60.0
    status: str = "active"
    status_since: dt.date | None = None
    daily_budget: float | None = 250.0
    target_metric: str = "roas"
    target: float = 1.8
    target_source: str = "entity"
    start: dt.date = START
    money: float = 1.0
    spread: float = 0.05

    @property
    def name(self) -> str:
        return f"Campaign {self.campaign_id}"


@dataclass
class Planted:
    """One tenant's campaigns, what is planted into them, and the as-of day they are judged on."""

    warehouse: Any
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    plans: list[Change] = field(default_factory=list)
    changes: list[tuple[str, dt.date, str, str | None, str | None]] = field(default_factory=list)
    statuses: Callable[[Campaign, dt.date], str] = lambda campaign, day: campaign.status
    fx_rate: float = 1.0
    last_day: dt.date | None = None
    missing: set[tuple[str, dt.date]] = field(default_factory=set)
    select: tuple[str, ...] = ANOMALIES

    # -- describing -----------------------------------------------------------------------------------------

    def add(self, *campaigns: Campaign) -> None:
        for campaign in campaigns:
            self.campaigns[campaign.campaign_id] = campaign

    def change(self, campaign_id: str, **fields: Any) -> None:
        self.campaigns[campaign_id] = replace(self.campaigns[campaign_id], **fields)

    def plant(self, plan: Change) -> None:
        self.plans.append(plan)

    def times(
        self, campaign_ids: str | Iterable[str], metric: str, first: dt.date, last: dt.date, factor: float
    ) -> Change:
        """Multiply a figure (`volume`: spend and impressions) on some days; returns the plan, to be taken back."""
        metrics = ("spend", "impressions") if metric == "volume" else (metric,)
        wanted = {campaign_ids} if isinstance(campaign_ids, str) else set(campaign_ids)

        def plan(campaign: Campaign, day: dt.date, figures: Figures) -> None:
            if campaign.campaign_id in wanted and first <= day <= last:
                for name in metrics:
                    figures[name] *= factor

        self.plant(plan)
        return plan

    # -- building -------------------------------------------------------------------------------------------

    def run(self, as_of: dt.date, *, lists: bool = True) -> None:
        """Describe the world as of a day and build up to the list; without `lists` all but that, as a function finds it."""
        self.describe(as_of)
        arguments = ["run", "--target", "prod", "--select", *self.select]
        if not lists:
            arguments += ["--exclude", *LISTS]
        result = run_dbt(self.warehouse.database.connections(), arguments)
        assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]

    def describe(self, as_of: dt.date) -> None:
        """Fill the tables that detectors and rules read."""
        days = [as_of - dt.timedelta(days=back) for back in range(DAYS_BACK - 1, -1, -1)]
        with self.warehouse.connect("transformer") as connection:
            for name in INPUTS:
                connection.execute(f"truncate intermediate.{name}")
            connection.execute(
                "insert into intermediate.int_run__as_of (tenant_id, as_of, currency, timezone) values (%s, %s, %s, %s)",
                (TENANT, as_of, CURRENCY, TIMEZONE),
            )
            connection.execute(
                """
                insert into intermediate.int_config__effective
                select %s, p.platform, c.*
                from unnest(array['meta', 'tiktok', 'google', 'pinterest', 'shopify']) as p (platform)
                cross join lateral tenancy.effective_config(%s, p.platform) as c
                """,
                (TENANT, TENANT),
            )
            with connection.cursor().copy(
                """
                copy intermediate.int_metrics__entity_days (
                    tenant_id, platform, account_id, level, platform_id, campaign_id, adset_id, day, as_of, currency,
                    spend, impressions, clicks, link_clicks, decision_clicks, conversions, conversion_value, reach,
                    frequency, maturity, delivery, status, daily_budget, age_days, fx_rate, first_day
                ) from stdin
                """
            ) as rows:
                for row in self._entity_days(days, as_of):
                    rows.write_row(row)
            for campaign in self.campaigns.values():
                self._entity(connection, campaign)
            for campaign_id, day, name, old, new in self.changes:
                if day <= as_of:
                    campaign = self.campaigns[campaign_id]
                    connection.execute(
                        """
                        insert into intermediate.int_entities__changes (
                            tenant_id, platform, level, platform_id, account_id, day, field, old_value, new_value
                        ) values (%s, %s, 'campaign', %s, %s, %s, %s, %s, %s)
                        """,
                        (TENANT, campaign.platform, campaign_id, campaign.account_id, day, name, old, new),
                    )

    def _entity(self, connection: psycopg.Connection[Any], campaign: Campaign) -> None:
        connection.execute(
            """
            insert into intermediate.int_entities__as_of (
                tenant_id, platform, level, platform_id, account_id, campaign_id, name, status, status_since, daily_budget,
                budget_level, currency, timezone, target_roas, target_cpa, first_day
            ) values (%s, %s, 'campaign', %s, %s, %s, %s, %s, %s, %s, 'campaign', %s, %s, %s, %s, %s)
            """,
            (
                TENANT,
                campaign.platform,
                campaign.campaign_id,
                campaign.account_id,
                campaign.campaign_id,
                campaign.name,
                campaign.status,
                campaign.status_since,
                None if campaign.daily_budget is None else campaign.daily_budget * campaign.money,
                CURRENCY,
                TIMEZONE,
                campaign.target if campaign.target_metric == "roas" else None,
                campaign.target if campaign.target_metric == "cpa" else None,
                campaign.start,
            ),
        )
        connection.execute(
            """
            insert into intermediate.int_entities__targets (
                tenant_id, platform, level, platform_id, target_metric, target, target_source, currency
            ) values (%s, %s, 'campaign', %s, %s, %s, %s, %s)
            """,
            (
                TENANT,
                campaign.platform,
                campaign.campaign_id,
                campaign.target_metric,
                campaign.target,
                campaign.target_source,
                CURRENCY,
            ),
        )

    def figures(self, campaign: Campaign, day: dt.date) -> Figures:
        """The figures of one day, the same whenever they are asked for."""
        chance = random.Random(f"{campaign.campaign_id}|{day}")
        rates: Figures = {
            "spend": campaign.spend * math.exp(chance.gauss(0, campaign.spread)),
            "impressions": campaign.impressions * math.exp(chance.gauss(0, campaign.spread)),
            "ctr": campaign.ctr,
            "cvr": campaign.cvr,
            "order_value": campaign.order_value * math.exp(chance.gauss(0, campaign.spread)),
        }
        for plan in self.plans:
            plan(campaign, day, rates)
        clicks = _count(chance, rates["impressions"] * rates["ctr"])
        conversions = _count(chance, clicks * rates["cvr"])
        return {
            "spend": round(rates["spend"], 2),
            "impressions": round(rates["impressions"]),
            "clicks": clicks,
            "conversions": conversions,
            "value": round(conversions * rates["order_value"], 2),
        }

    def _entity_days(self, days: list[dt.date], as_of: dt.date) -> Iterable[tuple[Any, ...]]:
        totals: dict[tuple[str, str, dt.date], Figures] = {}
        starts: dict[tuple[str, str], dt.date] = {}
        money: dict[tuple[str, str], float] = {}
        for campaign in self.campaigns.values():
            account = (campaign.platform, campaign.account_id)
            starts[account] = min(starts.get(account, campaign.start), campaign.start)
            money[account] = campaign.money
            for day in days:
                if day < campaign.start:
                    continue
                status = self.statuses(campaign, day)
                figures = self.figures(campaign, day)
                delivery = "delivered"
                if status != "active":
                    delivery, figures = "paused", dict.fromkeys(figures, 0)
                elif figures["impressions"] == 0:
                    delivery, figures = "zero", dict.fromkeys(figures, 0)
                if (campaign.campaign_id, day) in self.missing:
                    delivery = "missing"
                total = totals.setdefault((*account, day), dict.fromkeys(figures, 0.0))
                for name, value in figures.items():
                    total[name] += value
                yield self._row(
                    campaign.platform, campaign.account_id, "campaign", campaign.campaign_id, campaign.campaign_id, day,
                    as_of, figures, delivery, status, campaign.daily_budget, campaign.start, campaign.money,
                )  # fmt: skip
        for (platform, account_id, day), figures in totals.items():
            yield self._row(
                platform, account_id, "account", account_id, None, day, as_of, figures, "delivered", "active", None,
                starts[platform, account_id], money[platform, account_id],
            )  # fmt: skip

    def _row(
        self, platform: str, account_id: str, level: str, platform_id: str, campaign_id: str | None, day: dt.date,
        as_of: dt.date, figures: Figures, delivery: str, status: str, budget: float | None, start: dt.date, money: float,
    ) -> tuple[Any, ...]:  # fmt: skip
        known = delivery != "missing"
        return (
            TENANT, platform, account_id, level, platform_id, campaign_id, None, day, as_of, CURRENCY,
            round(figures["spend"] * money, 6) if known else None,
            int(figures["impressions"]) if known else None,
            int(figures["clicks"]) if known else None,
            int(figures["clicks"]) if known else None,
            int(figures["clicks"]) if known else None,
            figures["conversions"] if known else None,
            round(figures["value"] * money, 6) if known else None,
            None, None, 1, delivery, status, None if budget is None else budget * money, (day - start).days,
            self.fx_rate / money, start,
        )  # fmt: skip

    # -- reading --------------------------------------------------------------------------------------------

    def rows(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(query, parameters)  # type: ignore[no-any-return]

    def anomalies(self, where: str = "true") -> list[dict[str, Any]]:
        return self._dicts(
            f"select * from ads.anomalies where {where} order by day, level, platform_id, anomaly_type"
        )

    def recommendations(self, where: str = "true") -> list[dict[str, Any]]:
        return self._dicts(
            f"select * from ads.optimization_recommendations where {where} order by platform_id, as_of, recommendation_type"
        )

    def flags(self) -> list[tuple[Any, ...]]:
        return self.rows(
            """
            select level, platform_id, anomaly_type, metric, day, round(score, 3)
            from ads_internal.anomaly_days
            order by level, platform_id, anomaly_type, metric, day
            """
        )

    def _dicts(self, query: str) -> list[dict[str, Any]]:
        with self.warehouse.connect(row_factory=psycopg.rows.dict_row) as connection:
            return connection.execute(query).fetchall()  # type: ignore[no-any-return]

    def by_function(self, function: str, table: str) -> list[tuple[Any, ...]]:
        """The rows of a list after its function ran as a buyer of the tenant; taken back at once."""
        with psycopg.connect(self.warehouse.tenant_url(TENANT, "buyer"), connect_timeout=10) as connection:
            connection.execute(f"select ads.{function}(%s)", (TENANT,))
            rows = connection.execute(
                f"select to_jsonb(t) - 'created_at' from ads.{table} as t order by id"
            ).fetchall()
            connection.rollback()
        return rows

    def by_build(self, table: str) -> list[tuple[Any, ...]]:
        return self.rows(f"select to_jsonb(t) - 'created_at' from ads.{table} as t order by id")

    def decide(self, statement: str, parameters: Any = None) -> None:
        """As a buyer of the tenant, with a login of their own."""
        with psycopg.connect(self.warehouse.tenant_url(TENANT, "buyer"), connect_timeout=10) as connection:
            connection.execute(statement, parameters)

    def forget(self) -> None:
        """An empty pair of lists and the default configuration, for the next test on the same warehouse."""
        with self.warehouse.connect() as connection:
            connection.execute(
                "truncate ads.anomalies, ads_internal.anomaly_log, ads.optimization_recommendations"
            )
            connection.execute("truncate intermediate.int_anomalies__scores")
            connection.execute("delete from ads.platform_configs where tenant_id = %s", (TENANT,))


def _count(chance: random.Random, mean: float) -> int:
    """A Poisson count around the mean; above 50 by the normal approximation."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    total, limit, count = 1.0, math.exp(-mean), 0
    while True:
        total *= chance.random()
        if total <= limit:
            return count
        count += 1


def prepare(warehouse: Any) -> None:
    """The tenant, and what the lists are made of, built once on no figures."""
    with warehouse.connect() as connection:
        connection.execute(
            "insert into tenancy.tenants (tenant_id, name, currency, timezone) values (%s, 'Planted', %s, %s)",
            (TENANT, CURRENCY, TIMEZONE),
        )
    arguments = ["run", "--target", "prod", "--select", *(f"+{name}" for name in LISTS)]
    result = run_dbt(warehouse.database.connections(), arguments)
    assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]


def day(number: int) -> dt.date:
    """Day `number` of the series (0 = START)."""
    return START + dt.timedelta(days=number)
