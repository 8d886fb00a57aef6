"""From the emulator to the contract: what the marts say is what the world's truth says, then and now."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from dlt_pipelines.common.windows import Window
from flows.transform import BuildResult, build

AS_OF = dt.date(2026, 11, 19)
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
WEEK = Window(AS_OF - 6 * DAY, AS_OF)
ACCOUNT, OTHER = "238461750920317", "238490113377405"
CHAIN = ("+int_ads__built_account_days", "+data_status", "+entities", "+int_entities__changes")


@pytest.fixture(scope="session")
def dbt_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meta-dbt")


@pytest.fixture(autouse=True)
def data_folder(dbt_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_DATA_DIR", str(dbt_home))


def accept(office: Any, state: str = "accepted") -> None:
    """The quality step's part, which is not the question here."""
    with office.warehouse.connect("owner") as connection:
        connection.execute(
            "update ops.coverage set state = %s where source = 'api' and state = 'pending'", (state,)
        )


def built(office: Any, *select: str, **options: Any) -> BuildResult:
    accept(office)
    result = build(office.connections, select=select or CHAIN, **options)
    assert result.ok, [f"{node.name}: {node.message}" for node in result.failures]
    return result


LEVELS = ("ad", "adset", "campaign", "account")


def summed(rows: list[Any], event: str) -> tuple[Any, ...]:
    counted = [row for row in rows if row.conversion_event == event]
    return (
        sum((row.spend for row in rows), Decimal(0)),
        sum(row.impressions for row in rows),
        sum(row.clicks for row in rows),
        sum(row.link_clicks for row in rows),
        sum((row.conversions for row in counted), Decimal(0)),
        sum((row.conversion_value for row in counted), Decimal(0)),
        sum((row.view_through_conversions for row in counted), Decimal(0)),
    )


def served(office: Any, account: str, level: str) -> tuple[Any, ...]:
    return office.warehouse.rows(  # type: ignore[no-any-return]
        """
        select
            sum(spend), sum(impressions), sum(clicks), sum(link_clicks), sum(conversions), sum(conversion_value),
            sum(view_through_conversions)
        from ads.metrics_daily where account_id = %s and level = %s and source = 'api'
        """,
        (account, level),
    )[0]


def ran(office: Any, as_of: dt.date) -> None:
    """The daily run of that day is done."""
    with office.warehouse.connect("owner") as connection:
        connection.execute(
            "insert into ops.daily_runs (tenant_id, as_of, status) values (%s, %s, 'done')",
            (office.tenant_id, as_of),
        )
        connection.execute(
            """
            insert into ops.as_of (tenant_id, as_of) values (%s, %s)
            on conflict (tenant_id) do update set as_of = excluded.as_of
            """,
            (office.tenant_id, as_of),
        )


