"""Asynchronous reports."""

from __future__ import annotations

import json
from datetime import timedelta

from meta_client import ALL_ADS, AS_OF, Answer, Api, span

from emulator.meta import Meta
from emulator.server import Server
from emulator.world import Account

ASKED = {
    "level": "ad", "time_increment": "1", "time_range": span(AS_OF - timedelta(days=2), AS_OF), "filtering": ALL_ADS,
    "fields": '["ad_id","spend","actions"]',
}  # fmt: skip


def submit(api: Api, account: Account, **more: str) -> str:
    return api.post(f"/act_{account.account_id}/insights", **{**ASKED, **more}).json["report_run_id"]


def test_life_of_a_run(api: Api, account: Account, server: Server) -> None:
    run = submit(api, account)
    assert run.isdecimal()
    now = int(server.emulator.clock.now().timestamp())
    seen = []
    while not seen or seen[-1] != ("Job Completed", 100):
        early = api.get(f"/{run}/insights")
        assert (early.status, early.error) == (400, (2601, 1815107)) and early.json["error"]["is_transient"]
        state = api.get(f"/{run}/").json
        seen.append((state["async_status"], state["async_percent_completion"]))
        assert state["is_running"] == (state["async_status"] != "Job Completed")
        assert (state["id"], state["account_id"], state["time_ref"]) == (run, account.account_id, now)
    assert seen == [
        ("Job Not Started", 0), ("Job Started", 0), ("Job Running", 40), ("Job Running", 100), ("Job Completed", 100),
    ]  # fmt: skip
    assert state["time_completed"] == now
    assert (state["date_start"], state["date_stop"]) == (str(AS_OF - timedelta(days=2)), str(AS_OF))
    rows = api.all(f"/{run}/insights", limit=20)
    assert rows == api.all(f"/act_{account.account_id}/insights", **ASKED, limit=50)


def test_json_body_and_some_fields(api: Api, account: Account, meta: Meta) -> None:
    meta.jobs.script = (("Job Completed", 100),)
    body = {
        "level": "campaign",
        "fields": ["campaign_id", "spend"],
        "time_range": {"since": str(AS_OF), "until": str(AS_OF)},
    }
    run = api.call("POST", f"/act_{account.account_id}/insights", json=body).json["report_run_id"]
    assert set(api.get(f"/{run}", fields="async_status").json) == {"id", "async_status"}
    assert len(api.all(f"/{run}/insights")) >= 4


def test_figures_are_those_of_the_asking(api: Api, account: Account, server: Server) -> None:
    before = api.all(f"/act_{account.account_id}/insights", **ASKED, limit=500)
    run = submit(api, account)
    server.emulator.clock.advance(timedelta(days=5))
    for _ in range(5):
        api.get(f"/{run}")
    assert api.all(f"/{run}/insights", limit=500) == before
    assert api.all(f"/act_{account.account_id}/insights", **ASKED, limit=500) != before


def test_runs_die_after_30_days(api: Api, account: Account, server: Server) -> None:
    run = submit(api, account)
    assert api.get(f"/{run}").status == 200
    server.emulator.clock.advance(timedelta(days=31))
    assert api.get(f"/{run}").error == (100, 33)
    assert api.get("/6412345678901").error == (100, 33)


def test_too_large_a_run_fails(api: Api, account: Account, meta: Meta) -> None:
    meta.settings.data_points = 10
    run = submit(api, account)
    states = [api.get(f"/{run}").json for _ in range(2)]
    assert (states[-1]["async_status"], states[-1]["async_percent_completion"]) == ("Job Failed", 0)
    assert (states[-1]["error_code"], states[-1]["error_subcode"]) == (-3, 1504045)
    assert states[-1]["error_user_title"] and "error_code" not in states[0]


def test_mistakes_are_refused_at_once(api: Api, account: Account) -> None:
    assert api.post(f"/act_{account.account_id}/insights", fields="nope").error == (100, None)
    assert api.post(
        f"/act_{account.account_id}/insights", time_range=span(AS_OF.replace(year=2020), AS_OF)
    ).error == (3018, None)


def test_summary_of_other_fields(api: Api, account: Account) -> None:
    run = submit(api, account)
    for _ in range(5):
        api.get(f"/{run}")
    assert api.get(f"/{run}/insights", summary='["spend"]').status == 200
    assert (
        "weren't there while creating the report run"
        in api.get(f"/{run}/insights", summary='["clicks"]').message
    )


def batch(api: Api, calls: list[dict[str, str]], **more: str) -> Answer:
    return api.post("/", batch=json.dumps(calls), **more)


def test_batches(api: Api, account: Account, server: Server) -> None:
    run = submit(api, account)
    calls = [
        {"method": "GET", "relative_url": f"{run}/"},
        {"method": "GET", "relative_url": f"v26.0/{run}?fields=async_status"},
        {"method": "GET", "relative_url": "me/adaccounts?limit=1"},
        {"method": "GET", "relative_url": "12345"},
        {
            "method": "POST",
            "relative_url": f"act_{account.account_id}/insights",
            "body": "fields=spend&level=account",
        },
    ]
    elements = batch(api, calls).json
    assert [each["code"] for each in elements] == [200, 200, 200, 400, 200]
    bodies = [json.loads(each["body"]) for each in elements]
    assert bodies[1]["async_status"] == "Job Started"
    assert bodies[3]["error"]["code"] == 100 and bodies[4]["report_run_id"]
    assert any(header["name"] == "x-business-use-case-usage" for header in elements[0]["headers"])
    assert "headers" not in batch(api, calls[:1], include_headers="false").json[0]
    assert batch(api, calls[2:3] * 51).error == (100, None)
    assert server.emulator.calls.count("meta", "GET run") == 3
    assert server.emulator.calls.count("meta", "POST batch") == 3


def test_multipart_batches(api: Api) -> None:
    files = {"batch": (None, json.dumps([{"method": "GET", "relative_url": "me"}]))}
    assert api.call("POST", "/", files=files).json[0]["code"] == 200
