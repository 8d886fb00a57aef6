"""A small hand-made morning: one tenant whose marts are filled as a build would leave them. Figures are round on purpose.

As of Thu 19 Mar 2026, in CAD: Meta spends 100 a day in CAD and returns 4; a second Meta account spends 10 USD at a rate
of 1.5 and returns 2; TikTok spends 50 and returns 1.5 in the newest week, of which 80 % is known, and 3 before.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

AS_OF = date(2026, 3, 19)
SCRIPT = "CA | Retargeting <script>alert('x')</script> & more"
NAMESPACE = uuid.UUID("6f1d0c4e-0000-4000-8000-000000000000")


def uid(text: str) -> str:
    return str(uuid.uuid5(NAMESPACE, text))


def fill(warehouse: Any, tenant_id: str, days: int = 70) -> None:
    """Accounts, campaigns and daily figures of the tenant; incidents and advice come with their own functions."""
    with warehouse.connect("transformer") as connection:
        entities = [
            ("meta", "account", "1001", "1001", None, "Northwind CA", "CAD"),
            ("meta", "account", "1002", "1002", None, "Northwind US", "USD"),
            ("tiktok", "account", "2001", "2001", None, "Northwind TikTok", "CAD"),
            ("meta", "campaign", "11", "1001", "11", SCRIPT, "CAD"),
            ("meta", "campaign", "12", "1002", "12", "US | Prospecting | Tents", "USD"),
            ("tiktok", "campaign", "21", "2001", "21", "CA | Broad | Shoes", "CAD"),
            ("meta", "adset", "111", "1001", "11", "Visitors 30d", "CAD"),
        ]
        connection.cursor().executemany(
            """
            insert into ads.entities (tenant_id, platform, level, platform_id, account_id, campaign_id, name, currency)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [(tenant_id, *entity) for entity in entities],
        )
        rows, states = [], []
        for ago in range(days):
            day = AS_OF - timedelta(days=ago)
            new = ago < 7
            for platform, account, currency, rate, spend, roas, maturity in (
                ("meta", "1001", "CAD", "1", 100, "4", None),
                ("meta", "1002", "USD", "1.5", 10, "2", "1"),
                ("tiktok", "2001", "CAD", "1", 50, "1.5" if new else "3", "0.8" if new else "1"),
            ):
                value = spend * Decimal(roas)
                rows.append((
                    tenant_id, platform, account, day, account, currency, spend, value, 2, spend * Decimal(rate),
                    value * Decimal(rate), rate, maturity,
                ))  # fmt: skip
                states.append((tenant_id, platform, account, day))
        connection.cursor().executemany(
            """
            insert into ads.metrics_daily (
                tenant_id, platform, level, platform_id, day, account_id, currency, spend, conversion_value, conversions,
                spend_reporting, conversion_value_reporting, reporting_currency, fx_rate, maturity, data_status, source
            )
            values (%s, %s, 'account', %s, %s, %s, %s, %s, %s, %s, %s, %s, 'CAD', %s, %s, 'final', 'file')
            """,
            rows,
        )
        connection.cursor().executemany(
            "insert into ads.data_status (tenant_id, platform, account_id, day, state) values (%s, %s, %s, %s, 'final')",
            states,
        )
        connection.execute(
            """
            insert into ads.baselines (
                tenant_id, platform, level, platform_id, window_days, as_of, n_days, n_days_with_spend, is_sufficient,
                computed_at
            )
            values (%s, 'meta', 'account', '1001', 7, %s, 7, 7, true, now())
            """,
            (tenant_id, AS_OF),
        )


def incident(warehouse: Any, tenant_id: str, name: str, **changed: Any) -> str:
    """One row of ads.anomalies, by default a cost spike of the TikTok campaign; returns its id."""
    row: dict[str, Any] = {
        "tenant_id": tenant_id, "id": uid(tenant_id + name), "anomaly_key": name, "platform": "tiktok",
        "account_id": "2001", "level": "campaign", "platform_id": "21", "anomaly_type": "cost_spike", "metric": "cpa",
        "day": AS_OF - timedelta(days=2), "last_day": AS_OF, "observed": 60, "expected": 40, "deviation": Decimal("0.5"),
        "loss_per_day": 25, "currency": "CAD", "severity": "medium", "confidence": Decimal("0.9"), "known_as_of": AS_OF,
        **changed,
    }  # fmt: skip
    _insert(warehouse, "ads.anomalies", row)
    return str(row["id"])


def advice(warehouse: Any, tenant_id: str, name: str, **changed: Any) -> str:
    """One row of ads.optimization_recommendations, by default a raise for the US campaign; returns its id."""
    row: dict[str, Any] = {
        "tenant_id": tenant_id, "id": uid(tenant_id + name), "recommendation_key": name, "as_of": AS_OF, "platform": "meta",
        "account_id": "1002", "level": "campaign", "platform_id": "12", "rule_id": "rec_budget_increase",
        "recommendation_type": "budget_increase", "description": "Raise the daily budget from $10 to $12",
        "rationale": "It beats its target and spends its budget.",
        "action": '{"field": "daily_budget", "from": 10, "to": 12}', "evidence": '{"n": 42, "target_source": "entity"}',
        "estimated_impact": 200, "estimated_impact_low": 50, "estimated_impact_high": 400, "currency": "USD",
        "confidence": Decimal("0.85"), "priority": "high", "expires_at": datetime(2099, 1, 1, tzinfo=UTC), **changed,
    }  # fmt: skip
    _insert(warehouse, "ads.optimization_recommendations", row)
    return str(row["id"])


def _insert(warehouse: Any, table: str, row: dict[str, Any]) -> None:
    with warehouse.connect("transformer") as connection:
        connection.execute(
            f"insert into {table} ({', '.join(row)}) values ({', '.join(f'%({name})s' for name in row)})", row
        )