def test_the_marts_are_the_worlds_truth_then_and_later(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT, OTHER)
    office.sync(WEEK)
    built(office)
    for account in (ACCOUNT, OTHER):
        expected = summed(rig.truth(account), "purchase")
        assert [served(office, account, level) for level in LEVELS] == [expected] * 4, account
    check_events(office, rig)
    check_entities(office, rig)
    check_status(office)
    assert office.warehouse.rows(
        "select distinct known_on, reported_on, source from history.performance_versions"
    ) == [(AS_OF, AS_OF, "api")]

    # Three days later: restated, withdrawn and new rows; what was known then stays.
    ran(office, AS_OF)
    later = AS_OF + 3 * DAY
    rig.emulator.clock.set_as_of(later)
    office.sync(Window(WEEK.first, later), now=NOW + 3 * DAY, force=True)
    built(office)
    whole = Window(WEEK.first, later)
    for account in (ACCOUNT, OTHER):
        expected = summed(rig.truth(account, whole, later), "purchase")
        assert [served(office, account, level) for level in LEVELS] == [expected] * 4, account
    as_of_then = office.warehouse.rows(
        """
        select account_id, sum(spend), sum(conversions) from (
            select distinct on (account_id, platform_id, day) account_id, spend, conversions, is_withdrawn
            from intermediate.int_history__performance_versions
            where level = 'ad' and known_on <= %s
            order by account_id, platform_id, day, known_on desc
        ) as known where not is_withdrawn group by account_id order by account_id
        """,
        (AS_OF,),
    )
    assert as_of_then == [
        (account, summed(rig.truth(account), "purchase")[0], summed(rig.truth(account), "purchase")[4])
        for account in (ACCOUNT, OTHER)
    ]
    assert as_of_then[0][2] != served(office, ACCOUNT, "ad")[4], "nothing was restated: the test says nothing"
    assert office.warehouse.rows("select distinct known_on from history.performance_versions order by 1") == [
        (AS_OF,),
        (later,),
    ]

    # The same again stores nothing. Another event is another choice of what is there already.
    before = office.warehouse.rows(
        "select count(*), md5(string_agg(v::text, '' order by v::text)) from history.performance_versions as v"
    )
    with office.warehouse.connect("owner") as connection:
        connection.execute(
            "update tenancy.ad_accounts set conversion_event = 'lead' where account_id = %s", (ACCOUNT,)
        )
    office.sync(whole, now=NOW + 3 * DAY, force=True)
    built(office)
    assert before == office.warehouse.rows(
        "select count(*), md5(string_agg(v::text, '' order by v::text)) from history.performance_versions as v"
    )
    for account, event in ((ACCOUNT, "lead"), (OTHER, "purchase")):
        expected = summed(rig.truth(account, whole, later), event)
        assert [served(office, account, level)[4] for level in LEVELS] == [expected[4]] * 4, (account, event)


def check_events(office: Any, rig: Any) -> None:
    for event in ("purchase", "lead"):
        expected = summed([*rig.truth(ACCOUNT), *rig.truth(OTHER)], event)
        for level in LEVELS:
            found = office.warehouse.rows(
                """
                select sum(conversions), coalesce(sum(conversion_value), 0) from ads.conversions_daily
                where level = %s and event = %s and attribution_window = 'default'
                """,
                (level, event),
            )
            assert found == [expected[4:6]], (level, event)
    kinds = office.warehouse.rows("select distinct event, attribution_window from ads.conversions_daily")
    assert {("purchase", "7d_click"), ("purchase", "1d_view"), ("vendor:link_click", "default")} <= set(kinds)
    assert not [event for event, _ in kinds if "omni_" in event or "fb_pixel_purchase" in event]
    assert office.warehouse.rows("select distinct conversion_event from tenancy.ad_accounts") == [
        ("purchase",)
    ]


