"""Breakdowns: what may be combined, and that the parts are the whole."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from meta_client import AS_OF, Api, by_tier, span

from emulator.meta import Meta
from emulator.meta.breakdowns import is_legal
from emulator.server import Server
from emulator.world import Account

FIRST = AS_OF - timedelta(days=2)
HOURS = "hourly_stats_aggregated_by_advertiser_time_zone"
LEGAL = [
    ["age"], ["gender"], ["age", "gender"], ["country"], ["region"], ["publisher_platform"],
    ["publisher_platform", "platform_position"], ["device_platform"], ["product_id"], [HOURS],
]  # fmt: skip
ILLEGAL = [
    ["impression_device"], ["age", "country"], ["gender", "publisher_platform"], ["platform_position"],
    ["region", "country"], ["age", HOURS],
]  # fmt: skip


def total(rows: list[dict], name: str) -> Decimal:
    return sum((Decimal(row.get(name, 0)) for row in rows), Decimal(0))


@pytest.mark.parametrize("names", LEGAL, ids="+".join)
def test_parts_are_the_whole(api: Api, account: Account, names: list[str]) -> None:
    fields = "ad_id,spend,impressions,clicks,actions,action_values"
    whole = api.daily(account, FIRST, AS_OF, fields)
    rows = api.daily(account, FIRST, AS_OF, fields, breakdowns=json.dumps(names))
    assert len(rows) > len(whole)
    for name in ("spend", "impressions", "clicks"):
        assert total(rows, name) == total(whole, name)
    keys = [(row["ad_id"], row["date_start"], *(row.get(name) for name in names)) for row in rows]
    assert len(keys) == len(set(keys))
    purchases = sum(by_tier(row, "purchase") for row in rows)
    if names == ["region"] or names == [HOURS]:
        assert purchases < sum(by_tier(row, "purchase") for row in whole)
    else:
        assert purchases == sum(by_tier(row, "purchase") for row in whole)
        assert sum(by_tier(row, "purchase", "action_values") for row in rows) == sum(
            by_tier(row, "purchase", "action_values") for row in whole
        )
    if names == ["product_id"]:
        pixel = "offsite_conversion.fb_pixel_purchase"
        with_pixel = [
            row for row in rows if any(each["action_type"] == pixel for each in row.get("actions", []))
        ]
        assert with_pixel and not any("product_id" in row for row in with_pixel)


@pytest.mark.parametrize("names", ILLEGAL, ids="+".join)
def test_illegal_combinations(api: Api, account: Account, names: list[str]) -> None:
    path, asked = f"/act_{account.account_id}/insights", {"breakdowns": ",".join(names), "fields": "spend"}
    answer = api.get(path, **asked)
    assert answer.error == (100, None)
    assert all(name in answer.message for name in names)
    answer = api.post(path, **asked)
    assert answer.error == (2, 1504041)


def test_joined_with_action_types(api: Api, account: Account) -> None:
    assert is_legal(["age"], ["action_type", "action_target_id", "action_destination"])
    assert is_legal(["publisher_platform", "impression_device"], ["action_device"])
    assert not is_legal(["age"], ["action_reaction"])
    assert not is_legal(["age"], ["action_device"])
    assert is_legal(["carousel_card_id", "age", "gender"], [])
    rows = api.daily(account, FIRST, AS_OF, "actions", action_breakdowns='["action_device"]')
    clicks = [each for row in rows for each in row.get("actions", []) if each["action_type"] == "link_click"]
    purchases = [each for row in rows for each in row.get("actions", []) if each["action_type"] == "purchase"]
    assert clicks and all("action_device" in each for each in clicks)
    assert purchases and not any("action_device" in each for each in purchases)
    plain = api.daily(account, FIRST, AS_OF, "inline_link_clicks")
    assert sum(Decimal(each["value"]) for each in clicks) == total(plain, "inline_link_clicks")


def test_hours_have_no_reach_and_no_unique_figures(api: Api, account: Account) -> None:
    rows = api.daily(account, AS_OF, AS_OF, "reach,frequency,impressions", breakdowns=HOURS)
    assert {row["reach"] for row in rows} == {row["frequency"] for row in rows} == {"0"}
    answer = api.get(f"/act_{account.account_id}/insights", fields="unique_clicks", breakdowns=HOURS)
    assert answer.error[0] == 100
    answer = api.get(
        f"/act_{account.account_id}/insights", fields="video_p25_watched_actions", breakdowns="region"
    )
    assert answer.error[0] == 100
    answer = api.get(f"/act_{account.account_id}/insights", fields="spend,cpc", breakdowns="image_asset")
    assert answer.error[0] == 100
    assert api.get(
        f"/act_{account.account_id}/insights", fields="spend,actions", breakdowns="image_asset"
    ).rows


def test_opt_in_breakdowns_are_empty_when_asked_synchronously(api: Api, account: Account, meta: Meta) -> None:
    names = json.dumps(["publisher_platform", "impression_device"])
    path = f"/act_{account.account_id}/insights"
    asked = {"fields": "spend", "breakdowns": names, "date_preset": "yesterday"}
    assert api.get(path, **asked).json == {"data": []}
    meta.settings.opted_in = True
    assert api.get(path, **asked).rows
    meta.settings.opted_in = False
    meta.jobs.script = (("Job Completed", 100),)
    runs = [api.post(path, **asked).json["report_run_id"] for _ in range(11)]
    for run in (runs[0], runs[-1]):
        assert api.get(f"/{run}").json["async_status"] == "Job Completed"
    assert api.get(f"/{runs[0]}/insights").rows
    assert api.get(f"/{runs[-1]}/insights").json == {"data": []}


def test_old_reach_is_rationed(api: Api, account: Account, server: Server, meta: Meta) -> None:
    path = f"/act_{account.account_id}/insights"
    asked = {"fields": "reach,impressions", "breakdowns": "age", "time_range": span(date(2025, 9, 1), date(2025, 9, 2)),
             "level": "account"}  # fmt: skip
    rows = api.get(path, **asked).rows
    assert rows and all("reach" not in row and "impressions" in row for row in rows)
    meta.jobs.script = (("Job Completed", 100),)
    answer = api.post(path, **asked)
    assert answer.header("x-fb-ads-insights-reach-throttle")
    api.get(f"/{answer.json['report_run_id']}")
    assert all("reach" in row for row in api.get(f"/{answer.json['report_run_id']}/insights").rows)
    answers = [api.post(path, **asked) for _ in range(10)]
    assert "rate limit threshold" in answers[-1].message
