"""What a report says is what the world knows: every figure, every level, every split, on every day of knowing."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meta_client import ALL_ADS, AS_OF, Api, by_tier, days, span

from emulator.meta import Meta
from emulator.server import Server
from emulator.world import Account, AdDay

FIRST = AS_OF - timedelta(days=9)
FIELDS = "campaign_id,adset_id,ad_id,ad_name,spend,impressions,clicks,inline_link_clicks,reach,frequency,actions,action_values"


def known(meta: Meta, account: Account, first: date, last: date, known_on: date = AS_OF) -> list[AdDay]:
    return [row for day in days(first, last) for row in meta.world.ads_known_on(account, day, known_on)]


def total(rows: list[dict], name: str) -> Decimal:
    return sum((Decimal(row.get(name, 0)) for row in rows), Decimal(0))


def test_every_row_is_the_worlds(api: Api, meta: Meta) -> None:
    for account in meta.accounts.values():
        truth = {(row.ad_id, row.day.isoformat()): row for row in known(meta, account, FIRST, AS_OF)}
        rows = api.daily(account, FIRST, AS_OF, FIELDS)
        assert {(row["ad_id"], row["date_start"]) for row in rows} == set(truth)
        assert len(rows) == len(truth) > 50
        for row in rows:
            fact = truth[(row["ad_id"], row["date_start"])]
            assert row["date_stop"] == row["date_start"]
            assert (row["campaign_id"], row["adset_id"], row["ad_name"]) == (
                fact.campaign_id, fact.adset_id, fact.ad_name,
            )  # fmt: skip
            assert Decimal(row["spend"]) == fact.spend
            assert (row["impressions"], row["clicks"]) == (str(fact.impressions), str(fact.clicks))
            assert int(row.get("inline_link_clicks", 0)) == fact.link_clicks
            assert int(row["reach"]) == fact.reach
            assert by_tier(row, fact.conversion_event) == fact.conversions
            if fact.conversion_event == "purchase":
                assert by_tier(row, "purchase", "action_values") == fact.conversion_value


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(day=st.dates(date(2024, 6, 1), date(2026, 6, 1)), age=st.integers(0, 40))
def test_any_day_at_any_age(
    api: Api, meta: Meta, account: Account, server: Server, day: date, age: int
) -> None:
    server.emulator.clock.set_as_of(day + timedelta(days=age))
    rows = api.daily(account, day, day, FIELDS)
    truth = known(meta, account, day, day, day + timedelta(days=age))
    assert total(rows, "spend") == sum(row.spend for row in truth)
    conversions = sum(by_tier(row, "purchase") + by_tier(row, "lead") for row in rows)
    assert conversions == sum(row.conversions for row in truth)


def test_adding_the_list_up_counts_several_times(api: Api, account: Account) -> None:
    rows = api.daily(account, AS_OF - timedelta(days=60), AS_OF, "ad_id,actions")
    truth = sum(by_tier(row, "purchase") for row in rows)
    everything = sum(
        Decimal(each["value"])
        for row in rows
        for each in row.get("actions", [])
        if "purchase" in each["action_type"]
    )
    assert everything > 3 * truth
    kinds = {each["action_type"] for row in rows for each in row.get("actions", [])}
    assert {
        "omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase", "onsite_web_purchase", "lead",
        "offsite_conversion.fb_pixel_lead", "onsite_conversion.lead_grouped", "link_click", "page_engagement",
        "omni_add_to_cart", "add_to_cart", "offsite_conversion.fb_pixel_add_to_cart",
    } <= kinds  # fmt: skip
    tops = [{each["action_type"] for each in row.get("actions", [])} for row in rows]
    assert any("purchase" in types and "omni_purchase" not in types for types in tops)
    pixel = "offsite_conversion.fb_pixel_purchase"
    assert any(pixel in types and not {"purchase", "omni_purchase"} & types for types in tops)


def test_levels_and_increments_add_up(api: Api, meta: Meta, account: Account) -> None:
    first = AS_OF - timedelta(days=24)
    truth = known(meta, account, first, AS_OF)
    spend = sum(row.spend for row in truth)
    conversions = sum(row.conversions for row in truth)
    path = f"/act_{account.account_id}/insights"
    for level in ("account", "campaign", "adset", "ad"):
        statuses = json.dumps(
            [{"field": f"{level}.effective_status", "operator": "IN", "value": ["ACTIVE", "PAUSED", "ARCHIVED",
              "DELETED", "CAMPAIGN_PAUSED"]}]
        )  # fmt: skip
        for increment in (1, 7, "monthly", "all_days"):
            more = {} if level == "account" else {"filtering": statuses}
            rows = api.all(
                path, level=level, time_increment=increment, time_range=span(first, AS_OF), limit=500,
                fields="spend,impressions,actions", **more,
            )  # fmt: skip
            assert total(rows, "spend") == spend, (level, increment)
            assert total(rows, "impressions") == sum(row.impressions for row in truth)
            assert sum(by_tier(row, "purchase") + by_tier(row, "lead") for row in rows) == conversions
    weeks = api.all(path, time_increment=7, time_range=span(first, AS_OF), fields="spend")
    assert [(row["date_start"], row["date_stop"]) for row in weeks][-1] == ("2026-11-16", "2026-11-19")
    assert len(weeks) == 4


def test_reach_is_not_additive(api: Api, account: Account) -> None:
    rows = api.daily(account, FIRST, AS_OF, "reach,impressions")
    whole = api.get(
        f"/act_{account.account_id}/insights",
        fields="reach,impressions,frequency",
        time_range=span(FIRST, AS_OF),
    )
    (row,) = whole.rows
    assert max(int(each["reach"]) for each in rows) < int(row["reach"]) < total(rows, "reach")
    assert Decimal(row["frequency"]) == pytest.approx(
        Decimal(row["impressions"]) / Decimal(row["reach"]), rel=Decimal("0.00001")
    )


def test_hidden_ads_are_in_the_totals_only(api: Api, account: Account) -> None:
    first, last = date(2026, 7, 1), date(2026, 7, 10)
    path = f"/act_{account.account_id}/insights"
    asked = {"fields": "spend", "time_range": span(first, last), "limit": 500}
    shown = total(api.all(path, level="ad", **asked), "spend")
    everything = total(api.all(path, level="ad", filtering=ALL_ADS, **asked), "spend")
    assert shown < everything == total(api.all(path, level="account", **asked), "spend")


def test_figures_are_restated_until_day_28(api: Api, meta: Meta, account: Account, server: Server) -> None:
    day, seen = date(2026, 9, 1), []
    for age in (0, 1, 2, 5, 14, 28, 29, 45):
        server.emulator.clock.set_as_of(day + timedelta(days=age))
        rows = api.daily(account, day, day, FIELDS)
        seen.append((total(rows, "spend"), sum(by_tier(row, "purchase") for row in rows)))
        assert seen[-1][0] == sum(
            row.spend for row in known(meta, account, day, day, day + timedelta(days=age))
        )
    assert all(earlier[1] <= later[1] for earlier, later in pairwise(seen))
    assert seen[0][0] < seen[2][0] and seen[0][1] < seen[5][1]
    assert seen[5] == seen[6] == seen[7]


def test_withdrawn_ads_take_their_rows_along(api: Api, meta: Meta, account: Account, server: Server) -> None:
    tenant = account.tenant_id
    ad = max(
        (
            each
            for each in meta.world.ads(AS_OF, tenant=tenant)
            if each.is_withdrawn and each.account_id == account.account_id
        ),
        key=lambda each: each.created_on,
    )
    assert ad.removed_on is not None
    period = (ad.created_on, ad.created_on + timedelta(days=5))
    server.emulator.clock.set_as_of(ad.removed_on - timedelta(days=1))
    assert ad.ad_id in {row["ad_id"] for row in api.daily(account, *period, "ad_id")}
    server.emulator.clock.set_as_of(ad.removed_on)
    assert ad.ad_id not in {row["ad_id"] for row in api.daily(account, *period, "ad_id")}


def test_days_are_days_of_the_account(api: Api, meta: Meta, server: Server) -> None:
    """At 05:00 UTC it is still yesterday's evening in California, and already today in Berlin."""
    server.emulator.clock.set_now(datetime(2026, 11, 20, 5, tzinfo=UTC))
    zones = {account.timezone: account for account in meta.accounts.values()}
    berlin, california = zones["Europe/Berlin"], zones["America/Los_Angeles"]
    day = date(2026, 11, 19)
    rows = api.daily(berlin, day, day, "spend")
    assert total(rows, "spend") == sum(row.spend for row in known(meta, berlin, day, day, day))
    rows = api.daily(california, day, day, "spend")
    whole = sum(row.spend for row in known(meta, california, day, day, day))
    assert Decimal("0.8") * whole < total(rows, "spend") < Decimal("0.9") * whole
    last = api.get(f"/act_{california.account_id}/insights", fields="spend", date_preset="yesterday")
    assert last.rows[0]["date_start"] == "2026-11-18"


