"""Objects and edges: fields, statuses, units, paging, archived and deleted ones."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from meta_client import AS_OF, Answer, Api

from emulator.meta import Meta
from emulator.meta.catalog import AD_STATUSES, minor_units
from emulator.meta.entities import to_minor
from emulator.server import Server
from emulator.world import Account

EVERY_STATUS = json.dumps(["ACTIVE", "PAUSED", "ARCHIVED", "DELETED"])


def test_accounts_of_the_token(api: Api, meta: Meta) -> None:
    rows = api.all("/me/adaccounts", fields="account_id,name,currency,timezone_name,account_status", limit=2)
    assert {row["account_id"]: row["currency"] for row in rows} == {
        each.account_id: each.currency for each in meta.accounts.values()
    }
    assert all(row["id"] == f"act_{row['account_id']}" for row in rows)


def test_account_fields(api: Api, account: Account) -> None:
    for path in (f"/act_{account.account_id}", f"/act_{account.account_id}/"):
        row = api.get(
            path, fields="amount_spent,balance,spend_cap,timezone_offset_hours_utc,business,age,owner"
        ).json
        assert all(row[name].isdecimal() for name in ("amount_spent", "balance", "spend_cap"))
        assert row["timezone_offset_hours_utc"] == 1.0
        assert row["business"]["id"] == row["owner"]
    assert int(row["amount_spent"]) > 100_000
    assert set(api.get(path).json) == {"id", "account_id"}


def test_businesses_own_the_accounts(api: Api, meta: Meta, account: Account) -> None:
    number = api.get(f"/act_{account.account_id}", fields="business").json["business"]["id"]
    rows = api.all(f"/{number}/owned_ad_accounts", fields="account_id")
    assert [row["account_id"] for row in rows] == [account.account_id]
    assert api.get(f"/{number}/client_ad_accounts").json == {"data": []}


def test_campaigns_are_the_worlds(api: Api, meta: Meta, account: Account) -> None:
    truth = {
        each.campaign_id: each
        for each in meta.world.campaigns(AS_OF, tenant=account.tenant_id)
        if each.account_id == account.account_id
    }
    fields = (
        "name,objective,status,effective_status,daily_budget,bid_strategy,stop_time,start_time,updated_time"
    )
    rows = api.all(
        f"/act_{account.account_id}/campaigns", fields=fields, effective_status=EVERY_STATUS, limit=4
    )
    assert {row["id"] for row in rows} == set(truth)
    for row in rows:
        fact = truth[row["id"]]
        assert (row["name"], row["objective"]) == (fact.name, fact.objective)
        if "daily_budget" in row:
            assert Decimal(row["daily_budget"]) == fact.daily_budget * 100
        else:
            assert fact.conversion_event == "lead"
        assert ("stop_time" in row) == (fact.end_day is not None)
        assert row["start_time"].startswith(fact.start_day.isoformat())
        assert row["updated_time"][-5:] in ("+0100", "+0200")
        if fact.status == "ended":
            assert row["effective_status"] in ("ACTIVE", "ARCHIVED")
    assert {row["effective_status"] for row in rows} >= {"ACTIVE", "ARCHIVED"}
    shown = api.all(f"/act_{account.account_id}/campaigns", fields="effective_status")
    assert {row["effective_status"] for row in shown} <= {"ACTIVE", "PAUSED"}


def test_budgets_stand_on_one_level(api: Api, account: Account) -> None:
    campaigns = api.all(f"/act_{account.account_id}/campaigns", fields="daily_budget,objective")
    adsets = api.all(
        f"/act_{account.account_id}/adsets", fields="campaign_id,daily_budget,bid_amount,bid_constraints"
    )
    for campaign in campaigns:
        own = [row for row in adsets if row["campaign_id"] == campaign["id"]]
        if "daily_budget" in campaign:
            assert {row.get("daily_budget", "0") for row in own} == {"0"}
        else:
            assert sum(int(row["daily_budget"]) for row in own) >= 14000
            assert all(isinstance(row["bid_amount"], int) for row in own)
    assert any("bid_constraints" in row for row in adsets)
    assert {row.get("daily_budget") for row in adsets} >= {None, "0"}


def test_minor_units() -> None:
    assert (minor_units("EUR"), minor_units("JPY")) == (100, 1)
    assert (to_minor(Decimal("41.07"), "EUR"), to_minor(Decimal("4200"), "JPY")) == (4107, 4200)


def test_ads_archived_and_deleted(api: Api, meta: Meta, account: Account) -> None:
    path = f"/act_{account.account_id}/ads"
    shown = api.all(path, fields="effective_status", limit=100)
    assert {row["effective_status"] for row in shown} <= {"ACTIVE", "PAUSED", "CAMPAIGN_PAUSED"}
    filtering = json.dumps([{"field": "ad.effective_status", "operator": "IN", "value": list(AD_STATUSES)}])
    everything = api.all(path, fields="effective_status,name", filtering=filtering, limit=100)
    assert Counter(row["effective_status"] for row in everything).keys() >= {
        "ACTIVE",
        "PAUSED",
        "ARCHIVED",
        "DELETED",
    }
    truth = [
        ad for ad in meta.world.ads(AS_OF, tenant=account.tenant_id) if ad.account_id == account.account_id
    ]
    assert {row["id"]: row["name"] for row in everything} == {ad.ad_id: ad.name for ad in truth}
    gone = {ad.ad_id for ad in truth if ad.status == "removed"}
    archived = {row["id"] for row in everything if row["effective_status"] == "ARCHIVED"}
    deleted = {row["id"] for row in everything if row["effective_status"] == "DELETED"}
    assert deleted and deleted <= gone and gone <= deleted | archived
    node = api.get(f"/{min(deleted)}", fields="effective_status,configured_status")
    assert node.json["effective_status"] == node.json["configured_status"] == "DELETED"
    meta.settings.deleted_in_filter = False
    assert api.get(path, filtering=filtering).error == (100, None)
    statuses = json.dumps([status for status in AD_STATUSES if status != "DELETED"])
    assert {
        row["effective_status"] for row in api.all(path, fields="effective_status", effective_status=statuses)
    } >= {"ARCHIVED"}


def test_a_paused_campaign_pauses_its_ads(api: Api, meta: Meta, account: Account) -> None:
    campaign = api.get(f"/act_{account.account_id}/campaigns").rows[0]["id"]
    meta.override(campaign, {"effective_status": "WITH_ISSUES", "issues_info": [{"level": "CAMPAIGN"}]})
    row = api.get(f"/{campaign}", fields="effective_status,issues_info").json
    assert (row["effective_status"], row["issues_info"]) == ("WITH_ISSUES", [{"level": "CAMPAIGN"}])
    found = api.all(f"/act_{account.account_id}/campaigns", effective_status='["WITH_ISSUES"]')
    assert [each["id"] for each in found] == [campaign]


def test_changed_since(api: Api, account: Account, server: Server) -> None:
    path, fields = f"/act_{account.account_id}/ads", "updated_time,created_time"
    since = int(server.emulator.clock.now().timestamp()) - 20 * 86_400
    filtering = json.dumps([{"field": "ad.updated_time", "operator": "GREATER_THAN", "value": since}])
    recent = {row["id"] for row in api.all(path, fields=fields, filtering=filtering)}
    everything = {row["id"] for row in api.all(path, fields=fields)}
    assert recent and recent < everything


def test_nested_fields_and_many_nodes(api: Api, account: Account) -> None:
    ads = api.get(
        f"/act_{account.account_id}/ads", fields="name,creative{id,body,thumbnail_url},campaign{objective}"
    ).rows
    creative = ads[0]["creative"]
    assert set(creative) == {"id", "body", "thumbnail_url"} and ads[0]["campaign"]["objective"].startswith(
        "OUTCOME"
    )
    answer = api.get("/", ids=f"{ads[0]['id']},{ads[1]['id']}", fields="name").json
    assert answer == {ad["id"]: {"id": ad["id"], "name": ad["name"]} for ad in ads[:2]}
    assert api.get("/", ids=",".join(["1"] * 51)).error[0] == 100
    assert api.get("/", ids="120239999999999999").error == (100, 33)


def test_creatives_lead_somewhere(api: Api, account: Account) -> None:
    fields = "url_tags,object_story_spec,asset_feed_spec,link_url,object_type,video_id,body,title,call_to_action_type"
    rows = api.all(f"/act_{account.account_id}/adcreatives", fields=fields, limit=50)
    places = Counter()
    for row in rows:
        story = row.get("object_story_spec", {})
        links = {
            "link_data": story.get("link_data", {}).get("link"),
            "video_data": story.get("video_data", {}).get("call_to_action", {}).get("value", {}).get("link"),
            "template_data": story.get("template_data", {}).get("link"),
            "feed": row.get("asset_feed_spec", {}).get("link_urls", [{}])[0].get("website_url"),
            "link_url": row.get("link_url"),
        }
        (place,) = [name for name, link in links.items() if link]
        places[place] += 1
        assert links[place].startswith("https://birkenhain-wohnen.example/products/")
        assert ("utm_source" in links[place]) != ("url_tags" in row)
        assert ("video_id" in row) == (row["object_type"] == "VIDEO")
    assert len(places) == 5


def test_pictures_are_signed_and_expire(api: Api, account: Account, server: Server) -> None:
    path, asked = f"/act_{account.account_id}/adcreatives", {"fields": "thumbnail_url", "limit": 1}
    first = api.get(path, **asked).rows[0]
    assert Answer(api.session.get(first["thumbnail_url"], timeout=5)).response.content.startswith(b"<svg")
    server.emulator.clock.advance(timedelta(hours=2))
    second = api.get(path, **asked).rows[0]
    assert first["id"] == second["id"] and first["thumbnail_url"] != second["thumbnail_url"]


def test_learning(api: Api, meta: Meta) -> None:
    seen = {}
    for account in meta.accounts:
        for row in api.all(
            f"/act_{account}/adsets", fields="learning_stage_info,effective_status", limit=100
        ):
            assert ("learning_stage_info" in row) == (row["effective_status"] == "ACTIVE")
            info = row.get("learning_stage_info")
            if info:
                seen[info["status"]] = info
    assert {"SUCCESS", "FAIL"} <= set(seen)
    assert seen["SUCCESS"]["conversions"] == 50 and seen["FAIL"]["conversions"] < 50


def test_paging(api: Api, account: Account) -> None:
    path = f"/act_{account.account_id}/ads"
    whole = [row["id"] for row in api.all(path, limit=500)]
    assert len(set(whole)) == len(whole) > 30
    for limit in (1, 7, len(whole), len(whole) + 1):
        assert [row["id"] for row in api.all(path, limit=limit)][: len(whole)] == whole
    assert len(api.get(path).rows) == 25
    last = api.get(path, limit=500)
    assert last.next is None and last.after
    assert api.get(path, limit=500, after=last.after).json == {"data": []}
    page = api.get(path, limit=7, after=api.get(path, limit=7).after)
    back = api.get(path, limit=7, before=page.json["paging"]["cursors"]["before"])
    assert [row["id"] for row in back.rows] == whole[:7]
    assert api.get(path, limit=7, summary="true").json["summary"] == {"total_count": len(whole)}


def test_next_holds_host_and_token(api: Api, account: Account, server: Server) -> None:
    link = api.get(f"/act_{account.account_id}/ads", limit=5, fields="name").next
    assert link is not None and link.startswith(server.address) and api.token in link
    followed = Answer(api.session.get(link, timeout=5))
    assert len(followed.rows) == 5 and all("name" in row for row in followed.rows)
    notes = [call["followed_next"] for call in server.emulator.calls.report()["last"]]
    assert notes == [False, True]


def test_foreign_and_damaged_cursors(api: Api, account: Account) -> None:
    cursor = api.get(f"/act_{account.account_id}/ads", limit=2).after
    assert api.get(f"/act_{account.account_id}/adsets", limit=2, after=cursor).error == (2642, None)
    for damaged in (cursor[:-3], "QVFI", "abc", "QVFI////", cursor.replace("QVFI", "QVFX")):
        assert api.get(f"/act_{account.account_id}/ads", limit=2, after=damaged).error == (2642, None)


@pytest.mark.parametrize(
    ("path", "parameters", "error"),
    [
        ("/act_{}/ads", {"fields": "shoe_size"}, (100, None)),
        ("/act_{}/campaigns", {"fields": '["name","shoe_size"]'}, (100, None)),
        ("/act_{}", {"fields": "shoe_size"}, (100, None)),
        ("/act_{}/planets", {}, (100, None)),
        ("/act_999", {}, (100, 33)),
        ("/120239999999999999", {}, (100, 33)),
        ("/nonsense", {}, (100, 33)),
        ("/act_{}/ads/x", {}, (2500, None)),
        ("/act_{}/ads", {"limit": "many"}, (100, None)),
        ("/act_{}/ads", {"limit": "501"}, (1, None)),
        ("/act_{}/ads", {"filtering": "[{"}, (100, None)),
        ("/me/planets", {}, (100, None)),
    ],
)
def test_mistakes(
    api: Api, account: Account, path: str, parameters: dict[str, str], error: tuple[int, int]
) -> None:
    answer = api.get(path.format(account.account_id), **parameters)
    assert answer.error == error
    assert answer.json["error"]["fbtrace_id"] and answer.status in (400, 500)


def test_it_is_read_only(api: Api, account: Account) -> None:
    assert api.post(f"/act_{account.account_id}/campaigns", name="x").error == (100, 33)
    assert api.call("DELETE", f"/act_{account.account_id}").error == (100, 33)


@pytest.mark.parametrize(
    ("version", "path", "status", "code"),
    [
        ("v24.0", "/me/adaccounts", 400, 2635),
        ("v3.2", "/me/adaccounts", 400, 2635),
        ("v99.0", "/me/adaccounts", 404, 2635),
        ("v26", "/me/adaccounts", 400, 2500),
    ],
)
def test_versions(api: Api, version: str, path: str, status: int, code: int) -> None:
    answer = api.get(path, version)
    assert (answer.status, answer.error[0]) == (status, code)
    if code == 2635 and status == 400:
        assert "v26.0" in answer.message


def test_versions_that_answer(api: Api) -> None:
    assert api.get("/me/adaccounts", "v25.0").rows
    assert api.get("/me", "v24.0").json["id"]
    assert api.get("/me/adaccounts", "").response.headers["facebook-api-version"] == "v25.0"