def check_entities(office: Any, rig: Any) -> None:
    world = rig.emulator.world
    campaigns = {one.campaign_id: one for one in world.campaigns(AS_OF) if one.account_id in (ACCOUNT, OTHER)}
    found = office.warehouse.rows(
        "select platform_id, name, status, target_roas::float8, target_cpa::float8, daily_budget from ads.entities where level = 'campaign'"
    )
    assert {row[0] for row in found} == set(campaigns)
    assert {(row[0], row[1]) for row in found} == {(key, one.name) for key, one in campaigns.items()}
    # Long ended ones are archived on the platform.
    assert {(campaigns[row[0]].status, row[2]) for row in found} <= {
        ("active", "active"), ("paused", "paused"), ("ended", "ended"), ("ended", "removed"), ("removed", "removed"),
    }  # fmt: skip
    budgets = {row[0]: row[5] for row in found if row[5] is not None}
    assert budgets and all(budgets[key] == campaigns[key].daily_budget for key in budgets)
    # The others' budgets are on their ad sets, in parts.
    of_adsets = dict(
        office.warehouse.rows(
            """
            select campaign_id, sum(daily_budget) from ads.entities
            where level = 'adset' and daily_budget is not null and budget_level = 'adset' group by campaign_id
            """
        )
    )
    assert set(of_adsets) == set(campaigns) - set(budgets)
    assert all(of_adsets[key] == campaigns[key].daily_budget for key in of_adsets)
    targets = office.warehouse.rows(
        "select campaign_id, max(target_roas)::float8, max(target_cpa)::float8 from ads.entities where level = 'adset' group by 1"
    )
    assert [
        row
        for row in targets
        if row[1:]
        != tuple(
            None if value is None else float(value)
            for value in (campaigns[row[0]].target_roas, campaigns[row[0]].target_cpa)
        )
    ] == []
    ads = {one.ad_id: one for one in world.ads(AS_OF) if one.account_id in (ACCOUNT, OTHER)}
    links = office.warehouse.rows("select platform_id, url, status from ads.entities where level = 'ad'")
    assert len(links) >= 10
    # a deleted ad's creative stands on no edge
    assert all(url.startswith("https://") if url else status == "removed" for _, url, status in links)
    assert {status for *_, status in links} <= {"active", "paused", "ended", "removed", "other"}
    assert {one for one, *_ in links} <= set(ads)
    assert office.warehouse.rows("select distinct status from ads.entities where level = 'account'") == [
        ("active",)
    ]
    learning = office.warehouse.rows(
        "select distinct learning_state from ads.entities where level = 'adset' and learning_state is not null"
    )
    assert learning and {row[0] for row in learning} <= {"learning", "limited", "exited"}


def check_status(office: Any) -> None:
    rows = office.warehouse.rows(
        """
        select state, reason, ad_sum = campaign_total and ad_sum = account_total, difference, quality_score > 90
        from ads.data_status where state <> 'missing'
        """
    )
    assert rows == [("provisional", "the platform may still restate this day", True, Decimal(0), True)] * 14


# -- rows as one likes them ---------------------------------------------------------------------------------

THERE = "99999999"


class Desk:
    """Raw rows and coverage of one account, as a sync would leave them."""

    def __init__(self, warehouse: Any, tenant_id: str, currency: str = "EUR") -> None:
        self.warehouse, self.tenant_id, self.currency, self.loads = warehouse, tenant_id, currency, 0
        self.connections = warehouse.database.connections()
        self.put("tenancy.ad_accounts", tenant_id=tenant_id, platform="meta", account_id=THERE, currency=currency,
                 timezone="Europe/Berlin", source="api")  # fmt: skip

    def put(self, table: str, **row: Any) -> None:
        with self.warehouse.connect("admin") as connection:
            connection.execute(
                f"insert into {table} ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
                [Jsonb(value) if isinstance(value, list | dict) else value for value in row.values()],
            )

    def load(
        self,
        at: dt.datetime,
        days: list[dt.date],
        ads: list[dict[str, Any]] | None = None,
        totals: list[dict[str, Any]] | None = None,
        entities: dict[str, list[dict[str, Any]]] | None = None,
        state: str = "accepted",
        reason: str | None = None,
    ) -> str:
        self.loads += 1
        stamp = {
            "tenant_id": self.tenant_id,
            "account_id": THERE,
            "load_id": f"meta-{self.tenant_id[:8]}-{self.loads}",
            "loaded_at": at,
        }
        self.put(
            "ops.import_log", load_id=stamp["load_id"], kind="api", source_name="meta", status="completed"
        )
        for row in ads or []:
            plain = {
                "campaign_id": "c1",
                "adset_id": "s1",
                "impressions": 100,
                "clicks": 5,
                "currency": self.currency,
            }
            self.put("raw_meta.insights", **stamp, **{**plain, **row})
        for row in totals or []:
            self.put("raw_meta.insights_totals", **stamp, **{"currency": self.currency, **row})
        for table, rows in (entities or {}).items():
            for row in rows:
                self.put(f"raw_meta.{table}", **stamp, **row)
        for day in days:
            count = sum(row["day"] == day for row in ads or [])
            self.put("ops.coverage", load_id=stamp["load_id"], tenant_id=self.tenant_id, platform="meta",
                     account_id=THERE, day=day, source="api", rows=count, state=state, reason=reason,
                     covered_at=at)  # fmt: skip
        return str(stamp["load_id"])