def test_today_grows_and_the_future_is_empty(api: Api, account: Account, server: Server) -> None:
    today = AS_OF + timedelta(days=1)
    before = total(api.daily(account, today, today + timedelta(days=5), "spend"), "spend")
    server.emulator.clock.advance(timedelta(hours=3))
    assert 0 < before < total(api.daily(account, today, today + timedelta(days=5), "spend"), "spend")
    answer = api.get(
        f"/act_{account.account_id}/insights", time_range=span(date(2026, 12, 1), date(2026, 12, 5))
    )
    assert answer.json == {"data": []}


def test_history_ends_37_months_ago(api: Api, account: Account) -> None:
    path = f"/act_{account.account_id}/insights"
    oldest = date(2023, 10, 20)
    answer = api.get(path, time_range=span(oldest - timedelta(days=1), AS_OF))
    assert answer.error == (3018, None)
    assert api.get(path, fields="spend", time_range=span(oldest, date(2024, 1, 5))).rows
    assert (
        api.get(path, date_preset="maximum", level="account", fields="spend").rows[0]["date_start"]
        == "2023-10-20"
    )


def test_windows_only_when_asked_for(api: Api, account: Account) -> None:
    plain = api.daily(account, FIRST, AS_OF, "actions")
    assert {key for row in plain for each in row.get("actions", []) for key in each} == {
        "action_type",
        "value",
    }
    windows = ["1d_click", "7d_click", "28d_click", "1d_view", "7d_view", "28d_view"]
    rows = api.daily(
        account, FIRST, AS_OF, "actions,action_values", action_attribution_windows=json.dumps(windows)
    )
    seen: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        for each in [*row.get("actions", []), *row.get("action_values", [])]:
            assert not {"7d_view", "28d_view"} & set(each)
            figure = {name: Decimal(each.get(name, 0)) for name in windows}
            assert figure["1d_click"] <= figure["7d_click"] <= figure["28d_click"]
            assert Decimal(each["value"]) == figure["7d_click"] + figure["1d_view"]
            assert all(Decimal(each[name]) for name in windows if name in each)
            for name in windows:
                seen[name] += figure[name]
    assert seen["28d_click"] > seen["7d_click"] > seen["1d_click"] > 0 < seen["1d_view"]
    assert (
        api.get(f"/act_{account.account_id}/insights", action_attribution_windows='["9d_click"]').error[0]
        == 100
    )


