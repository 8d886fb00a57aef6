"""A/B tests on figures written straight into metrics_daily: only what reads tests is built, once, on nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from flows.transform import run_dbt

TENANT = "eeeeeeee-0000-4000-8000-000000000005"
OTHER = "ffffffff-0000-4000-8000-000000000006"
START = dt.date(2026, 3, 2)
MODELS = (
    "int_run__as_of",
    "int_config__effective",
    "int_history__entity_changes",
    "int_history__entity_snapshots",
    "int_entities__changes",
    "ab_test_variants",
    "ab_test_days",
    "ab_test_readouts",
)
COUNTS = ("impressions", "clicks", "link_clicks", "reach")


def day(number: int) -> dt.date:
    """Day `number` of a test (0 = its first)."""
    return START + dt.timedelta(days=number)


class Trials:
    """Two tenants; figures of ads by day; tests; and the day they are read on."""

    def __init__(self, warehouse: Any) -> None:
        self.warehouse = warehouse
        with warehouse.connect() as connection:
            connection.execute(
                "insert into tenancy.tenants (tenant_id, name, currency) values (%s, 'Trials', 'EUR'), (%s, 'Others', 'EUR')",
                (TENANT, OTHER),
            )
        result = run_dbt(warehouse.database.connections(), ["run", "--target", "prod", "--select", *MODELS])
        assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]

    def figures(
        self,
        platform_id: str,
        days: Iterable[Mapping[str, Any] | None],
        tenant: str = TENANT,
        start: dt.date = START,
    ) -> None:
        """One row of metrics_daily per day; None leaves the day out."""
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "set local session_replication_role = replica"
            )  # row security refuses a copy, triggers fill
            self._copy(cursor, platform_id, days, tenant, start)

    @staticmethod
    def _copy(
        cursor: psycopg.Cursor[Any],
        platform_id: str,
        days: Iterable[Mapping[str, Any] | None],
        tenant: str,
        start: dt.date,
    ) -> None:
        with cursor.copy(
            """
            copy ads.metrics_daily (
                tenant_id, platform, level, platform_id, day, account_id, currency, data_status, source, spend,
                impressions, clicks, link_clicks, conversions, conversion_value, reach, maturity, spend_reporting,
                conversion_value_reporting
            ) from stdin
            """
        ) as rows:
            for number, row in enumerate(days):
                if row is None:
                    continue
                full = {"currency": "EUR", "data_status": "final", "maturity": 1, **row}
                rows.write_row((
                    tenant, "meta", "ad", platform_id, start + dt.timedelta(days=number), "act_1", full["currency"],
                    full["data_status"], "file", full.get("spend"), full.get("impressions"), full.get("clicks"), None,
                    full.get("conversions"), full.get("conversion_value"), full.get("reach"), full["maturity"],
                    full.get("spend_reporting"), full.get("conversion_value_reporting"),
                ))  # fmt: skip

    def test(
        self, name: str, variants: Any, tenant: str = TENANT, status: str = "running", **columns: Any
    ) -> None:
        """A test as the machine's login would leave it: no trigger looks at it."""
        row: dict[str, Any] = {
            "tenant_id": tenant, "name": name, "test_type": "creative", "platform": "meta", "metric": "ctr",
            "assignment": "platform_split_test", "start_date": START, "status": status,
            "variants": json.dumps(variants), **columns,
        }  # fmt: skip
        with self.warehouse.connect("transformer") as connection:
            connection.execute(
                f"insert into ads.ab_tests ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
                list(row.values()),
            )

    def look(
        self, as_of: dt.date, tenant: str | None = None, tenants: Sequence[str] = (TENANT, OTHER)
    ) -> int:
        """Read all tests as of a day; returns how many rows changed. `tenants` are those with any figures."""
        with self.warehouse.connect("transformer") as connection:
            connection.execute("truncate intermediate.int_run__as_of")
            connection.execute(
                """
                insert into intermediate.int_run__as_of (tenant_id, as_of, currency, timezone)
                select t, %s, 'EUR', 'Europe/Berlin' from unnest(%s::uuid[]) as t
                """,
                (as_of, list(tenants)),
            )
            row = connection.execute("select ads_internal.refresh_ab_tests(%s)", (tenant,)).fetchone()
            assert row is not None
            return int(row[0])

    def read(self, name: str, tenant: str = TENANT) -> dict[str, Any]:
        with self.warehouse.connect(row_factory=dict_row) as connection:
            row = connection.execute(
                "select * from ads.ab_tests where tenant_id = %s and name = %s", (tenant, name)
            ).fetchone()
        assert row is not None, name
        return dict(row)

    def change(self, platform_id: str, on: dt.date, field: str = "daily_budget") -> None:
        with self.warehouse.connect("transformer") as connection:
            connection.execute(
                """
                insert into intermediate.int_entities__changes (
                    tenant_id, platform, level, platform_id, account_id, day, field, old_value, new_value
                ) values (%s, 'meta', 'ad', %s, 'act_1', %s, %s, '1', '2')
                """,
                (TENANT, platform_id, on, field),
            )

    def forget(self) -> None:
        with self.warehouse.connect() as connection:
            connection.execute(
                "truncate ads.ab_tests, ads.metrics_daily, intermediate.int_entities__changes, intermediate.int_run__as_of"
            )

    def as_buyer(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.warehouse.tenant_url(TENANT, "buyer"), connect_timeout=10) as connection:
            cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


def pair(control: str = "a", treatment: str = "b", **of_treatment: Any) -> list[dict[str, Any]]:
    """Two variants, the first of them the control."""
    return [
        {"name": control.upper(), "level": "ad", "platform_id": control, "is_control": True},
        {"name": treatment.upper(), "level": "ad", "platform_id": treatment, **of_treatment},
    ]
