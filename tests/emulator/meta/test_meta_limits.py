"""Usage headers and quotas."""

from __future__ import annotations

from datetime import timedelta

import pytest
from meta_client import Api

from emulator.meta import Meta
from emulator.meta.admin import change
from emulator.server import Server
from emulator.world import Account


def test_headers_climb_until_the_account_is_blocked(
    api: Api, account: Account, meta: Meta, server: Server
) -> None:
    change(meta, quota={"calls": 4, "block_seconds": 90, "kinds": ["buc"]})
    path, seen = f"/act_{account.account_id}/insights", []
    for _ in range(4):
        answer = api.get(path, fields="spend", date_preset="yesterday")
        assert answer.status == 200
        (use_case,) = answer.header("X-Business-Use-Case-Usage")[account.account_id]
        assert use_case["type"] == "ads_insights" and use_case["estimated_time_to_regain_access"] == 0
        assert answer.header("x-fb-ads-insights-throttle")["acc_id_util_pct"] == use_case["call_count"]
        seen.append(use_case["call_count"])
    assert seen == [25, 50, 75, 100]
    blocked = [api.get(path) for _ in range(4)]
    assert {answer.error for answer in blocked} == {(80000, 2446079)}
    assert {answer.status for answer in blocked} == {400, 403}
    assert blocked[0].header("X-Ad-Account-Usage")["reset_time_duration"] == 90  # seconds
    (use_case,) = blocked[0].header("X-Business-Use-Case-Usage")[account.account_id]
    assert use_case["estimated_time_to_regain_access"] == 2  # minutes
    assert "Retry-After" not in blocked[0].response.headers
    others = [number for number in meta.accounts if number != account.account_id]
    assert api.get(f"/act_{others[0]}/insights", date_preset="yesterday").status == 200
    server.emulator.clock.advance(timedelta(seconds=91))
    assert api.get(path, date_preset="yesterday").status == 200


def test_kinds_take_turns(api: Api, account: Account, meta: Meta) -> None:
    change(meta, quota={"calls": 1, "block_seconds": 60})
    path = f"/act_{account.account_id}/campaigns"
    assert api.get(path).status == 200
    assert [api.get(path).error[0] for _ in range(3)] == [80004, 17, 4]


def test_headers_of_the_other_use_case(api: Api, account: Account) -> None:
    answer = api.get(f"/act_{account.account_id}/campaigns")
    (use_case,) = answer.header("X-Business-Use-Case-Usage")[account.account_id]
    assert (use_case["type"], use_case["ads_api_access_tier"]) == ("ads_management", "standard_access")
    assert "x-fb-ads-insights-throttle" not in answer.response.headers
    assert answer.header("X-App-Usage").keys() == {"call_count", "total_time", "total_cputime"}
    assert api.get("/me").header("X-App-Usage")


def test_errors_carry_the_headers_too(api: Api, account: Account) -> None:
    answer = api.get(f"/act_{account.account_id}/insights", fields="nope")
    assert answer.status == 400 and answer.header("X-Business-Use-Case-Usage")
    assert answer.response.headers["facebook-api-version"] == "v26.0"


def test_unknown_settings(meta: Meta) -> None:
    with pytest.raises(KeyError, match="no setting"):
        change(meta, shoe_size=43)
    with pytest.raises(KeyError, match="quota"):
        change(meta, quota={"shoe_size": 43})