def test_what_is_nothing_is_absent(api: Api, account: Account) -> None:
    fields = "spend,impressions,cpc,ctr,inline_link_clicks,cost_per_inline_link_click,actions,action_values,video_p25_watched_actions"
    rows = api.daily(account, AS_OF - timedelta(days=90), AS_OF, fields)
    for row in rows:
        assert all(isinstance(value, (str, list)) and value != [] for value in row.values())
        assert row.get("inline_link_clicks") != "0"
    assert any("action_values" not in row for row in rows)
    assert any("video_p25_watched_actions" in row for row in rows)
    assert any("video_p25_watched_actions" not in row for row in rows)


def test_every_field_of_the_reference(api: Api, account: Account) -> None:
    from emulator.meta.insights import FIELDS as ALL

    rows = api.daily(account, FIRST, AS_OF, ",".join(ALL))
    seen = {name for row in rows for name in row}
    silent = set(ALL) - seen
    assert silent == {"estimated_ad_recallers", "conversion_values", "mobile_app_purchase_roas"} & silent
    row = rows[0]
    assert row["attribution_setting"] == "7d_click_1d_view" and row["buying_type"] == "AUCTION"
    assert len(row["created_time"]) == len("2026-11-01")


def test_default_fields(api: Api, account: Account) -> None:
    row = api.get(f"/act_{account.account_id}/insights", level="ad").rows[0]
    assert set(row) == {
        "account_id", "campaign_id", "adset_id", "ad_id", "impressions", "spend", "date_start", "date_stop",
    }  # fmt: skip
    assert (row["date_start"], row["date_stop"]) == ("2026-10-21", "2026-11-19")


