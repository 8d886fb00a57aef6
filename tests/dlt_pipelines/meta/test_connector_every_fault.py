"""Every kind of fault the emulator knows strikes once, as it is by default: a kind without an expectation fails here."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from dlt_pipelines.common.errors import AccessDeniedError, AuthError, SuspendedError, TooMuchDataError
from dlt_pipelines.common.http import Patience
from dlt_pipelines.common.windows import Window
from emulator.meta.faults import KINDS, PAGE, RUN

ACCOUNT = "238461750920317"
LAST = dt.date(2026, 11, 19)
TWO_WEEKS = Window(LAST - dt.timedelta(days=13), LAST)
REPORT = f"*/act_{ACCOUNT}/insights"

# The same figures as without it; an error family; or what becomes of the rows.
EXPECTED: dict[str, Any] = {
    "error": "same",
    "rate_limit": "same",
    "usage": "same",
    "expired_token": AuthError,
    "revoked_token": AuthError,
    "suspended_account": SuspendedError,
    "no_permission": AccessDeniedError,
    "server_error": "same",
    "transient": "same",
    "html": "same",
    "empty_body": "same",
    "truncated_page": "same",
    "cut_connection": "same",
    "slow": "same",
    "reduce_data": "same",
    "data_limit": TooMuchDataError,
    "sync_timeout": "same",
    "bad_cursor": "same",
    "other_version": "same",
    "clock_skew": "restated",
    "batch_null": "same",
    "short_page": "same",
    "empty_page": "same",
    "repeated_page": "same",
    "repeated_cursor": "same",
    "lost_rows": "fewer",
    "foreign_day": "refused",
    "changed_id_type": "same",
    "number_as_text": "same",
    "text_as_number": "same",
    "null": "one differs",
    "missing_field": "refused",
    "new_field": "same",
    "unknown_enum": "one differs",
    "duplicate_row": "same",
    "late_conversion": "one more",
    "job_failed": "same",
    "job_too_large": TooMuchDataError,
    "job_skipped": "same",
    "job_slow": "same",
    "job_stuck_at_100": "same",
    "job_lost": "same",
    "job_unknown_status": "same",
    "summary_fields": "same",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "slow": {"seconds": 0.4},
    "number_as_text": {"path": "*/adsets"},  # a report has no number that is not text already
}
NEEDS_PAGES = {*PAGE, "bad_cursor"}
NEEDS_RUNS = {*RUN, "batch_null"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_fault_ends_as_expected(rig: Any, content: Any, kind: str) -> None:
    expected = EXPECTED[kind]
    undisturbed = content(rig.connector().facts(ACCOUNT, TWO_WEEKS))
    assert len(undisturbed) == len(rig.truth(window=TWO_WEEKS))
    options = {"path": "*" if kind in NEEDS_RUNS else REPORT, **OPTIONS.get(kind, {})}
    if kind in NEEDS_PAGES:
        rig.emulator.faults.add("reduce_data", path=REPORT, times=None, above_limit=50)
    if kind in NEEDS_RUNS:
        rig.emulator.faults.add("sync_timeout", path=REPORT)
    fault = rig.emulator.faults.add(kind, **options)
    connector = rig.connector()
    if isinstance(expected, type):
        with pytest.raises(expected) as caught:
            connector.facts(ACCOUNT, TWO_WEEKS)
        assert caught.value.message.endswith(".") and type(caught.value) is expected
    else:
        pull = connector.facts(ACCOUNT, TWO_WEEKS)
        if kind == "number_as_text":
            connector.entities(ACCOUNT)
        assert all(day in TWO_WEEKS for day in pull.days)
        assert [each.table for each in pull.refused] == (["insights"] if expected == "refused" else [])
        check(expected, content(pull), undisturbed, pull)
    assert fault.struck == 1, "it never struck: the test shows nothing"


def check(expected: str, found: set[Any], undisturbed: set[Any], pull: Any) -> None:
    lost, new = undisturbed - found, found - undisturbed
    match expected:
        case "same":
            assert not lost and not new
        case "fewer":
            assert lost and not new
            # Nothing in the answer tells it; the platform's own totals beside the ads do, for each such day.
            short = {day for day, total in spend_by_day(pull, "insights_totals").items()
                     if total != spend_by_day(pull, "insights").get(day)}  # fmt: skip
            assert short == {row[1] for row in lost}
        case "refused":
            assert len(lost) == 1 and not new
        case "one more":
            assert not lost and len(new) == 1
            ad_id, _, spend, impressions, _, actions = next(iter(new))
            assert ad_id and (spend, impressions) == (Decimal(0), 0) and "omni_purchase" in actions
        case "one differs":
            assert len(lost) == len(new) == 1
        case "restated":
            # The platform's clock is a day ahead: the same ads and days, with what was learnt that day.
            assert {row[:2] for row in undisturbed} <= {row[:2] for row in found}
        case _:
            raise AssertionError(expected)


def spend_by_day(pull: Any, name: str) -> dict[dt.date, Decimal]:
    found: dict[dt.date, Decimal] = {}
    for table in pull.tables[name]:
        for row in table.to_pylist():
            if row.get("level", "account") == "account":
                found[row["day"]] = found.get(row["day"], Decimal(0)) + (row["spend"] or 0)
    return found


def test_an_answer_slower_than_our_patience_is_asked_for_again(rig: Any, content: Any) -> None:
    undisturbed = content(rig.connector().facts(ACCOUNT, TWO_WEEKS))
    rig.emulator.calls.clear()
    rig.emulator.faults.add("slow", path=REPORT, seconds=2.0)
    connector = rig.connector(patience=Patience(timeout=(5, 1.0)))
    assert content(connector.facts(ACCOUNT, TWO_WEEKS)) == undisturbed
    assert connector.usage.failed == 1 and connector.usage.retries == 1


@pytest.mark.parametrize(("percent", "least"), [(70.0, 0), (80.0, 2), (90.0, 120), (97.0, 600)])
def test_the_fuller_the_quota_the_longer_the_pause(rig: Any, percent: float, least: float) -> None:
    rig.emulator.faults.add("usage", path=REPORT, percent=percent)
    rig.connector().facts(ACCOUNT, TWO_WEEKS)
    assert rig.sleeps.total == least


def test_the_vendors_clock_a_day_behind(rig: Any, content: Any) -> None:
    rig.emulator.faults.add("clock_skew", path=REPORT, seconds=-86_400, times=None)
    pull = rig.connector().facts(ACCOUNT, TWO_WEEKS)
    assert pull.refused == [] and max(pull.days) <= LAST