def actions(**counts: str) -> list[dict[str, str]]:
    return [{"action_type": name.replace("__", "."), "value": value} for name, value in counts.items()]


def test_what_a_platform_may_say(warehouse: Any) -> None:
    """Two tenants with one account id, one in yen: tiers, residuals, refusals, withdrawals, unknown words."""
    first = Desk(warehouse, warehouse.add_tenant("First"))
    second = Desk(warehouse, warehouse.add_tenant("Second", "JPY", "Asia/Tokyo"), "JPY")
    d1, d2, today = dt.date(2026, 11, 17), dt.date(2026, 11, 18), dt.date(2026, 11, 19)
    morning = dt.datetime(2026, 11, 19, 6, tzinfo=dt.UTC)
    tiers = {"omni_purchase": "3", "purchase": "3", "offsite_conversion__fb_pixel_purchase": "3"}
    first.load(
        morning,
        [d1, d2, today],
        [
            {"day": d1, "ad_id": "a1", "spend": 41.07, "actions": actions(link_click="61", **tiers),
             "action_values": actions(omni_purchase="187.5", purchase="187.5")},
            {"day": d1, "ad_id": "a2", "spend": 0, "impressions": 0, "actions": actions(omni_purchase="1", purchase="1")},
            {"day": d1, "ad_id": "a3", "spend": 9, "actions": actions(
                offsite_conversion__fb_pixel_purchase="2", app_custom_event__fb_mobile_purchase="1", lead="4")},
            {"day": d2, "ad_id": "a1", "spend": 10},
            {"day": d2, "ad_id": "a2", "spend": 5},
            {"day": d2, "ad_id": "a3", "spend": 7, "actions": actions(purchase="many")},
            {"day": today, "ad_id": "a1", "spend": 1},
        ],
        [
            {"day": d1, "level": "campaign", "platform_id": "c1", "spend": 60.07, "impressions": 300, "clicks": 15,
             "reach": 250, "frequency": 1.2, "actions": actions(purchase="9")},
            {"day": d1, "level": "account", "platform_id": THERE, "spend": 60.07, "reach": 240, "frequency": 1.3},
        ],
        {
            "accounts": [{"account_status": 1, "currency": "EUR", "name": "Shop"}],
            "campaigns": [
                {"campaign_id": "c1", "name": "One", "effective_status": "ACTIVE", "objective": "OUTCOME_SALES",
                 "daily_budget": "1250"},
                {"campaign_id": "c2", "name": "Two", "effective_status": "HIBERNATING", "objective": "OUTCOME_NEW"},
                {"campaign_id": "c3", "name": "Over", "effective_status": "ACTIVE", "stop_time": morning},
            ],
            "adsets": [{"adset_id": "s1", "campaign_id": "c1", "effective_status": "PAUSED", "learning_stage": "FAIL",
                        "daily_budget": "0", "bid_strategy": "COST_CAP", "bid_amount": "1999"}],
            "ads": [{"ad_id": "a1", "adset_id": "s1", "campaign_id": "c1", "effective_status": "ACTIVE",
                     "creative_id": "x"}],
            "creatives": [{"creative_id": "x", "link": "https://shop.example/a", "body": "Buy"}],
        },
        reason="the day was not over",
    )  # fmt: skip
    second.load(
        morning, [d1], [{"day": d1, "ad_id": "a1", "spend": 5000, "actions": actions(lead="2")}], None,
        {
            "accounts": [{"account_status": 1, "currency": "JPY"}],
            "campaigns": [{"campaign_id": "c1", "effective_status": "ACTIVE", "objective": "OUTCOME_LEADS",
                           "daily_budget": "1250"}],
        },
    )  # fmt: skip
    built(first)
    rows = warehouse.rows
    ads = {
        (name, day, one): figures
        for name, one, day, *figures in rows(
            """
            select t.name, platform_id, day, spend::float8, conversions::float8, conversion_value::float8
            from ads.metrics_daily inner join tenancy.tenants as t using (tenant_id) where level = 'ad'
            """
        )
    }
    assert ads[("First", d1, "a1")] == [41.07, 3, 187.5]
    assert ads[("First", d1, "a2")] == [0, 1, None], "a conversion without any value has none"
    assert ads[("First", d1, "a3")] == [9, 3, None], "no total: the specific types are added up"
    assert ("First", d2, "a3") not in ads, "its action is no number"
    assert ads[("Second", d1, "a1")] == [5000, 2, None], "all its campaigns seek leads"
    assert rows("select reason, platform_id from staging.stg_meta__performance_daily__refused") == [
        ("an action has no type, or its figure is no number", "a3")
    ]
    # What only the campaign's own report says; reach is the platform's own, never a sum.
    assert rows(
        """
        select platform_id, spend::float8, impressions, conversions::float8, reach from ads.metrics_daily
        where day = %s and currency = 'EUR' and level <> 'ad' order by level, platform_id
        """,
        (d1,),
    ) == [
        (THERE, 60.07, 300, 9, 240), ("c1~unattributed", 10, 100, 2, None), ("s1", 50.07, 200, 7, None),
        ("c1", 60.07, 300, 9, 250),
    ]  # fmt: skip
    assert rows(
        "select event, platform_id, conversions::float8 from ads.conversions_daily where day = %s and currency = 'EUR' and level = 'adset' order by 1, 2",
        (d1,),
    ) == [
        ("lead", "s1", 4),
        ("purchase", "c1~unattributed", 2),
        ("purchase", "s1", 7),
        ("vendor:link_click", "s1", 61),
    ]
    assert rows("select day, message from ops.findings where check_name = 'totals_differ'") == [
        (d1, "The platform's own totals and its ads differ by 10 (16.6 %).")
    ]
    assert rows("select currency, conversion_event from tenancy.ad_accounts order by 1") == [
        ("EUR", "purchase"), ("JPY", "lead"),
    ]  # fmt: skip
    entities = {
        (name, level, one): found
        for name, level, one, *found in rows(
            """
            select t.name, level, platform_id, status, e.daily_budget::float8, target_cpa::float8, learning_state, url
            from ads.entities as e inner join tenancy.tenants as t using (tenant_id)
            """
        )
    }
    assert entities[("First", "campaign", "c1")][:2] == ["active", 12.5]
    assert entities[("Second", "campaign", "c1")][:2] == ["active", 1250]
    assert entities[("First", "campaign", "c2")][0] == "other"
    assert entities[("First", "campaign", "c3")][0] == "ended"
    assert entities[("First", "adset", "s1")][:4] == ["paused", None, 19.99, "limited"]
    assert entities[("First", "ad", "a1")] == ["paused", None, None, None, "https://shop.example/a"]
    assert rows("select objective from ads.entities where platform_id = 'c2'") == [("OUTCOME_NEW",)]
    # Today's part is shown, and judged by nobody.
    assert rows(
        "select state, reason, currency from ads.data_status where day = %s order by 3", (today,)
    ) == [("provisional", "the day was not over", "EUR"), ("missing", "no load covers this day", "JPY")]
    assert rows("select max(as_of) from intermediate.int_run__as_of") == [(d2,)]
    assert rows("select is_complete from intermediate.int_ads__account_days where day = %s", (today,)) == [
        (False,)
    ]

    # Later that day, before any daily run: the newer pull replaces the earlier. a2 is gone, a3 can be read now.
    first.load(
        morning + dt.timedelta(hours=2),
        [d1, d2],
        [
            {"day": d1, "ad_id": "a1", "spend": 41.07, "actions": actions(**tiers),
             "action_values": actions(omni_purchase="187.5", purchase="187.5")},
            {"day": d1, "ad_id": "a3", "spend": 9, "actions": actions(purchase="many")},
            {"day": d2, "ad_id": "a1", "spend": 11},
            {"day": d2, "ad_id": "a3", "spend": 7},
        ],
        None,
        {"accounts": [{"account_status": 2, "currency": "EUR"}], "campaigns": [
            {"campaign_id": "c1", "name": "One", "effective_status": "ACTIVE", "daily_budget": "2500"}]},
    )  # fmt: skip
    built(first)
    versions = rows(
        """
        select platform_id, day, spend::float8, is_withdrawn from history.performance_versions
        where level = 'ad' and currency = 'EUR' and known_on = %s order by 1, 2
        """,
        (d2,),
    )
    assert versions == [
        ("a1", d1, 41.07, False), ("a1", d2, 11, False), ("a2", d1, None, True), ("a2", d2, None, True),
        ("a3", d1, 9, False), ("a3", d2, 7, False),
    ]  # fmt: skip
    assert rows("select count(*) from ads.metrics_daily where platform_id = 'a2'") == [(0,)]
    assert rows(
        "select level, status, daily_budget::float8 from ads.entities where platform_id in (%s, 'c1') and currency = 'EUR' order by 1",
        (THERE,),
    ) == [("account", "paused", None), ("campaign", "paused", 25)]

    # After the run of the 18th its versions are fixed: what comes is known on the 19th, and a2 is back.
    with warehouse.connect("owner") as connection:
        connection.execute(
            "insert into ops.daily_runs (tenant_id, as_of, status) values (%s, %s, 'done')",
            (first.tenant_id, d2),
        )
    first.load(
        morning + dt.timedelta(hours=4), [d2],
        [{"day": d2, "ad_id": "a1", "spend": 12}, {"day": d2, "ad_id": "a2", "spend": 5}, {"day": d2, "ad_id": "a3", "spend": 7}],
        None, {"accounts": [{"account_status": 1, "currency": "EUR"}], "campaigns": [
            {"campaign_id": "c1", "name": "One", "effective_status": "PAUSED", "daily_budget": "2500"}]},
    )  # fmt: skip
    first.load(morning + dt.timedelta(hours=5), [d1], [], state="withheld", reason="too few rows")
    with warehouse.connect("owner") as connection:
        connection.execute(
            "insert into ops.as_of (tenant_id, as_of) values (%s, %s)", (first.tenant_id, today)
        )
    built(first)
    assert rows(
        """
        select platform_id, known_on, spend::float8, is_withdrawn from history.performance_versions
        where level = 'ad' and currency = 'EUR' and day = %s order by 1, 2
        """,
        (d2,),
    ) == [
        ("a1", d2, 11, False), ("a1", today, 12, False), ("a2", d2, None, True), ("a2", today, 5, False),
        ("a3", d2, 7, False),
    ]  # fmt: skip
    assert rows(
        "select platform_id, field, day, old_value, new_value from intermediate.int_entities__changes order by 1, 2"
    ) == [(THERE, "status", today, "paused", "active"), ("c1", "status", today, "active", "paused")]
    assert rows(
        "select day, state, reason from ads.data_status where currency = 'EUR' and day = %s", (d1,)
    ) == [(d1, "provisional", "too few rows")]
    assert rows(
        "select sum(spend)::float8 from ads.metrics_daily where level = 'ad' and day = %s and currency = 'EUR'",
        (d1,),
    ) == [(50.07,)], "a withheld load takes nothing away"
