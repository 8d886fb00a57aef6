"""Tenants with too little to judge: the build passes, what cannot be known is null with a reason, and nothing is advised."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from dlt_pipelines.manual import import_history
from flows.daily_optimization import optimize

LAST = date(2026, 6, 30)
DAYS = 90
COLUMNS = (
    "tenant_id", "platform", "account_id", "timezone", "currency", "campaign_id", "adset_id", "ad_id", "day", "spend",
    "impressions", "clicks", "conversions", "conversion_value",
)  # fmt: skip
# spend a day, conversions a day and value of each; a ROAS of 0.2 is far below the default target of 3
BAD, GOOD = (100, 4, 5), (100, 10, 30)


def rows() -> Iterator[tuple[Any, ...]]:
    def day_rows(
        tenant: str, days: int, figures: tuple[int, int, int], campaigns: int = 3, **more: Any
    ) -> Iterator[tuple[Any, ...]]:
        spend, conversions, value = figures
        for back in range(days):
            day = LAST - timedelta(back)
            for number in range(campaigns):
                name = more.get("name", lambda _day, number: f"c{number}")(day, number)
                wave = (back * 7 + number * 3) % 11
                yield (
                    tenant, "meta", f"act-{tenant}", more.get("timezone", "UTC"), more.get("currency", "USD"), name, f"s-{name}",
                    f"a-{name}", day, spend + wave, 9000 + 100 * wave, 150 + wave, conversions, conversions * value,
                )  # fmt: skip

    yield from day_rows("one day", 1, GOOD)
    yield from day_rows("no conversions", DAYS, (100, 0, 0))
    yield from day_rows("no targets", DAYS, BAD)
    yield from day_rows("one campaign", DAYS, BAD, campaigns=1)
    yield from day_rows("no rate", DAYS, BAD, currency="KES")
    yield from day_rows(
        "new ids",
        DAYS,
        BAD,
        name=lambda day, number: f"{'old' if day < LAST - timedelta(20) else 'new'}{number}",
    )


@pytest.fixture(scope="module")
def thin(
    new_warehouse: Callable[..., Any], dbt_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    warehouse = new_warehouse()
    file = tmp_path_factory.mktemp("thin") / "ads.csv"
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        writer.writerows(rows())
    with warehouse.connect("owner") as connection:  # reports in dollars; its account does not
        connection.execute("insert into tenancy.tenants (name, currency) values ('no rate', 'USD')")
    connections = warehouse.database.connections()
    result = import_history(connections, file, create_tenants=True)
    assert not result.refused
    with warehouse.connect("owner") as connection:  # the account moved to another reporting zone
        connection.execute(
            "update tenancy.ad_accounts set timezone = 'Pacific/Auckland' where account_id = 'act-one campaign'"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        report = optimize(connections, None, LAST)
    assert report.ok, report.failed_models
    assert {run.status for run in report.runs} == {"done"}
    return warehouse


def of(warehouse: Any, tenant: str, query: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(  # type: ignore[no-any-return]
        f"with t as (select tenant_id from tenancy.tenants where name = %s) {query}", (tenant,)
    )


def test_nothing_is_advised(thin: Any) -> None:
    assert thin.rows("select * from ads.optimization_recommendations") == []


def test_a_quiet_tenant_raises_no_alarm(thin: Any) -> None:
    quiet = thin.rows(
        """
        select t.name, a.anomaly_type from ads.anomalies as a inner join tenancy.tenants as t using (tenant_id)
        where t.name <> 'new ids'
        """
    )
    assert quiet == []


def test_why_nothing_is_advised_is_said(thin: Any) -> None:
    reasons = thin.rows("select distinct reason from ads_internal.recommendations_held_back")
    assert ("it has no target of its own, and the default raises no advice about money",) in reasons


def test_one_day_is_no_baseline(thin: Any) -> None:
    found = of(
        thin,
        "one day",
        "select distinct n_days, is_sufficient from ads.baselines inner join t using (tenant_id)",
    )
    assert all(not is_sufficient for _, is_sufficient in found)
    assert (
        of(
            thin,
            "one day",
            "select count(*), min(spend) from ads.metrics_daily inner join t using (tenant_id) where level = 'account'",
        )[0][0]
        == 1
    )


def test_without_conversions_their_ratios_are_null(thin: Any) -> None:
    [(cpa, cvr, roas)] = of(
        thin,
        "no conversions",
        "select distinct cpa, cvr, roas from ads.metrics_daily inner join t using (tenant_id) where level = 'account'",
    )
    assert (cpa, cvr, roas) == (None, 0, 0)


def test_a_currency_without_a_rate_is_null_and_a_finding(thin: Any) -> None:
    assert of(
        thin,
        "no rate",
        "select distinct spend_reporting, fx_rate, currency from ads.metrics_daily inner join t using (tenant_id)",
    ) == [(None, None, "KES")]
    [(message,)] = of(
        thin,
        "no rate",
        "select message from ops.findings inner join t using (tenant_id) where check_name like '%%rate%%' order by day desc limit 1",
    )
    assert "KES" in message


def test_a_new_id_is_another_campaign_and_the_account_goes_on(thin: Any) -> None:
    campaigns = of(
        thin, "new ids", "select * from ads.entities inner join t using (tenant_id) where level = 'campaign'"
    )
    assert len(campaigns) == 6
    alarms = of(
        thin,
        "new ids",
        """
        select a.anomaly_type, a.metric, a.day::text, a.last_day::text, a.observed::text, a.expected::text, a.status, a.level
        from ads.anomalies as a inner join t using (tenant_id)
        where a.level = 'account'
        """,
    )
    assert alarms == []
