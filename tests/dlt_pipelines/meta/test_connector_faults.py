"""Everything the emulator can do wrong ends as the specification's error table says."""

from __future__ import annotations

import datetime as dt
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from dlt_pipelines.common.errors import (
    AccessDeniedError,
    AuthError,
    ContractError,
    PartialDataError,
    QuotaError,
    SuspendedError,
    TooMuchDataError,
    TransientError,
)
from dlt_pipelines.common.http import Patience
from dlt_pipelines.common.windows import Window

ACCOUNT = "238461750920317"
WEEK = Window(dt.date(2026, 11, 13), dt.date(2026, 11, 19))
REPORT = f"*/act_{ACCOUNT}/insights"
Content = Callable[..., set[tuple[Any, ...]]]

HEALING = {
    "rate_limit": {"times": 2},
    "server_error": {"times": 3},
    "transient": {"times": 2},
    "html": {"times": 2},
    "empty_body": {},
    "truncated_page": {"times": 2},
    "cut_connection": {},
    "reduce_data": {"above_limit": 40, "times": None},
    "sync_timeout": {},
    "short_page": {},
    "empty_page": {},
    "repeated_page": {},
    "duplicate_row": {},
    "number_as_text": {},
    "text_as_number": {},
    "changed_id_type": {},
    "new_field": {},
    "unknown_enum": {"field": "attribution_setting"},
    "other_version": {},
    "bad_cursor": {},
}


@pytest.mark.parametrize("kind", HEALING)
def test_what_heals_loses_and_doubles_nothing(rig: Any, content: Content, kind: str) -> None:
    undisturbed = content(rig.connector().facts(ACCOUNT, WEEK))
    assert len(undisturbed) == len(rig.truth())
    rig.emulator.meta.settings.insights_limit = 500
    connector = rig.connector()
    if kind in ("bad_cursor", "short_page", "repeated_page", "empty_page"):
        # Several pages are needed for these.
        rig.emulator.faults.add("reduce_data", path=REPORT, times=None, above_limit=20)
    rig.emulator.faults.add(kind, path=REPORT, **HEALING[kind])
    pull = connector.facts(ACCOUNT, WEEK)
    assert content(pull) == undisturbed
    assert pull.refused == []
    assert sum(pull.days.values()) == len(undisturbed)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("expired_token", {}, AuthError),
        ("revoked_token", {"subcode": 460}, AuthError),
        ("revoked_token", {"subcode": 458}, AuthError),
        ("no_permission", {"style": "200"}, AccessDeniedError),
        ("no_permission", {"style": "10"}, AccessDeniedError),
        ("no_permission", {"style": "33"}, AccessDeniedError),
        ("no_permission", {"style": "missing"}, AccessDeniedError),
        ("suspended_account", {}, SuspendedError),
        ("repeated_cursor", {"times": None}, PartialDataError),
        ("data_limit", {"times": None, "above_days": 3}, TooMuchDataError),
        ("reduce_data", {"times": None}, TooMuchDataError),
        ("server_error", {"times": None}, TransientError),
        ("html", {"times": None}, TransientError),
        ("bad_cursor", {"times": None}, PartialDataError),
        ("error", {"code": 3018}, ContractError),
        ("error", {"code": 2635}, ContractError),
        ("error", {"code": 368}, ContractError),
        ("error", {"code": 999999}, ContractError),
    ],
)
def test_what_does_not_heal_is_the_right_family(
    rig: Any, kind: str, options: dict[str, Any], expected: type[Exception]
) -> None:
    if kind in ("bad_cursor",):
        rig.emulator.faults.add("reduce_data", path=REPORT, times=None, above_limit=20)
    rig.emulator.faults.add(kind, path=REPORT, **options)
    with pytest.raises(expected) as caught:
        rig.connector().facts(ACCOUNT, WEEK)
    if expected in (AuthError, AccessDeniedError):
        assert isinstance(caught.value, AccessDeniedError) == (expected is AccessDeniedError)
    assert caught.value.message.count("\n") == 0 and caught.value.message.endswith(".")
    assert rig.calls() <= 20  # nothing is tried without end


@pytest.mark.parametrize("limit", ["buc", "account", "app", "calls"])
def test_a_limit_is_waited_for_as_long_as_announced(rig: Any, limit: str) -> None:
    rig.emulator.faults.add("rate_limit", path=REPORT, limit=limit, wait=420)
    rig.connector().facts(ACCOUNT, WEEK)
    assert rig.sleeps.total >= 420


def test_a_limit_beyond_our_patience_is_raised_with_its_wait(rig: Any) -> None:
    rig.emulator.faults.add("rate_limit", path=REPORT, wait=3000, times=None)
    with pytest.raises(QuotaError) as caught:
        rig.connector(patience=Patience(longest_wait=100)).facts(ACCOUNT, WEEK)
    assert caught.value.retry_after == 3000
    assert rig.calls() == 1


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("foreign_day", {"days": 3}, "outside of"),
        ("number_as_text", {"field": "spend", "text": "n/a"}, "spend is no number"),
        ("number_as_text", {"field": "impressions", "text": "12.5"}, "impressions is no whole number"),
        ("missing_field", {"field": "ad_id"}, "no ad_id"),
        ("null", {"field": "ad_id"}, "no ad_id"),
    ],
)
def test_a_row_that_cannot_be_taken_is_refused_and_the_others_go_on(
    rig: Any, content: Content, kind: str, options: dict[str, Any], reason: str
) -> None:
    undisturbed = content(rig.connector().facts(ACCOUNT, WEEK))
    rig.emulator.faults.add(kind, path=REPORT, **options)
    pull = rig.connector().facts(ACCOUNT, WEEK)
    assert [reason in each.reason for each in pull.refused] == [True]
    found = content(pull)
    assert found < undisturbed and len(found) == len(undisturbed) - 1


