"""Every fault, seen from outside."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from meta_client import ALL_ADS, AS_OF, Answer, Api, span

from emulator.meta.errors import NAMES
from emulator.meta.faults import KINDS
from emulator.server import Server
from emulator.world import Account

FIRST = AS_OF - timedelta(days=3)
FIELDS = "account_id,ad_id,campaign_id,spend,impressions,actions,attribution_setting,quality_ranking"
SEEN: dict[str, Callable[[Scene], None]] = {}


class Scene:
    """What a test of a fault needs."""

    def __init__(self, api: Api, account: Account, server: Server) -> None:
        self.api, self.account, self.server = api, account, server
        self.ads_path = f"/act_{account.account_id}/ads"
        self.insights_path = f"/act_{account.account_id}/insights"

    def add(self, kind: str, **options: Any) -> None:
        self.server.emulator.faults.add(kind, **options)

    def insights(self, **more: Any) -> Answer:
        asked = {"level": "ad", "time_increment": 1, "time_range": span(FIRST, AS_OF), "filtering": ALL_ADS}
        return self.api.get(self.insights_path, **{"fields": FIELDS, **asked, **more})

    def ads(self, **more: Any) -> Answer:
        return self.api.get(self.ads_path, **{"fields": "id,name,effective_status", "limit": 10, **more})

    def pages(self) -> list[list[str]]:
        pages = self.api.pages(self.ads_path, fields="id", limit=10)
        return [[row["id"] for row in page] for page in pages]

    def submit(self) -> str:
        answer = self.api.post(self.insights_path, fields="spend", time_range=span(FIRST, AS_OF))
        return answer.json["report_run_id"]

    def polls(self, run: str, count: int) -> list[tuple[str, int]]:
        states = [self.api.get(f"/{run}").json for _ in range(count)]
        return [(state["async_status"], state["async_percent_completion"]) for state in states]


def joined(pages: list[list[str]]) -> list[str]:
    return [each for page in pages for each in page]


def sees(kind: str) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    def note(function: Callable[[Scene], None]) -> Callable[[Scene], None]:
        assert kind not in SEEN
        SEEN[kind] = function
        return function

    return note


def test_every_kind_is_tested() -> None:
    assert set(SEEN) == set(KINDS)


@pytest.fixture
def scene(api: Api, account: Account, server: Server) -> Scene:
    return Scene(api, account, server)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_fault(kind: str, scene: Scene) -> None:
    SEEN[kind](scene)
    struck = [each for call in scene.server.emulator.calls.report()["last"] for each in call["struck"]]
    assert kind in struck or kind == "suspended_account"
    scene.server.emulator.faults.clear()
    assert scene.ads().status == scene.insights().status == 200


# whole answers


@sees("error")
def _(scene: Scene) -> None:
    scene.add("error", name="intermittent")
    assert scene.ads().error == (2, 1504043)
    scene.add("error", code=960, subcode=7, status=503, message="Slow batch")
    answer = scene.ads()
    assert (answer.status, answer.error, answer.message) == (503, (960, 7), "Slow batch")
    for name in NAMES:
        scene.add("error", name=name)
        assert scene.ads().status >= 400


@sees("rate_limit")
def _(scene: Scene) -> None:
    statuses = set()
    for limit, code in (("buc", 80000), ("account", 17), ("app", 4), ("calls", 613), ("load", 4)):
        scene.add("rate_limit", limit=limit, wait=150)
        answer = scene.insights()
        assert answer.error[0] == code
        assert answer.header("X-Ad-Account-Usage")["reset_time_duration"] == 150
        (use_case,) = answer.header("X-Business-Use-Case-Usage")[scene.account.account_id]
        assert (use_case["estimated_time_to_regain_access"], use_case["call_count"]) == (3, 100)
        statuses.add(answer.status)
    assert statuses == {400, 403}
    scene.add("rate_limit", status=429)
    assert scene.ads().status == 429


@sees("usage")
def _(scene: Scene) -> None:
    scene.add("usage", percent=91)
    answer = scene.insights()
    assert answer.status == 200
    assert answer.header("x-fb-ads-insights-throttle")["acc_id_util_pct"] == 91


@sees("expired_token")
def _(scene: Scene) -> None:
    scene.add("expired_token", path="*/me/*", times=None)
    assert scene.ads().status == 200
    for _ in range(3):
        assert scene.api.get("/me/adaccounts").error == (190, 463)


@sees("revoked_token")
def _(scene: Scene) -> None:
    scene.add("revoked_token", subcode=458)
    assert scene.ads().error == (190, 458)


@sees("suspended_account")
def _(scene: Scene) -> None:
    scene.add("suspended_account", account=scene.account.account_id, times=None)
    rows = scene.api.get("/me/adaccounts", fields="account_id,account_status,disable_reason").rows
    shown = {row["account_id"]: (row["account_status"], row["disable_reason"]) for row in rows}
    assert shown.pop(scene.account.account_id) == (2, 1)
    assert set(shown.values()) == {(1, 0)}
    assert scene.insights().error[0] == 1404163
    assert scene.api.get(f"/act_{next(iter(shown))}/ads").status == 200
    scene.server.emulator.faults.clear()
    scene.add("suspended_account", readable=True, times=None)
    assert scene.insights().rows


@sees("no_permission")
def _(scene: Scene) -> None:
    for style, error, status in (
        ("200", (200, None), 403), ("10", (10, None), 403), ("33", (100, 33), 400), ("294", (294, None), 403),
        ("299", (299, None), 403), ("3191001", (100, 3191001), 400), ("missing", (100, None), 400),
    ):  # fmt: skip
        scene.add("no_permission", style=style)
        answer = scene.ads()
        assert (answer.error, answer.status) == (error, status)


@sees("server_error")
def _(scene: Scene) -> None:
    scene.add("server_error")
    assert (scene.ads().status, scene.ads().status) == (500, 200)
    scene.add("server_error", status=503)
    assert scene.ads().error == (1, 99)


@sees("transient")
def _(scene: Scene) -> None:
    scene.add("transient", times=2, after=1)
    answers = [scene.ads() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 500, 500, 200]
    assert answers[1].json["error"]["is_transient"] is True


@sees("html")
def _(scene: Scene) -> None:
    scene.add("html", status=503)
    answer = scene.ads()
    assert answer.status == 503 and answer.response.text.startswith("<!DOCTYPE html>")
    with pytest.raises(ValueError):
        answer.response.json()


@sees("empty_body")
def _(scene: Scene) -> None:
    scene.add("empty_body")
    answer = scene.ads()
    assert (answer.status, answer.response.content) == (200, b"")


@sees("truncated_page")
def _(scene: Scene) -> None:
    scene.add("truncated_page")
    answer = scene.ads()
    assert answer.status == 200 and answer.response.text.startswith('{"data":[')
    with pytest.raises(ValueError):
        answer.response.json()


@sees("cut_connection")
def _(scene: Scene) -> None:
    scene.add("cut_connection")
    with pytest.raises(requests.RequestException):
        scene.ads()


@sees("slow")
def _(scene: Scene) -> None:
    scene.add("slow", seconds=0.3)
    began = time.monotonic()
    assert scene.ads().status == 200
    assert time.monotonic() - began >= 0.3


@sees("reduce_data")
def _(scene: Scene) -> None:
    scene.add("reduce_data", above_limit=5, times=None)
    answer = scene.ads(limit=6)
    assert (answer.status, answer.error[0]) == (500, 1) and answer.message.startswith(
        "Please reduce the amount of data"
    )
    assert scene.ads(limit=5).status == 200


@sees("data_limit")
def _(scene: Scene) -> None:
    scene.add("data_limit", above_days=2, times=None)
    assert scene.insights().error == (100, 1487534)
    assert scene.insights(time_range=span(AS_OF - timedelta(days=1), AS_OF)).rows
    assert scene.ads().status == 200


@sees("sync_timeout")
def _(scene: Scene) -> None:
    scene.add("sync_timeout", times=None)
    assert scene.insights().error == (2, 1504038)
    assert scene.submit()


@sees("bad_cursor")
def _(scene: Scene) -> None:
    scene.add("bad_cursor")
    after = scene.ads().after
    assert scene.ads(after=after).error == (2642, None)
    assert scene.ads(after=after).status == 200


@sees("other_version")
def _(scene: Scene) -> None:
    scene.add("other_version")
    assert scene.ads().response.headers["facebook-api-version"] == "v25.0"


@sees("clock_skew")
def _(scene: Scene) -> None:
    scene.add("clock_skew", seconds=-86_400, times=None)
    answer = scene.api.get(scene.insights_path, date_preset="yesterday")
    assert answer.rows[0]["date_start"] == "2026-11-18"
    at = email.utils.parsedate_to_datetime(answer.response.headers["date"])
    assert at == scene.server.emulator.clock.now() - timedelta(days=1)


@sees("batch_null")
def _(scene: Scene) -> None:
    scene.add("batch_null", count=1)
    calls = json.dumps([{"method": "GET", "relative_url": "me"}] * 2)
    first, second = scene.api.post("/", batch=calls).json
    assert first is None and second["code"] == 200


# pages


@sees("short_page")
def _(scene: Scene) -> None:
    whole = scene.pages()
    scene.add("short_page", times=None)
    short = scene.pages()
    assert joined(short) == joined(whole) and len(short) > len(whole)
    assert len(short[0]) == 5


@sees("empty_page")
def _(scene: Scene) -> None:
    whole = scene.pages()
    scene.add("empty_page", after=1)
    pages = scene.pages()
    assert pages[1] == [] and joined(pages) == joined(whole)


@sees("repeated_page")
def _(scene: Scene) -> None:
    whole = scene.pages()
    scene.add("repeated_page", after=1)
    pages = scene.pages()
    assert pages[1] == pages[2] and pages[:2] + pages[3:] == whole


@sees("repeated_cursor")
def _(scene: Scene) -> None:
    scene.add("repeated_cursor", times=None)
    first = scene.ads()
    second = scene.ads(after=first.after)
    third = scene.ads(after=second.after)
    assert first.after == second.after == third.after and third.next
    assert first.rows == second.rows == third.rows


@sees("lost_rows")
def _(scene: Scene) -> None:
    whole = joined(scene.pages())
    scene.add("lost_rows")
    assert len(joined(scene.pages())) == len(whole) - 5
    assert scene.ads(summary="true").json["summary"]["total_count"] == len(whole)


# rows


def first_row(scene: Scene, kind: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    good = scene.insights().rows[0]
    scene.add(kind, **options)
    return good, scene.insights().rows[0]


@sees("foreign_day")
def _(scene: Scene) -> None:
    good, bad = first_row(scene, "foreign_day", days=3)
    assert good["date_start"] == str(FIRST) and bad["date_start"] == bad["date_stop"] == str(
        FIRST - timedelta(days=3)
    )


@sees("changed_id_type")
def _(scene: Scene) -> None:
    good, bad = first_row(scene, "changed_id_type")
    assert bad["ad_id"] == int(good["ad_id"]) and isinstance(bad["account_id"], int)
    scene.add("changed_id_type", field="id")
    assert isinstance(scene.ads().rows[0]["id"], int)


@sees("number_as_text")
def _(scene: Scene) -> None:
    scene.add("number_as_text", path="*/act_*")
    row = scene.api.get(f"/act_{scene.account.account_id}", fields="account_status,name").json
    assert row["account_status"] == "1"
    good, bad = first_row(scene, "number_as_text", field="impressions", text="n/a")
    assert bad == {**good, "impressions": "n/a"}


@sees("text_as_number")
def _(scene: Scene) -> None:
    good, bad = first_row(scene, "text_as_number")
    assert bad["spend"] == float(good["spend"]) and bad["ad_id"] == good["ad_id"]
    scene.add("text_as_number", field="daily_budget")
    rows = scene.api.get(f"/act_{scene.account.account_id}/campaigns", fields="daily_budget").rows
    assert any(isinstance(row.get("daily_budget"), float) for row in rows)


@sees("null")
def _(scene: Scene) -> None:
    good, bad = first_row(scene, "null", field="spend")
    assert bad == {**good, "spend": None}


@sees("missing_field")
def _(scene: Scene) -> None:
    good, bad = first_row(scene, "missing_field")
    assert {**bad, "ad_id": good["ad_id"]} == good and "ad_id" not in bad


@sees("new_field")
def _(scene: Scene) -> None:
    good, bad = first_row(scene, "new_field", value={"a": [1]})
    assert bad == {**good, "emulated_novelty": {"a": [1]}}


@sees("unknown_enum")
def _(scene: Scene) -> None:
    scene.add("unknown_enum", field="action_type", value="omni_hologram")
    assert scene.insights().rows[0]["actions"][0]["action_type"] == "omni_hologram"
    scene.add("unknown_enum")
    assert scene.ads().rows[0]["effective_status"] == "QUANTUM_PAUSED"
    scene.add("unknown_enum")
    assert scene.api.get("/me/adaccounts", fields="account_status").rows[0]["account_status"] == 777


@sees("duplicate_row")
def _(scene: Scene) -> None:
    scene.add("duplicate_row")
    rows = scene.insights().rows
    assert rows[0] == rows[1] != rows[2]


@sees("late_conversion")
def _(scene: Scene) -> None:
    good = scene.insights().rows
    scene.add("late_conversion")
    row = scene.insights().rows[-1]
    assert (row["spend"], row["impressions"]) == ("0", "0") and row["actions"]
    assert row["ad_id"] not in {each["ad_id"] for each in good} and row["campaign_id"]


# runs


@sees("job_failed")
def _(scene: Scene) -> None:
    scene.add("job_failed")
    run = scene.submit()
    assert scene.polls(run, 3)[-1] == ("Job Failed", 0)
    assert scene.api.get(f"/{run}").json["error_code"] == -2


@sees("job_too_large")
def _(scene: Scene) -> None:
    scene.add("job_too_large", above_days=3)
    run = scene.submit()
    scene.polls(run, 2)
    assert scene.api.get(f"/{run}").json["error_subcode"] == 1504045
    scene.add("job_too_large", above_days=4)
    assert scene.polls(scene.submit(), 5)[-1] == ("Job Completed", 100)


@sees("job_skipped")
def _(scene: Scene) -> None:
    scene.add("job_skipped")
    run = scene.submit()
    assert scene.polls(run, 2)[-1] == ("Job Skipped", 0)
    assert scene.api.get(f"/{run}/insights").error == (2601, 1815107)


@sees("job_slow")
def _(scene: Scene) -> None:
    scene.add("job_slow", polls=7)
    states = scene.polls(scene.submit(), 8)
    assert set(states[:7]) == {("Job Running", 40)} and states[7] == ("Job Completed", 100)


@sees("job_stuck_at_100")
def _(scene: Scene) -> None:
    scene.add("job_stuck_at_100", polls=2)
    run = scene.submit()
    assert scene.polls(run, 2) == [("Job Running", 100)] * 2
    assert scene.api.get(f"/{run}/insights").error == (2601, 1815107)
    assert scene.polls(run, 1) == [("Job Completed", 100)]


@sees("job_lost")
def _(scene: Scene) -> None:
    run = scene.submit()
    scene.add("job_lost")
    assert scene.api.get(f"/{run}").error == (100, 33)
    assert scene.api.get(f"/{run}").error == (100, 33)


@sees("job_unknown_status")
def _(scene: Scene) -> None:
    scene.add("job_unknown_status")
    assert scene.polls(scene.submit(), 2) == [("Job Pondering", 50), ("Job Completed", 100)]


@sees("summary_fields")
def _(scene: Scene) -> None:
    run = scene.submit()
    scene.polls(run, 5)
    scene.add("summary_fields")
    assert "summary param" in scene.api.get(f"/{run}/insights").message
    assert scene.api.get(f"/{run}/insights").rows