def test_time_ranges_replace_range_and_increment(api: Api, account: Account) -> None:
    ranges = [{"since": "2026-11-01", "until": "2026-11-03"}, {"since": "2026-10-01", "until": "2026-10-31"}]
    rows = api.get(
        f"/act_{account.account_id}/insights",
        fields="spend",
        time_increment=1,
        time_ranges=json.dumps(ranges),
    ).rows
    assert [(row["date_start"], row["date_stop"]) for row in rows] == [
        ("2026-10-01", "2026-10-31"), ("2026-11-01", "2026-11-03"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "preset",
    [
        "today",
        "yesterday",
        "last_7d",
        "this_month",
        "last_month",
        "last_quarter",
        "last_week_mon_sun",
        "last_year",
    ],
)
def test_presets(api: Api, account: Account, preset: str) -> None:
    assert api.get(f"/act_{account.account_id}/insights", fields="spend", date_preset=preset).rows


def test_filters(api: Api, account: Account) -> None:
    rows = api.daily(account, FIRST, AS_OF, "ad_id,campaign_id,impressions,spend")
    one = rows[0]
    for field, operator, value, keep in (
        ("ad.id", "IN", [one["ad_id"]], lambda row: row["ad_id"] == one["ad_id"]),
        ("campaign.id", "EQUAL", one["campaign_id"], lambda row: row["campaign_id"] == one["campaign_id"]),
        ("ad.impressions", "GREATER_THAN", 3000, lambda row: int(row["impressions"]) > 3000),
        ("spend", "LESS_THAN", 20, lambda row: Decimal(row["spend"]) < 20),
    ):
        filtering = [*json.loads(ALL_ADS), {"field": field, "operator": operator, "value": value}]
        found = api.daily(
            account, FIRST, AS_OF, "ad_id,campaign_id,impressions,spend", filtering=json.dumps(filtering)
        )
        assert found == [row for row in rows if keep(row)] != []


def test_sort(api: Api, account: Account) -> None:
    rows = api.daily(account, AS_OF, AS_OF, "spend", sort='["spend_descending"]')
    spends = [Decimal(row["spend"]) for row in rows]
    assert spends == sorted(spends, reverse=True) and len(set(spends)) > 5


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"level": "galaxy"}, 100),
        ({"fields": "spend,wish_bid"}, 100),
        ({"time_range": "yesterday"}, 100),
        ({"time_range": '{"since":"2026-11-05","until":"2026-11-01"}'}, 100),
        ({"time_range": '{"since":"2026-02-30","until":"2026-11-01"}'}, 100),
        ({"time_increment": "91"}, 100),
        ({"date_preset": "last_eon"}, 100),
        ({"limit": "0"}, 100),
        ({"filtering": '[{"field":"ad.id","operator":"LIKE","value":"1"}]'}, 100),
        ({"filtering": '[{"field":"ad.shoe_size","operator":"EQUAL","value":"1"}]'}, 100),
        ({"fields": "spend{"}, 2500),
        ({"sort": "spend"}, 100),
        ({"after": "QVFIdamaged"}, 2642),
        ({"limit": "5000"}, 1),
    ],
)
def test_bad_queries(api: Api, account: Account, parameters: dict[str, str], code: int) -> None:
    assert api.get(f"/act_{account.account_id}/insights", **parameters).error[0] == code


def test_too_many_data_points(api: Api, account: Account, meta: Meta) -> None:
    meta.settings.data_points = 100
    path, asked = (
        f"/act_{account.account_id}/insights",
        {"level": "ad", "time_increment": 1, "fields": "spend,clicks"},
    )
    assert api.get(path, time_range=span(AS_OF, AS_OF), **asked).rows
    assert api.get(path, time_range=span(FIRST, AS_OF), **asked).error == (100, 1487534)


def test_summary(api: Api, account: Account) -> None:
    asked = {
        "level": "ad",
        "time_range": span(FIRST, AS_OF),
        "fields": "spend,impressions",
        "filtering": ALL_ADS,
    }
    answer = api.get(f"/act_{account.account_id}/insights", summary='["impressions"]', **asked)
    rows = api.all(f"/act_{account.account_id}/insights", **asked)
    assert answer.json["summary"]["impressions"] == str(total(rows, "impressions"))
