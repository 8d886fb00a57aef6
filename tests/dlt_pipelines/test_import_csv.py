"""One export of one tenant: headings, levels, parents, accounts, currencies, refusals, coverage."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual import ImportResult, import_csv
from dlt_pipelines.manual.headings import parse_mapping

Load = Callable[..., ImportResult]
Stored = Callable[[str], list[tuple[Any, ...]]]

FIXTURES = Path(__file__).parent.parent / "fixtures"
HEAD = "campaign_id,adset_id,ad_id,day,spend,impressions,clicks,conversions,conversion_value\n"
GOOD = HEAD + "c1,s1,a1,2026-03-01,10.50,1000,20,2,80\nc1,s1,a2,2026-03-01,4.25,500,5,0,0\n"


def test_an_export_without_days_loads_with_a_mapping(
    connections: Connections, tenant_id: str, stored: Stored, warehouse: Any
) -> None:
    mapping = parse_mapping(
        [
            "xyz_campaign_id=campaign_id",
            "fb_campaign_id=adset_id",
            "Spent=spend",
            "Approved_Conversion=conversions",
        ]
    )
    result = import_csv(
        connections, FIXTURES / "ads_without_days.csv", tenant_id=tenant_id, platform="meta", day=dt.date(2017, 8, 30),
        mapping=mapping,
    )  # fmt: skip
    assert (result.rows_read, result.rows_imported, result.rows_refused, result.coverage_days) == (
        42,
        42,
        0,
        1,
    )
    total = result.totals[0]
    assert (total.currency, total.spend, total.impressions) == ("EUR", Decimal("323.710161"), 770060)
    assert (total.clicks, total.conversions) == (250, 22)
    assert stored("count(*), sum(spend), sum(impressions), sum(clicks), sum(conversions), min(level)") == [
        (42, Decimal("323.710161"), 770060, 250, 22, "ad")
    ]
    assert ("900117", "410171", "4101") in stored("platform_id, adset_id, campaign_id")
    assert warehouse.rows("select account_id, day, rows, state, source from ops.coverage") == [
        ("file", dt.date(2017, 8, 30), 42, "pending", "file")
    ]


def test_amounts_are_stored_to_the_micro(load: Load, stored: Stored) -> None:
    load(HEAD + "c,s,a,2026-03-01,1.429999948,1,1,0.3333333,\n")
    assert stored("spend, conversions, conversion_value") == [
        (Decimal("1.430000"), Decimal("0.333333"), None)
    ]


# -- vendors' headings ----------------------------------------------------------------------------------------

META = (
    '"Reporting starts","Reporting ends","Campaign name","Campaign ID","Ad set name","Ad set ID","Ad name","Ad ID",'
    '"Amount spent (EUR)",Impressions,Reach,Frequency,"Clicks (all)","Link clicks",Purchases,'
    '"Purchases conversion value","Cost per result"\n'
    ',,,,,,,,15.25,1500,1200,1.25,25,20,2,80,7.6\n'
    '2026-03-01,2026-03-01,Spring,11,Broad,21,Video,31,10.50,1000,900,1.11,20,17,2,80,5\n'
    '2026-03-01,2026-03-01,Spring,11,Broad,21,Still,32,4.75,500,400,1.25,5,3,,,\n'
)  # fmt: skip
TIKTOK = (
    "Campaign name,Campaign ID,Ad group name,Ad group ID,Ad name,Ad ID,By Day,Cost,Impressions,Clicks (destination),"
    "Conversions,Total purchase value,Currency\n"
    "Spring,11,Broad,21,Video,31,2026-03-01,10.50,1000,20,2,80,EUR\n"
    "Spring,11,Broad,21,Still,32,2026-03-01,4.75,500,5,0,0,EUR\n"
    "Total of 2 results,-,-,-,-,-,-,15.25,1500,25,2,80,EUR\n"
)
GOOGLE = (
    "Ad performance report\n"
    "March 1, 2026 - March 1, 2026\n"
    "Day\tCampaign\tCampaign ID\tAd group\tAd group ID\tAd ID\tCurrency code\tCost\tImpr.\tClicks\tConversions\tConv. value\tCTR\n"
    "2026-03-01\tSpring\t11\tBroad\t21\t31\tEUR\t10.50\t1,000\t20\t2.00\t80.00\t2.00%\n"
    "2026-03-01\tSpring\t11\tBroad\t21\t32\tEUR\t4.75\t500\t5\t0.00\t0.00\t1.00%\n"
    "Total: Ads\t --\t --\t --\t --\t --\tEUR\t15.25\t1,500\t25\t2.00\t80.00\t1.67%\n"
    "Total: Account\t --\t --\t --\t --\t --\tEUR\t15.25\t1,500\t25\t2.00\t80.00\t1.67%\n"
)
PINTEREST = (
    "Date;Campaign ID;Ad group ID;Ad ID;Spend in account currency;Impressions;Pin clicks;Outbound clicks;"
    "Total conversions (Checkout);Total order value (Checkout)\n"
    "01.03.2026;11;21;31;10,50;1.000;20;17;2;80,00\n"
    "01.03.2026;11;21;32;4,75;500;5;3;0;0,00\n"
)


@pytest.mark.parametrize(
    ("platform", "text", "encoding", "skipped"),
    [("meta", META, "utf-8", 1), ("tiktok", TIKTOK, "utf-8-sig", 1), ("google", GOOGLE, "utf-16", 2),
     ("pinterest", PINTEREST, "utf-8", 0)],
)  # fmt: skip
def test_headings_of_four_ads_managers(
    load: Load, stored: Stored, platform: str, text: str, encoding: str, skipped: int
) -> None:
    result = load(text.encode(encoding), platform, now=dt.datetime(2026, 3, 10, tzinfo=dt.UTC))
    assert (result.rows_imported, result.rows_refused, result.rows_skipped) == (2, 0, skipped)
    assert result.rows_read == 2 + skipped
    total = result.totals[0]
    assert (total.spend, total.impressions, total.clicks, total.conversions, total.conversion_value) == (
        Decimal("15.25"), 1500, 25, 2, 80,
    )  # fmt: skip
    ids = ["21~31", "21~32"] if platform == "google" else ["31", "32"]
    assert stored("platform_id, adset_id, campaign_id, day, currency") == [
        (one, "21", "11", dt.date(2026, 3, 1), "EUR") for one in ids
    ]
    if platform == "meta":
        assert stored("platform_id, conversions, link_clicks, reach, ad_name, adset_name, campaign_name") == [
            ("31", 2, 17, 900, "Video", "Broad", "Spring"), ("32", 0, 3, 400, "Still", "Broad", "Spring"),
        ]  # fmt: skip


def test_a_row_over_many_days_is_refused_unless_a_day_is_chosen(load: Load) -> None:
    text = META.replace("2026-03-01,2026-03-01", "2026-03-01,2026-03-07")
    result = load(text)
    assert result.rows_imported == 0
    assert "covers 2026-03-01 to 2026-03-07, not one day" in result.refused[0][1]
    assert load(text, day=dt.date(2026, 3, 7)).rows_imported == 2


def test_breakdown_rows_are_added_up_without_reach(load: Load, stored: Stored) -> None:
    result = load(
        "Ad ID,Ad Set ID,Campaign ID,Day,Age,Gender,Amount Spent (EUR),Impressions,Reach,Frequency,Purchases\n"
        "a,s,c,2026-03-01,18-24,female,1.25,10,5,2,\n"
        "a,s,c,2026-03-01,18-24,male,2.25,20,10,2,1\n"
        "a,s,c,2026-03-01,25-34,male,3.25,30,15,2,1\n"
        "a,s,c,2026-03-01,25-34,male,3.25,30,15,2,1\n"
        "b,s,c,2026-03-01,25-34,male,1.00,1,1,1,\n"
        "b,s,c,2026-03-01,25-34,male,2.00,1,1,1,\n"
    )
    assert stored("platform_id, spend, impressions, reach, frequency, conversions") == [
        ("a", Decimal("6.75"), 60, None, None, 2)
    ]
    assert [line for line, _ in result.refused] == [5, 6, 7]
    assert "copy of line 4" in result.refused[0][1]
    assert "other content" in result.refused[1][1]


def test_a_column_can_be_named_a_breakdown(load: Load, stored: Stored) -> None:
    text = "ad_id,day,spend,creative\na,2026-03-01,1.00,x\na,2026-03-01,2.00,y\n"
    assert load(text).rows_imported == 0
    assert load(text, mapping={"creative": "breakdown"}).rows_imported == 2
    assert stored("platform_id, spend") == [("a", 3)]


# -- levels, parents, accounts, currencies --------------------------------------------------------------------


def test_the_finest_id_of_a_row_is_its_level(load: Load, stored: Stored) -> None:
    load(
        HEAD
        + "c1,s1,a1,2026-03-01,1,1,1,,\nc1,s2,,2026-03-01,2,1,1,,\nc2,,,2026-03-01,3,1,1,,\n,,a9,2026-03-01,4,1,1,,\n"
        ",s9,,2026-03-01,5,1,1,,\n",
        account="77",
    )
    assert stored("spend, level, platform_id, campaign_id, adset_id") == [
        (1, "ad", "a1", "c1", "s1"),
        (2, "adset", "s2", "c1", "s2"),
        (3, "campaign", "c2", "c2", None),
        (4, "ad", "a9", "77~unattributed", "77~unattributed~unattributed"),
        (5, "adset", "s9", "77~unattributed", "s9"),
    ]


def test_rows_without_any_id_count_for_the_account(load: Load, stored: Stored) -> None:
    load("day,spend\n2026-03-01,3\n2026-03-02,4\n", account="77")
    assert stored("day, level, platform_id, campaign_id") == [
        (dt.date(2026, 3, 1), "account", "77", None),
        (dt.date(2026, 3, 2), "account", "77", None),
    ]


def test_parents_known_from_history_are_found_again(
    load: Load, stored: Stored, warehouse: Any, tenant_id: str
) -> None:
    with warehouse.connect("admin") as connection:
        connection.execute(
            """
            insert into history.performance_versions (
                tenant_id, platform, account_id, level, platform_id, day, known_on, source, reported_on, campaign_id,
                adset_id, currency, load_id
            )
            values (%s, 'meta', 'x', 'ad', 'a1', '2026-02-01', '2026-02-01', 'file', '2026-02-01', 'c7', 's7', 'EUR', 'l')
            """,
            (tenant_id,),
        )
    load("ad_id,day,spend\na1,2026-03-01,1\na2,2026-03-01,1\n", account="x")
    assert stored("platform_id, campaign_id, adset_id") == [
        ("a1", "c7", "s7"),
        ("a2", "x~unattributed", "x~unattributed~unattributed"),
    ]


def test_names_serve_as_ids_where_there_are_none(load: Load, stored: Stored) -> None:
    result = load(
        "Campaign name,Ad set name,Day,Amount spent (EUR)\nSpring,Broad,2026-03-01,1\nSpring,Narrow,2026-03-01,2\n"
        "Autumn,Broad,2026-03-01,3\n"
    )
    assert stored("spend, platform_id, campaign_id") == [
        (1, "Spring / Broad", "Spring"),
        (2, "Narrow", "Spring"),
        (3, "Autumn / Broad", "Autumn"),
    ]
    assert any("serves as id" in note for note in result.notes)


def test_which_account_a_row_belongs_to(load: Load, stored: Stored, warehouse: Any, tenant_id: str) -> None:
    def add(account_id: str) -> None:
        with warehouse.connect("admin") as connection:
            connection.execute(
                "insert into tenancy.ad_accounts (tenant_id, platform, account_id, currency) values (%s, 'meta', %s, 'EUR')",
                (tenant_id, account_id),
            )

    load("ad_id,day,spend\na1,2026-03-01,1\n", platform="tiktok")
    add("only")
    load("ad_id,day,spend\na2,2026-03-01,1\n")
    load("ad_id,day,spend,account_id\na3,2026-03-01,1,5\na4,2026-03-01,1,6.0\n")
    load("ad_id,day,spend,account_id\na5,2026-03-01,1,5\n", account="7")
    result = load("ad_id,day,spend\na6,2026-03-01,1\n")
    assert stored("platform_id, account_id") == [
        ("a1", "file"), ("a2", "only"), ("a3", "5"), ("a4", "6"), ("a5", "7"), ("a6", "file"),
    ]  # fmt: skip
    assert any("several meta accounts" in note for note in result.notes)
    assert warehouse.rows(
        "select account_id, currency, source from tenancy.ad_accounts where account_id = '7'"
    ) == [("7", "EUR", "file")]


@pytest.mark.parametrize(
    ("text", "options", "currency"),
    [
        ("ad_id,day,spend\na,2026-03-01,1\n", {}, "EUR"),
        ("ad_id,day,spend\na,2026-03-01,1\n", {"currency": "CAD"}, "CAD"),
        ("ad_id,day,spend,currency\na,2026-03-01,1,gbp\n", {}, "GBP"),
        ("ad_id,day,Amount spent (USD)\na,2026-03-01,1\n", {}, "USD"),
        ("ad_id,day,spend\na,2026-03-01,£1.50\n", {}, "GBP"),
    ],
)
def test_where_the_currency_comes_from(
    load: Load, stored: Stored, text: str, options: dict[str, str], currency: str
) -> None:
    load(text, account="x", **options)
    assert stored("currency") == [(currency,)]
    with_other = load(text.replace("2026-03-01", "2026-03-02"), account="x", currency="JPY")
    assert with_other.rows_imported == 0
    assert with_other.refused[0][1] == f"is in JPY, and account x in {currency}"


# -- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("c,s,a9,2026-03-01,-3,1,1,,", "spend is -3, below zero"),
        ("c,s,a9,2026-03-01,1,-1,1,,", "impressions is -1, below zero"),
        ("c,s,a9,2026-03-11,1,1,1,,", "day 2026-03-11 is in the future"),
        ("c,s,a9,2026-02-30,1,1,1,,", "day is '2026-02-30', a day that does not exist"),
        ("c,s,a9,,1,1,1,,", "day is empty"),
        ("c,s,a9,2026-03-01,abc,1,1,,", "spend is 'abc', not a number"),
        ("c,s,a9,2026-03-01,1,1.5,1,,", "impressions is 1.5, not a whole number"),
        ("c,s,a9,2026-03-01,,,,,", "holds no figure at all"),
        ("c,s,a9,2026-03-01,1,1", "has 6 fields and the heading 9"),
        ("c,s,1.2E+17,2026-03-01,1,1,1,,", "ad_id is 1.2E+17: a spreadsheet cut its digits off; export again"),
        ("c1,s1,a2,2026-03-01,4.25,500,5,0,0", "is a copy of line 3, which counts"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_refused_and_the_others_load(
    load: Load, stored: Stored, warehouse: Any, row: str, reason: str
) -> None:
    result = load(GOOD + row + "\n")
    assert (result.rows_read, result.rows_imported, result.rows_refused) == (3, 2, 1)
    assert result.refused == [(4, reason)]
    assert stored("sum(spend)") == [(Decimal("14.75"),)]
    kept = warehouse.rows("select line, reason, source_name, payload is not null from ops.quarantine")
    assert kept == [(4, reason, "export.csv", True)]
    assert warehouse.rows("select status, rows_read, rows_imported, rows_failed from ops.import_log") == [
        ("partial", 3, 2, 1)
    ]


def test_contradicting_rows_of_one_key_are_both_refused(load: Load, stored: Stored) -> None:
    result = load(GOOD + "c1,s1,a2,2026-03-01,9.99,500,5,0,0\n")
    assert [line for line, _ in result.refused] == [3, 4]
    assert stored("platform_id") == [("a1",)]


def test_refused_rows_are_kept_as_they_came(load: Load, warehouse: Any) -> None:
    load(GOOD + 'c1,s1,"a ""x""",2026-03-01,-1,,,,\n')
    assert warehouse.rows("select payload from ops.quarantine") == [
        ({"campaign_id": "c1", "adset_id": "s1", "ad_id": 'a "x"', "day": "2026-03-01", "spend": "-1"},)
    ]


