"""Many tenants in one file: tenants, coverage, versions, campaigns, changes, refusals."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual import ImportResult, import_history

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
ADS_HEAD = (
    "tenant_id,platform,account_id,currency,campaign_id,adset_id,ad_id,day,spend,impressions,clicks,reach,frequency,"
    "conversions,conversion_value\n"
)
ADS = ADS_HEAD + (
    "Acme,meta,m1,EUR,c1,s1,a1,2026-03-01,10.5,1000,20,900,1.1,2,80\n"
    "Acme,meta,m1,EUR,c1,s1,a1,2026-03-03,11.5,1000,20,900,1.1,2,80\n"
    "Acme,google,g1,EUR,c2,s2,,2026-03-02,5,100,2,,,0.5,8\n"
    "Brand new,tiktok,t1,USD,c3,,,2026-03-02,7,100,2,,,1,8\n"
    "Brand new,TikTok,t1,USD,,,,2026-03-04,7,100,2,,,1,8\n"
)
CAMPAIGNS = (
    "tenant_id,platform,account_id,campaign_id,campaign_name,objective,start_day,status,daily_budget,target_roas,target_cpa\n"
    "Acme,meta,m1,c1,Spring,OUTCOME_SALES,2026-01-01,ACTIVE,100.50,3.5,\n"
    "Brand new,tiktok,t1,c3,Autumn,,,CAMPAIGN_STATUS_DISABLE,,,20\n"
)
CHANGES = (
    "tenant_id,platform,account_id,campaign_id,day,field,old,new\n"
    'Acme,meta,m1,c1,2026-03-02,daily_budget,"1,080.00",100.50\n'
    "Acme,meta,m1,c1,2026-03-02,status,PAUSED,Active\n"
    "Acme,meta,m1,c1,2026-03-03,bid_strategy,LOWEST_COST,COST_CAP\n"
    "Acme,meta,m1,c1,2026-03-03,target_roas,,3.5\n"
)

Import = Callable[..., ImportResult]


@pytest.fixture
def history(connections: Connections, tenant_id: str, tmp_path: Path) -> Import:
    """history(ads, campaigns, changes, **options): import texts; the tenant Acme exists."""

    def run(
        ads: str, campaigns: str | None = None, changes: str | None = None, **options: Any
    ) -> ImportResult:
        paths: dict[str, Path] = {}
        for name, text in (("ads", ads), ("campaigns", campaigns), ("changes", changes)):
            if text is not None:
                paths[name] = tmp_path / f"{name}.csv"
                paths[name].write_text(text)
        options.setdefault("now", NOW)
        return import_history(connections, paths.pop("ads"), **paths, **options)

    return run


def test_figures_campaigns_and_changes(history: Import, stored: Any, warehouse: Any, tenant_id: str) -> None:
    result = history(ADS, CAMPAIGNS, CHANGES, create_tenants=True)
    assert (result.rows_read, result.rows_imported, result.rows_refused) == (11, 11, 0)
    assert result.tenants_created == ["Brand new"]
    new = str(warehouse.rows("select tenant_id from tenancy.tenants where name = 'Brand new'")[0][0])
    assert stored(
        "tenant_id, platform, account_id, level, platform_id, campaign_id, adset_id, day"
    ) == sorted(
        [
            (tenant_id, "meta", "m1", "ad", "a1", "c1", "s1", dt.date(2026, 3, 1)),
            (tenant_id, "meta", "m1", "ad", "a1", "c1", "s1", dt.date(2026, 3, 3)),
            (tenant_id, "google", "g1", "adset", "s2", "c2", "s2", dt.date(2026, 3, 2)),
            (new, "tiktok", "t1", "campaign", "c3", "c3", None, dt.date(2026, 3, 2)),
            (new, "tiktok", "t1", "account", "t1", None, None, dt.date(2026, 3, 4)),
        ]
    )
    assert warehouse.rows(
        "select platform, campaign_name, objective, start_day, status, daily_budget, target_roas, target_cpa, snapshot_day "
        "from raw_manual.campaigns order by platform"
    ) == [
        ("meta", "Spring", "OUTCOME_SALES", dt.date(2026, 1, 1), "active", Decimal("100.5"), Decimal("3.5"), None,
         dt.date(2026, 3, 4)),
        ("tiktok", "Autumn", None, None, "paused", None, None, Decimal(20), dt.date(2026, 3, 4)),
    ]  # fmt: skip
    assert warehouse.rows(
        "select day, field, old_value, new_value from raw_manual.changes order by line"
    ) == [
        (dt.date(2026, 3, 2), "daily_budget", "1080", "100.5"),
        (dt.date(2026, 3, 2), "status", "paused", "active"),
        (dt.date(2026, 3, 3), "bid_strategy", "LOWEST_COST", "COST_CAP"),
        (dt.date(2026, 3, 3), "target_roas", None, "3.5"),
    ]


def test_every_day_from_an_accounts_first_row_to_the_files_end_is_covered(
    history: Import, warehouse: Any
) -> None:
    assert history(ADS, create_tenants=True).coverage_days == 4 + 3 + 3
    assert warehouse.rows(
        "select account_id, min(day), max(day), sum(rows) from ops.coverage group by 1 order by 1"
    ) == [
        ("g1", dt.date(2026, 3, 2), dt.date(2026, 3, 4), 1),
        ("m1", dt.date(2026, 3, 1), dt.date(2026, 3, 4), 2),
        ("t1", dt.date(2026, 3, 2), dt.date(2026, 3, 4), 2),
    ]


def test_ages_are_counted_to_the_accounts_last_day_or_to_known_on(history: Import, stored: Any) -> None:
    history(ADS, create_tenants=True)
    assert sorted(set(stored("account_id, reported_on, known_on"))) == [
        ("g1", dt.date(2026, 3, 2), None), ("m1", dt.date(2026, 3, 3), None), ("t1", dt.date(2026, 3, 4), None),
    ]  # fmt: skip
    head = ADS_HEAD.replace("\n", ",known_on\n")
    row = "Acme,meta,m2,EUR,c1,s1,a5,2026-03-01,10,1000,20,900,1.1,{},80,{}\n"
    result = history(head + "".join(row.format(n, f"2026-03-0{n}") for n in (1, 2, 5)))
    assert [row for row in stored("account_id, known_on, reported_on, conversions") if row[0] == "m2"] == [
        ("m2", dt.date(2026, 3, n), dt.date(2026, 3, n), n) for n in (1, 2, 5)
    ]
    assert result.totals[0].conversions == 5
    assert result.totals[0].spend == 10


def test_an_unknown_tenant_stops_everything_unless_it_may_be_created(history: Import, warehouse: Any) -> None:
    with pytest.raises(ContractError, match="does not know: Brand new") as caught:
        history(ADS)
    assert "--create-tenants" in caught.value.hint
    for table in ("ops.coverage", "ops.import_log", "raw_manual.performance"):
        assert warehouse.rows(f"select count(*) from {table}") == [(0,)]
    assert history(ADS, create_tenants=True).rows_imported == 5


def test_tenants_by_id_and_by_name(history: Import, warehouse: Any, tenant_id: str) -> None:
    made = str(uuid.uuid4())
    history(
        ADS_HEAD
        + f"{tenant_id.upper()},meta,m1,EUR,c,s,a1,2026-03-01,1,1,1,,,,\n"
        + f"{made},meta,m2,CAD,c,s,a2,2026-03-01,1,1,1,,,,\n"
        + f"{made.upper()},meta,m2,CAD,c,s,a3,2026-03-01,1,1,1,,,,\n",
        create_tenants=True,
    )
    assert warehouse.rows("select name, currency from tenancy.tenants where tenant_id = %s", (made,)) == [
        (made, "CAD")
    ]
    assert warehouse.rows("select distinct tenant_id::text from ops.coverage order by 1") == sorted(
        [(tenant_id,), (made,)]
    )
    with pytest.raises(ContractError, match="reserved"):
        history(ADS_HEAD + "everybody,meta,m1,EUR,c,s,a1,2026-03-01,1,1,1,,,,\n", create_tenants=True)


def test_accounts_are_kept_with_currency_name_and_time_zone(history: Import, warehouse: Any) -> None:
    head = ADS_HEAD.replace("\n", ",account_name,timezone,ad_name,unheard_of\n")
    result = history(head + "Acme,meta,m1,CHF,c,s,a1,2026-03-01,1,1,1,,,,,Main,Europe/Zurich,Video,x\n")
    assert warehouse.rows("select name, currency, timezone, source from tenancy.ad_accounts") == [
        ("Main", "CHF", "Europe/Zurich", "file")
    ]
    assert any("not used: unheard_of" in note for note in result.notes)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",meta,m1,EUR,c,s,a9,2026-03-01,1,1,1,,,,", "has no tenant_id"),
        ("Acme,myspace,m1,EUR,c,s,a9,2026-03-01,1,1,1,,,,", "is of platform myspace, which has no ad figures here"),
        ("Acme,,m1,EUR,c,s,a9,2026-03-01,1,1,1,,,,", "has no platform"),
        ("Acme,meta,,EUR,c,s,a9,2026-03-01,1,1,1,,,,", "has no account_id"),
        ("Acme,meta,m1,Euro,c,s,a9,2026-03-01,1,1,1,,,,", "currency is 'EURO', not three letters like USD"),
        ("Acme,meta,m1,,c,s,a9,2026-03-01,1,1,1,,,,", "has no currency"),
        ("Acme,meta,m1,USD,c,s,a9,2026-03-01,1,1,1,,,,", "is in USD, and account m1 in EUR"),
        ("Acme,meta,m1,EUR,c,s,a9,,1,1,1,,,,", "has no day"),
        ("Acme,meta,m1,EUR,c,s,a9,2026-03-32,1,1,1,,,,", "day is '2026-03-32'"),
        ("Acme,meta,m1,EUR,c,s,a9,2027-03-01,1,1,1,,,,", "day 2027-03-01 is in the future"),
        ("Acme,meta,m1,EUR,c,s,a9,2026-03-01,-1,1,1,,,,", "spend is -1, below zero"),
        ("Acme,meta,m1,EUR,c,s,a9,2026-03-01,\"1,5\",1,1,,,,", "spend is '1,5', no number with a decimal point"),
        ("Acme,meta,m1,EUR,c1,s1,a1,2026-03-01,10.5,1000,20,900,1.1,2,80", "is a copy of line 2"),
        ("Acme,meta,m1,EUR,c1,s1", "has 6 fields and the heading 15"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used(history: Import, warehouse: Any, row: str, reason: str) -> None:
    if '"1,5"' in row:  # a stray decimal comma; in a column of points only --decimal tells that it is one
        with pytest.raises(ContractError, match="mixes decimal points"):
            history(ADS + row + "\n", create_tenants=True)
    result = history(ADS + row + "\n", create_tenants=True, decimal="point")
    assert (result.rows_imported, result.rows_refused) == (5, 1)
    assert result.refused[0][0] == 7
    assert result.refused[0][1].startswith(reason)
    assert warehouse.rows("select line, reason from ops.quarantine") == result.refused


def test_rows_of_campaigns_and_changes_are_refused_by_themselves(history: Import, warehouse: Any) -> None:
    result = history(
        ADS,
        CAMPAIGNS
        + "Acme,meta,m1,c9,Odd,,,ACTIVE,-5,,\nAcme,meta,m1,,Odd,,,ACTIVE,5,,\nAcme,meta,m1,c1,Twin,,,PAUSED,5,,\n",
        CHANGES + "Acme,meta,m1,c1,2026-04-01,status,a,b\nAcme,meta,m1,c1,2026-03-01,daily_budget,5,many\n",
        create_tenants=True,
    )
    assert result.refused == [
        (2, "of campaigns.csv has the same campaign as line 6 and other content, so neither counts"),
        (4, "of campaigns.csv daily_budget is -5, below zero"),
        (5, "of campaigns.csv has no campaign_id"),
        (6, "of campaigns.csv has the same campaign as line 2 and other content, so neither counts"),
        (6, "of changes.csv day 2026-04-01 is in the future"),
        (7, "of changes.csv new is 'many', not a number"),
    ]
    assert warehouse.rows("select count(*) from raw_manual.campaigns") == [(1,)]


@pytest.mark.parametrize(
    ("ads", "message"),
    [
        (ADS.replace("spend,", "spent,"), "lacks the column spend; it has: tenant_id"),
        (ADS_HEAD, "0 rows"),
        ("", "0 rows"),
        ("a,b\n1,2\n", "No column of ads.csv is known"),
        (ADS.replace("reach,", "Clicks,"), "two columns for clicks"),
        (ADS + 'Acme,"meta,m1\n', "never closed"),
    ],
)
def test_a_file_that_cannot_be_used(history: Import, warehouse: Any, ads: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        history(ads, create_tenants=True)
    assert warehouse.rows("select count(*) from tenancy.tenants where name = 'Brand new'") == [(0,)]


def test_a_total_at_the_end_is_skipped(history: Import, stored: Any) -> None:
    result = history(ADS + "Total,,,,,,,,41,2300,66,,,6.5,184\n", create_tenants=True)
    assert (result.rows_skipped, result.rows_refused) == (1, 0)
    assert stored("sum(spend)") == [(41,)]


def test_twice_is_once_and_a_deleted_tenant_is_loaded_again(history: Import, warehouse: Any) -> None:
    assert not history(ADS, CAMPAIGNS, CHANGES, create_tenants=True).unchanged
    again = history(ADS, CAMPAIGNS, CHANGES, create_tenants=True)
    assert (again.unchanged, again.tenants_created) == (True, [])
    assert warehouse.rows("select count(*) from raw_manual.performance") == [(5,)]
    with warehouse.connect("admin") as connection:
        connection.execute(
            """
            create temporary table gone as select tenant_id from tenancy.tenants where name = 'Brand new';
            delete from ops.coverage where tenant_id in (select tenant_id from gone);
            delete from tenancy.ad_accounts where tenant_id in (select tenant_id from gone);
            delete from tenancy.tenants where tenant_id in (select tenant_id from gone)
            """
        )
    assert not history(ADS, CAMPAIGNS, CHANGES, create_tenants=True).unchanged


def test_a_day_of_refused_rows_only_is_not_called_zero_delivery(history: Import, warehouse: Any) -> None:
    history(ADS + "Acme,meta,m1,EUR,c1,s1,a1,2026-03-02,-1,1,1,,,,\n", create_tenants=True)
    assert warehouse.rows("select day from ops.coverage where account_id = 'm1' order by day") == [
        (dt.date(2026, 3, day),) for day in (1, 3, 4)
    ]


def test_parquet_is_the_same_as_csv(
    connections: Connections, tenant_id: str, tmp_path: Path, stored: Any, history: Import
) -> None:
    history(ADS, create_tenants=True)
    before = stored(
        "platform, account_id, level, platform_id, day, spend, impressions, clicks, conversions, reported_on"
    )
    table = pyarrow.csv.read_csv(tmp_path / "ads.csv")
    assert pa.types.is_floating(table.schema.field("spend").type)
    pq.write_table(table, tmp_path / "ads.parquet")
    result = import_history(connections, tmp_path / "ads.parquet", create_tenants=True, now=NOW)
    assert (result.unchanged, result.rows_imported) == (False, 5)
    after = stored(
        "platform, account_id, level, platform_id, day, spend, impressions, clicks, conversions, reported_on"
    )
    assert after == sorted(before + before)
