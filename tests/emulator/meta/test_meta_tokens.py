"""Who may call: tokens of every kind, the way from consent to a long-lived one, proofs, permissions."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from meta_client import Answer, Api

from emulator.meta import APP_ID, APP_SECRET, Meta
from emulator.server import Server
from emulator.world import Account

REDIRECT = "http://127.0.0.1:8765/callback?from=meta"
ASKED = {"client_id": APP_ID, "redirect_uri": REDIRECT, "state": "s-1", "scope": "ads_read,leads_retrieval",
         "response_type": "code"}  # fmt: skip


def consent(api: Api, **more: str) -> dict[str, str]:
    answer = api.get("/dialog/oauth", **ASKED, **more)
    assert answer.status == 302, answer.response.text
    address = urlsplit(answer.response.headers["location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == "http://127.0.0.1:8765/callback"
    found = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert (found.pop("from"), found.pop("state")) == ("meta", "s-1")
    return found


def exchange(api: Api, **asked: str) -> Answer:
    return api.get("/oauth/access_token", **{"client_id": APP_ID, "client_secret": APP_SECRET, **asked})


def redeem(api: Api, code: str, redirect: str = REDIRECT) -> Answer:
    return exchange(api, code=code, redirect_uri=redirect)


def debug(api: Api, token: str) -> dict[str, Any]:
    return api.get("/debug_token", input_token=token, access_token=f"{APP_ID}|{APP_SECRET}").json["data"]


def test_from_consent_to_a_long_lived_token(api: Api, server: Server, meta: Meta) -> None:
    page = api.get("/dialog/oauth", **ASKED).response
    assert page.status_code == 200 and "ads_read" in page.text and "Northwind" in page.text
    code = consent(api, answer="allow", user="outdoor")["code"]
    short = redeem(api, code).json
    assert (short["token_type"], short["expires_in"]) == ("bearer", 5400)
    rows = Api(api.base, short["access_token"]).get("/me/adaccounts").rows
    assert len(rows) == 2
    long = exchange(api, grant_type="fb_exchange_token", fb_exchange_token=short["access_token"]).json
    assert long["expires_in"] == 5_183_944
    facts = debug(api, long["access_token"])
    assert (
        facts["is_valid"] and facts["scopes"] == ["ads_read", "leads_retrieval"] and facts["type"] == "USER"
    )
    assert facts["app_id"] == APP_ID
    assert facts["expires_at"] == int(server.emulator.clock.now().timestamp()) + 5_183_944
    server.emulator.clock.advance(timedelta(hours=2))
    assert Api(api.base, short["access_token"]).get("/me").error == (190, 463)
    assert Api(api.base, long["access_token"]).get("/me").json["id"] == facts["user_id"]


def test_refused_and_partly_granted(api: Api) -> None:
    denied = consent(api, answer="deny")
    assert (denied["error"], denied["error_reason"]) == ("access_denied", "user_denied")
    code = consent(api, answer="allow", user="home", granted="leads_retrieval")["code"]
    token = redeem(api, code).json["access_token"]
    assert Api(api.base, token).get("/me/permissions").rows == [
        {"permission": "leads_retrieval", "status": "granted"}
    ]
    assert Api(api.base, token).get("/me/adaccounts").error == (200, None)


def test_codes_are_good_once_and_for_one_address(api: Api, server: Server) -> None:
    code = consent(api, answer="allow", user="home")["code"]
    assert redeem(api, code, REDIRECT + "&x=1").error == (100, None)
    assert redeem(api, code).status == 200
    assert redeem(api, code).error == (100, None)
    late = consent(api, answer="allow", user="home")["code"]
    server.emulator.clock.advance(timedelta(minutes=11))
    assert redeem(api, late).error == (100, None)
    assert exchange(api, client_secret="wrong", code=late, redirect_uri=REDIRECT).error[0] == 1
    assert exchange(api, client_id="1", code=late, redirect_uri=REDIRECT).error[0] == 101
    assert Api(api.base, late).get("/me").error == (190, None)


def test_the_dialog_leads_to_loopback_only(api: Api) -> None:
    assert (
        api.get("/dialog/oauth", **{**ASKED, "redirect_uri": "https://example.com/"}, answer="allow").status
        == 400
    )
    assert api.get("/dialog/oauth", **{**ASKED, "client_id": "1"}, answer="allow").status == 400
    assert api.get("/dialog/oauth", **ASKED, answer="allow", user="<b>").status == 400


def test_long_lived_tokens_are_renewed_while_valid(api: Api, server: Server, meta: Meta) -> None:
    token = meta.tokens.issue("home", kind="long")
    server.emulator.clock.advance(timedelta(days=59))
    fresh = exchange(api, grant_type="fb_exchange_token", fb_exchange_token=token).json["access_token"]
    server.emulator.clock.advance(timedelta(days=2))
    assert exchange(api, grant_type="fb_exchange_token", fb_exchange_token=token).error == (190, 463)
    assert not debug(api, token)["is_valid"]
    assert Api(api.base, fresh).get("/me/adaccounts").rows
    server.emulator.clock.advance(timedelta(days=30))
    assert Api(api.base, fresh).get("/me/adaccounts").error[0] == 190  # 90 days after the last login


def test_system_tokens_never_expire(api: Api, server: Server, meta: Meta) -> None:
    facts = debug(api, api.token)
    assert (facts["expires_at"], facts["type"]) == (0, "SYSTEM_USER")
    server.emulator.clock.advance(timedelta(days=4000))
    assert api.get("/me").status == 200
    meta.settings.tell_expires_in = False
    assert "expires_in" not in exchange(api, grant_type="fb_exchange_token", fb_exchange_token=api.token).json


def test_tokens_outlive_a_restart(api: Api, meta: Meta) -> None:
    from emulator.server import Emulator

    other = Emulator(as_of=meta.clock.as_of).meta
    assert other.tokens.check(api.token, meta.clock.now()).kind == "system"


def test_where_the_token_is(api: Api, account: Account, server: Server) -> None:
    bare = Api(api.base, "")
    assert api.get("/me").status == 200
    assert bare.get("/me", access_token=api.token).status == 200
    posted = bare.post(f"/act_{account.account_id}/insights", access_token=api.token, fields="spend")
    assert posted.json["report_run_id"]
    places = [call["token_in"] for call in server.emulator.calls.report()["last"]]
    assert places == ["header", "query", "body"]
    missing = bare.get("/me")
    assert (missing.status, missing.error) == (400, (104, None))


@pytest.mark.parametrize("token", ["nonsense", "EAAEnonsense", "EAAE" + "A" * 90])
def test_made_up_tokens(api: Api, token: str) -> None:
    assert Api(api.base, token).get("/me").error == (190, None)


@pytest.mark.parametrize("subcode", [460, 458, 459, 464, 467])
def test_revoked(api: Api, meta: Meta, subcode: int) -> None:
    meta.tokens.revoke(api.token, subcode)
    assert api.get("/me/adaccounts").error == (190, subcode)
    assert debug(api, api.token)["is_valid"] is False


def test_proofs(api: Api, meta: Meta) -> None:
    proof = hmac.new(APP_SECRET.encode(), api.token.encode(), hashlib.sha256).hexdigest()
    assert api.get("/me", appsecret_proof=proof).status == 200
    wrong = api.get("/me", appsecret_proof="0" * 64)
    assert (wrong.status, wrong.error) == (400, (100, None)) and "appsecret_proof" in wrong.message
    meta.settings.require_proof = True
    assert "appsecret_proof" in api.get("/me").message
    assert api.get("/me", appsecret_proof=proof).status == 200


def test_accounts_of_others(api: Api, meta: Meta, account: Account) -> None:
    other = Api(api.base, meta.tokens.issue("outdoor"))
    refused = other.get(f"/act_{account.account_id}/insights")
    assert (refused.status, refused.error) == (403, (200, None))
    meta.settings.permission_style = "33"
    assert other.get(f"/act_{account.account_id}").error == (100, 33)
    campaign = api.get(f"/act_{account.account_id}/campaigns").rows[0]["id"]
    assert other.get(f"/{campaign}").error == (100, 33)
    run = api.post(f"/act_{account.account_id}/insights", fields="spend").json["report_run_id"]
    assert other.get(f"/{run}").error == (100, 33)
    only = Api(api.base, meta.tokens.issue("agency", accounts=[f"act_{account.account_id}"]))
    assert [row["id"] for row in only.get("/me/adaccounts").rows] == [f"act_{account.account_id}"]


def test_app_token(api: Api) -> None:
    assert exchange(api, grant_type="client_credentials").json["access_token"] == f"{APP_ID}|{APP_SECRET}"
    assert api.get("/debug_token", input_token=api.token).json["data"]["is_valid"]
    assert Api(api.base, api.token).get("/debug_token", input_token="EAAEother").error[0] == 100