def test_a_day_of_refused_rows_only_is_not_covered(load: Load, warehouse: Any) -> None:
    load(GOOD + "c1,s1,a1,2026-03-02,-1,,,,\nc1,s1,a9,2026-03-01,-1,,,,\n")
    assert warehouse.rows("select day, rows, reason from ops.coverage") == [
        (dt.date(2026, 3, 1), 2, "1 row of the file was refused")
    ]


def test_when_every_row_is_refused_nothing_is_written_but_the_refusals(load: Load, warehouse: Any) -> None:
    result = load(HEAD + "c,s,a,2026-03-01,-1,,,,\n")
    assert (result.rows_imported, result.rows_refused) == (0, 1)
    assert warehouse.rows("select status from ops.import_log") == [("failed",)]
    assert warehouse.rows("select count(*) from ops.quarantine") == [(1,)]
    assert warehouse.rows(
        "select (select count(*) from ops.coverage) + (select count(*) from tenancy.ad_accounts)"
    ) == [(0,)]


@pytest.mark.parametrize(
    ("text", "options", "message", "hint"),
    [
        (GOOD, {"platform": "facebook"}, "no platform 'facebook'", "meta"),
        (GOOD, {"platform": "shopify"}, "shopify has no ad figures", "meta"),
        (GOOD, {"currency": "euro"}, "'euro' is no currency", "three letters"),
        (GOOD, {"mapping": {"Nope": "spend"}}, "no column 'Nope'", "campaign_id"),
        (GOOD, {"mapping": {"spend": "clicks", "impressions": "clicks"}}, "two columns", "one column"),
        (GOOD, {"day": dt.date(2026, 3, 1)}, "has a day on each row", "Leave --day out"),
        (
            "ad_id,Preis,day\na,1,2026-03-01\n",
            {},
            "no column for spend; its columns are: ad_id, Preis, day",
            "--map",
        ),
        ("ad_id,spend\na,1\n", {}, "no column for the day", "--day"),
        ("ad_id,spend\na,1\n", {"day": dt.date(2026, 3, 11)}, "in the future", "has begun"),
        ("ad_id,day,spend\n", {}, "0 rows", "again"),
        ("ad_id,day,spend\nTotal,,5\n", {}, "0 rows besides its total", "again"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    load: Load, warehouse: Any, text: str, options: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        load(text, **options)
    assert hint in caught.value.hint
    for table in ("ops.coverage", "raw_manual.performance", "tenancy.ad_accounts"):
        assert warehouse.rows(f"select count(*) from {table}") == [(0,)]


@pytest.mark.parametrize("item", ["Spent", "=spend", "Spent=", "Spent=money"])
def test_a_mapping_that_means_nothing(item: str) -> None:
    with pytest.raises(ContractError, match="--map"):
        parse_mapping([item])
    assert parse_mapping(["a=b=spend"]) == {"a=b": "spend"}


def test_a_total_row_is_skipped_not_counted(load: Load, stored: Stored) -> None:
    for name, total in enumerate(
        ("Total,,,,14.75,1500,25,2,80", ",,,,14.75,1500,25,2,80", "Gesamt,,,,14.75,1,1,1,1")
    ):
        result = load(GOOD.replace("2026-03-01", f"2026-03-0{name + 1}") + total + "\n")
        assert (result.rows_skipped, result.rows_refused) == (1, 0)
    assert stored("sum(spend)") == [(Decimal("44.25"),)]


def test_a_campaign_called_total_is_a_campaign(load: Load, stored: Stored) -> None:
    load(
        "Campaign name,Campaign ID,Day,Cost\nTotal,7,2026-03-01,3\nTotal brand,8,2026-03-01,4\n",
        platform="google",
    )
    assert stored("sum(spend)") == [(7,)]


def test_rows_of_others_are_refused(load: Load, tenant_id: str) -> None:
    result = load(
        "tenant_id,platform,ad_id,day,spend\n"
        f"{tenant_id},meta,a,2026-03-01,1\nAcme,google,b,2026-03-01,1\nOther,meta,c,2026-03-01,1\n"
    )
    assert result.refused == [
        (3, "is of platform google, and the import of meta"),
        (4, "is of tenant Other, and the import of Acme"),
    ]


# -- twice is once, and order is nothing ------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing(load: Load, stored: Stored, warehouse: Any) -> None:
    first = load(GOOD)
    again = load(GOOD, name="copy.csv", now=dt.datetime(2026, 3, 12, tzinfo=dt.UTC))
    assert (first.unchanged, again.unchanged, again.coverage_days) == (False, True, 0)
    assert stored("count(*)") == [(2,)]
    assert warehouse.rows("select count(*), sum(rows) from ops.coverage") == [(1, 2)]
    assert warehouse.rows("select status from ops.import_log order by import_id") == [
        ("completed",),
        ("unchanged",),
    ]


def test_an_older_file_after_a_newer_one_is_news(load: Load) -> None:
    newer = GOOD.replace("10.50", "11.50")
    assert [load(text).unchanged for text in (GOOD, newer, GOOD, GOOD)] == [False, False, False, True]


def test_other_options_or_a_refused_future_make_another_import(load: Load) -> None:
    load(GOOD + "c1,s1,a1,2026-03-11,1,1,1,0,0\n")
    later = load(GOOD + "c1,s1,a1,2026-03-11,1,1,1,0,0\n", now=dt.datetime(2026, 3, 12, tzinfo=dt.UTC))
    assert (later.unchanged, later.rows_refused) == (False, 0)
    assert not load(GOOD, mapping={"conversions": "ignore"}).unchanged


def test_the_order_of_rows_never_changes_a_total(load: Load, stored: Stored) -> None:
    rows = [f"c{n % 3},s{n % 7},a{n % 40},2026-03-0{n % 5 + 1},{n}.25,{n * 10},{n},,{n}" for n in range(60)]
    rows += [*rows[:5], rows[7].replace(".25", ".75")]
    seen = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        result = load(HEAD + "\n".join(rows) + "\n", account=f"account {seed}")
        seen.append(
            (
                result.totals,
                result.rows_imported,
                sorted(reason.split(" line")[0] for _, reason in result.refused),
            )
        )
    assert seen[0] == seen[1] == seen[2]
    assert len(set(stored("account_id, sum(spend) over (partition by account_id)"))) == 3


def test_known_on_makes_versions(load: Load, stored: Stored) -> None:
    result = load(
        "ad_id,day,known_on,spend,conversions\na,2026-03-01,2026-03-01,5,1\na,2026-03-01,2026-03-04,5,3\n"
        "b,2026-03-02,2026-03-01,5,3\n"
    )
    assert stored("day, known_on, reported_on, conversions") == [
        (dt.date(2026, 3, 1), dt.date(2026, 3, 1), dt.date(2026, 3, 1), 1),
        (dt.date(2026, 3, 1), dt.date(2026, 3, 4), dt.date(2026, 3, 4), 3),
    ]
    assert result.refused == [(4, "known_on is before the day itself")]
    assert result.totals[0].conversions == 3


def test_figures_count_as_reported_on_the_imports_yesterday(load: Load, stored: Stored) -> None:
    load("ad_id,day,spend\na,2026-03-01,5\na,2026-03-10,5\n")
    assert stored("day, known_on, reported_on") == [
        (dt.date(2026, 3, 1), None, dt.date(2026, 3, 9)),
        (dt.date(2026, 3, 10), None, dt.date(2026, 3, 10)),
    ]