def test_an_unknown_figure_stays_unknown(rig: Any) -> None:
    rig.emulator.faults.add("null", path=REPORT, field="spend")
    pull = rig.connector().facts(ACCOUNT, WEEK)
    spend = [value for table in pull.tables["insights"] for value in table.column("spend").to_pylist()]
    assert spend.count(None) == 1 and pull.refused == []


def test_a_new_field_is_kept(rig: Any) -> None:
    rig.emulator.faults.add("new_field", path=REPORT)
    pull = rig.connector().facts(ACCOUNT, WEEK)
    extra = [value for table in pull.tables["insights"] for value in table.column("extra").to_pylist()]
    assert [value for value in extra if value] == ['{"emulated_novelty":{"depth":[1,2.5,"x"]}}']


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("job_failed", {}),
        ("job_skipped", {}),
        ("job_lost", {}),
        ("job_slow", {"polls": 5}),
        ("job_stuck_at_100", {"polls": 5}),
        ("job_unknown_status", {}),
        ("summary_fields", {}),
        ("error", {"name": "not_ready"}),
    ],
)
def test_a_report_run_that_stumbles_ends_with_all_rows(
    rig: Any, content: Content, kind: str, options: dict[str, Any]
) -> None:
    undisturbed = content(rig.connector().facts(ACCOUNT, WEEK))
    rig.emulator.faults.add("sync_timeout", path=REPORT)  # sends it the asynchronous way
    path = "/v26.0/[0-9]*/insights" if kind in ("summary_fields", "error") else "*"
    rig.emulator.faults.add(kind, path=path, **options)
    assert content(rig.connector().facts(ACCOUNT, WEEK)) == undisturbed
    assert rig.emulator.faults.listed() == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("job_failed", {"times": 2}),
        ("job_too_large", {"times": None}),
        ("job_slow", {"polls": 999, "times": 2}),
    ],
)
def test_a_report_run_that_fails_twice_is_too_much(rig: Any, kind: str, options: dict[str, Any]) -> None:
    rig.emulator.faults.add("sync_timeout", path=REPORT, times=None)
    rig.emulator.faults.add(kind, **options)
    with pytest.raises(TooMuchDataError):
        rig.connector().facts(ACCOUNT, WEEK)


def test_a_day_that_is_too_much_is_read_by_campaign(rig: Any, content: Content) -> None:
    day = Window(WEEK.last, WEEK.last)
    undisturbed = content(rig.connector().facts(ACCOUNT, day))
    rig.emulator.faults.add("data_limit", path=REPORT, times=1)
    assert content(rig.connector().facts(ACCOUNT, day)) == undisturbed


def test_a_field_the_platform_dropped_is_left_out(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from emulator.meta.insights import FIELDS

    monkeypatch.delitem(FIELDS, "quality_ranking")
    connector = rig.connector()
    pull = connector.facts(ACCOUNT, WEEK)
    assert sum(pull.days.values()) == len(rig.truth())
    assert any("quality_ranking" in note for note in connector.notes)


def test_deleted_objects_where_the_filter_refuses_them(rig: Any) -> None:
    everything = rig.connector().entities(ACCOUNT)
    rig.emulator.meta.settings.deleted_in_filter = False
    fewer = rig.connector().entities(ACCOUNT)
    count = {
        name: [sum(t.num_rows for t in pull.tables[name]) for pull in (everything, fewer)]
        for name in ("ads", "adsets")
    }
    assert 0 < count["ads"][1] <= count["ads"][0]


def test_next_is_never_followed_and_the_token_is_in_no_address(rig: Any) -> None:
    connector = rig.connector()
    connector.entities(ACCOUNT)
    connector.facts(ACCOUNT, WEEK)
    calls = rig.emulator.calls.report(500)["last"]
    assert len(calls) > 8
    assert {call["token_in"] for call in calls} == {"header"}
    assert not any(call["followed_next"] for call in calls)


@pytest.mark.parametrize("kind", ["expired_token", "html", "cut_connection", "error", "repeated_cursor"])
def test_no_token_in_messages_tracebacks_or_logs(
    rig: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    text = rig.token.reveal()
    rig.environ.update(AEGIS_META_APP_ID="200000000000001", AEGIS_META_APP_SECRET="emulator-app-secret")
    more = {"message": f"Malformed access token {text}"} if kind == "error" else {}
    rig.emulator.faults.add(kind, path=REPORT, times=None, **more)
    connector = rig.connector()
    with pytest.raises(Exception, match=r"\w") as caught:
        connector.facts(ACCOUNT, WEEK)
    said = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(connector)
    said += repr(vars(connector.client)) + repr(connector.client.http) + repr(connector.client.app)
    assert text not in said
    assert "emulator-app-secret" not in said
