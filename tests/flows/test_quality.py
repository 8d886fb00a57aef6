"""Judging what arrived: states of account-days, and findings in words."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dlt_pipelines.manual import import_csv
from flows.quality import QualityResult, has_news, judge_coverage

HEAD = "campaign_id,ad_id,day,spend,impressions,clicks,conversions\n"
ODD = HEAD + (
    "c,a1,2026-03-01,1,10,20,0\n"
    "c,a2,2026-03-01,1,5,6,0\n"
    "c,a3,2026-03-01,1,0,0,0\n"
    "c,a4,2026-03-02,0,100,0,2\n"
    "c,a5,2026-03-02,-1,100,0,2\n"
    "c,a6,2026-03-03,1,100,5,2\n"
)


def load(warehouse: Any, tenant_id: str, folder: Path, text: str) -> None:
    path = folder / "export.csv"
    path.write_text(text)
    import_csv(warehouse.database.connections(), path, tenant_id=tenant_id, platform="meta")


def test_account_days_are_accepted_once(warehouse: Any, tmp_path: Path) -> None:
    connections = warehouse.database.connections()
    assert judge_coverage(connections) == QualityResult(0, 0, 0)
    assert not has_news(connections)
    load(warehouse, warehouse.add_tenant(), tmp_path, ODD)
    assert has_news(connections)
    assert judge_coverage(connections).accepted == 3
    assert judge_coverage(connections) == QualityResult(0, 0, 0)
    assert warehouse.rows("select distinct state, judged_at is not null, versioned_at from ops.coverage") == [
        ("accepted", True, None)
    ]


def test_what_looks_odd_is_a_finding_until_it_is_corrected(warehouse: Any, tmp_path: Path) -> None:
    tenant_id = warehouse.add_tenant()
    load(warehouse, tenant_id, tmp_path, ODD)
    assert judge_coverage(warehouse.database.connections()).findings == 4
    query = "select day, check_name, severity, message from ops.findings order by day, check_name"
    first, second = dt.date(2026, 3, 1), dt.date(2026, 3, 2)
    assert warehouse.rows(query) == [
        (
            first,
            "clicks_exceed_impressions",
            "warning",
            "2 rows have more clicks than impressions, first ad a1.",
        ),
        (first, "spend_without_impressions", "warning", "1 row has spend and no impression, first ad a3."),
        (second, "conversions_without_clicks", "info", "1 row has conversions and no click, first ad a4."),
        (second, "refused_rows", "warning", "1 row of the file was refused; see ops.quarantine."),
    ]
    load(warehouse, tenant_id, tmp_path, HEAD + "c,a1,2026-03-01,1,20,10,0\n")
    judge_coverage(warehouse.database.connections())
    assert [row[0] for row in warehouse.rows(query)] == [second, second]


def test_hand_rows_are_judged_too(warehouse: Any, as_tenant: Any) -> None:
    tenant_id = warehouse.add_tenant()
    with as_tenant(warehouse, tenant_id, "buyer") as connection:
        connection.execute(
            """
            insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend, impressions, clicks)
            values (%s, 'meta', 'campaign', 'c1', '2026-03-01', 5, 10, 20)
            """,
            (tenant_id,),
        )
        connection.commit()
    assert judge_coverage(warehouse.database.connections()) == QualityResult(1, 0, 1)
    assert warehouse.rows("select check_name, subject from ops.findings") == [
        ("clicks_exceed_impressions", "hand rows")
    ]


def test_readers_may_not_judge(warehouse: Any, as_tenant: Any) -> None:
    with (
        as_tenant(warehouse, warehouse.add_tenant()) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select ops.judge_coverage()")
