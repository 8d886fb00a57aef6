"""The official client, unchanged but for its address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession
from meta_client import AS_OF

from emulator.meta import APP_ID, APP_SECRET, Meta
from emulator.server import Server
from emulator.world import Account

WEEK = {"since": str(AS_OF - timedelta(days=6)), "until": str(AS_OF)}
DAILY = {"level": "ad", "time_increment": 1, "time_range": WEEK}


@pytest.fixture
def sdk(server: Server, meta: Meta, monkeypatch: pytest.MonkeyPatch) -> Iterator[FacebookAdsApi]:
    monkeypatch.setattr(FacebookSession, "GRAPH", server.url("meta"))
    yield FacebookAdsApi.init(
        APP_ID, APP_SECRET, meta.tokens.issue("agency"), api_version="v26.0", crash_log=False
    )
    FacebookAdsApi.set_default_api(None)


@pytest.fixture
def ad_account(sdk: FacebookAdsApi, account: Account) -> AdAccount:
    return AdAccount(f"act_{account.account_id}")


def test_accounts(sdk: FacebookAdsApi, meta: Meta) -> None:
    found = User("me").get_ad_accounts(fields=["id", "account_id", "name", "currency", "timezone_name"])
    assert found.total() == len(meta.accounts)
    assert {each["account_id"] for each in found} == set(meta.accounts)


def test_one_account(ad_account: AdAccount, account: Account) -> None:
    read = ad_account.api_get(fields=["name", "currency", "account_status"])
    assert (read["name"], read["currency"], read["account_status"]) == (account.name, account.currency, 1)


def test_entities_with_their_fields(ad_account: AdAccount) -> None:
    campaigns = list(
        ad_account.get_campaigns(fields=["name", "objective", "effective_status", "daily_budget"])
    )
    assert campaigns and all(each["objective"].startswith("OUTCOME_") for each in campaigns)
    adsets = list(ad_account.get_ad_sets(fields=["name", "campaign_id", "learning_stage_info"]))
    assert {each["campaign_id"] for each in adsets} <= {each["id"] for each in campaigns}
    assert any(each.get("learning_stage_info", {}).get("status") for each in adsets)
    ads = list(ad_account.get_ads(fields=["name", "adset_id", "creative"], params={"limit": 10}))
    assert {each["adset_id"] for each in ads} <= {each["id"] for each in adsets}
    creatives = list(
        ad_account.get_ad_creatives(fields=["thumbnail_url", "body", "link_url"], params={"limit": 50})
    )
    assert {each["creative"]["id"] for each in ads} <= {each["id"] for each in creatives}
    assert all(each["thumbnail_url"] and each["body"] for each in creatives)


def test_every_field_the_client_knows_of_ours(ad_account: AdAccount) -> None:
    from emulator.meta.entities import AD, ADSET, CAMPAIGN, CREATIVE

    for table, get in (
        (CAMPAIGN, ad_account.get_campaigns),
        (ADSET, ad_account.get_ad_sets),
        (AD, ad_account.get_ads),
        (CREATIVE, ad_account.get_ad_creatives),
    ):
        assert get(fields=list(table), params={"limit": 3})[0]["id"]


def test_paging_gives_every_ad_once(ad_account: AdAccount) -> None:
    found = [each["id"] for each in ad_account.get_ads(fields=["id"], params={"limit": 7})]
    assert len(found) > 20
    assert len(found) == len(set(found)) == ad_account.get_ads(params={"limit": 1}).total()


def test_children_and_nodes(ad_account: AdAccount) -> None:
    campaign = ad_account.get_campaigns(fields=["name"])[0]
    assert Campaign(campaign["id"]).api_get(fields=["name"])["name"] == campaign["name"]
    ad = Campaign(campaign["id"]).get_ads(fields=["name"])[0]
    rows = Ad(ad["id"]).get_insights(fields=["ad_id", "spend"], params={"date_preset": "last_90d"})
    assert [row["ad_id"] for row in rows] == [ad["id"]]


def run_report(ad_account: AdAccount, **options: Any) -> AdReportRun:
    run = ad_account.get_insights(
        fields=["ad_id", "spend", "actions"], params=DAILY, is_async=True, **options
    )
    seen = []
    for _ in range(20):
        run = run.api_get()
        seen.append((run["async_status"], run["async_percent_completion"]))
        if seen[-1] == ("Job Completed", 100):
            assert ("Job Running", 100) in seen
            return run
    raise AssertionError(seen)


def test_reports_are_the_same_both_ways(ad_account: AdAccount) -> None:
    sync = list(ad_account.get_insights(fields=["ad_id", "spend", "actions"], params={**DAILY, "limit": 20}))
    asynchronous = list(run_report(ad_account).get_insights(params={"limit": 50}))
    assert len(sync) > 50
    assert [row.export_all_data() for row in sync] == [row.export_all_data() for row in asynchronous]


def test_run_id_as_number(ad_account: AdAccount, meta: Meta) -> None:
    meta.settings.run_id_as_number = True
    assert list(run_report(ad_account).get_insights())


def test_fetching_too_early(ad_account: AdAccount) -> None:
    run = ad_account.get_insights_async(fields=["spend"], params=dict(DAILY))
    with pytest.raises(FacebookRequestError) as raised:
        run.get_insights()
    assert (raised.value.api_error_code(), raised.value.api_error_subcode()) == (2601, 1815107)
    assert raised.value.api_transient_error()


def test_errors_and_their_headers(ad_account: AdAccount, server: Server) -> None:
    with pytest.raises(FacebookRequestError) as raised:
        list(ad_account.get_insights(fields=["no_such_field"], params=dict(DAILY)))
    assert (raised.value.api_error_code(), raised.value.http_status()) == (100, 400)
    server.emulator.faults.add("rate_limit", wait=420)
    with pytest.raises(FacebookRequestError) as raised:
        list(ad_account.get_insights(fields=["spend"], params=dict(DAILY)))
    assert (raised.value.api_error_code(), raised.value.api_error_subcode()) == (80000, 2446079)
    assert '"estimated_time_to_regain_access":7' in raised.value.http_headers()["X-Business-Use-Case-Usage"]
    server.emulator.faults.add("expired_token")
    with pytest.raises(FacebookRequestError) as raised:
        list(User("me").get_ad_accounts())
    assert (raised.value.api_error_code(), raised.value.api_error_subcode()) == (190, 463)


def test_batch_of_polls(sdk: FacebookAdsApi, ad_account: AdAccount, server: Server) -> None:
    runs = [ad_account.get_insights_async(fields=["spend"], params=dict(DAILY)) for _ in range(3)]
    server.emulator.faults.add("batch_null", count=2)
    answered: list[str] = []
    failed: list[int] = []
    batch = sdk.new_batch()
    for run in [*runs, AdReportRun("123456")]:
        run.api_get(
            batch=batch,
            success=lambda response: answered.append(response.json()["id"]),
            failure=lambda response: failed.append(response.error().api_error_code()),
        )
    rest = batch.execute()
    assert rest is not None and len(rest) == 2
    assert rest.execute() is None
    assert sorted(answered) == sorted(run["id"] for run in runs)
    assert failed == [100]


def test_the_client_stops_at_an_empty_page(ad_account: AdAccount, server: Server) -> None:
    """Known of the client, and why ours goes on as long as `next` is there."""
    whole = list(ad_account.get_ads(fields=["id"], params={"limit": 10}))
    server.emulator.faults.add("empty_page", after=1)
    assert 0 < len(list(ad_account.get_ads(fields=["id"], params={"limit": 10}))) < len(whole)
