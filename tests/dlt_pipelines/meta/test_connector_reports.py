"""Report runs side by side: polled together, each answer of a batch read, none submitted where Meta is nearly full."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dlt_pipelines.common.errors import QuotaError, TooMuchDataError
from dlt_pipelines.common.http import Patience
from dlt_pipelines.common.windows import Window
from dlt_pipelines.meta import fields as f
from dlt_pipelines.meta.client import Client, Polling

ACCOUNT = "238461750920317"
LAST = dt.date(2026, 11, 19)
THREE_WEEKS = Window(LAST - dt.timedelta(days=20), LAST)
SUBMIT, BATCHES, FETCH = "POST account/insights", "POST batch", "GET run/insights"
Rows = dict[tuple[str, str], str]


def read(client: Client, window: Window = THREE_WEEKS, is_async: bool = True) -> Rows:
    found: Rows = {}
    for page in client.insights(ACCOUNT, window.first, window.last, "ad", f.INSIGHTS, is_async=is_async):
        for row in page:
            found[row["ad_id"], row["date_start"]] = row["spend"]
    return found


def timeline(rig: Any) -> list[str]:
    return [call["label"] for call in rig.emulator.calls.report(500)["last"]]


@pytest.fixture
def whole(rig: Any) -> Rows:
    found = read(rig.connector().client, is_async=False)
    rig.emulator.calls.clear()
    assert len(found) == len(rig.truth(window=THREE_WEEKS))
    return found


def test_runs_are_polled_together(rig: Any, whole: Rows) -> None:
    client = rig.connector().client
    assert read(client) == whole
    assert rig.calls(SUBMIT) == 3
    assert rig.calls(BATCHES) == 5, "each of the five steps of a run once, for all three"
    assert rig.calls("GET run") == 15 and timeline(rig).count("GET run") == 0, "inside of the batches only"
    # Each answer of a batch counts as a call, the batch itself does not.
    assert client.http.usage.calls == rig.calls() - rig.calls(BATCHES)


def test_a_single_run_is_polled_alone(rig: Any, whole: Rows) -> None:
    week = Window(LAST - dt.timedelta(days=6), LAST)
    assert len(read(rig.connector().client, week)) == len(rig.truth(window=week))
    assert rig.calls(BATCHES) == 0 and rig.calls(SUBMIT) == 1


def test_few_runs_at_a_time(rig: Any, whole: Rows) -> None:
    assert read(rig.connector(polling=Polling(at_once=2)).client) == whole
    labels = timeline(rig)
    assert labels[:2] == [SUBMIT, SUBMIT] and labels.index(BATCHES) == 2
    assert FETCH in labels[: len(labels) - 1 - labels[::-1].index(SUBMIT)], (
        "the third waits for one of the two"
    )


@pytest.mark.parametrize("times", [1, 3])
def test_elements_that_come_back_as_null_are_asked_for_again(rig: Any, whole: Rows, times: int) -> None:
    rig.emulator.faults.add("batch_null", times=times, count=2)
    assert read(rig.connector().client) == whole
    assert rig.emulator.faults.listed() == []
    assert rig.calls(BATCHES) == 5 + times
    assert rig.calls(SUBMIT) == 3, "no run was given up"


def test_a_batch_that_is_never_answered_ends(rig: Any) -> None:
    rig.emulator.faults.add("batch_null", times=None, count=50)
    with pytest.raises(TooMuchDataError, match="not done after 60 minutes"):
        read(rig.connector().client)


def test_a_batch_that_takes_too_long_is_made_smaller(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlt_pipelines.meta.client.BATCH", 2)
    rig.emulator.faults.add("error", code=960, path="/v26.0/")
    client = rig.connector().client
    runs = [client.call("POST", f"/act_{ACCOUNT}/insights", ACCOUNT, form={"level": "ad"}) for _ in range(3)]
    rig.emulator.calls.clear()
    found = client.batch(ACCOUNT, [f"{run['report_run_id']}/" for run in runs])
    assert [isinstance(one, dict) and one["id"] for one in found] == [run["report_run_id"] for run in runs]
    assert rig.calls(BATCHES) == 1 + 3 and rig.calls("GET run") == 3


def test_one_of_a_batch_may_fail_alone(rig: Any, whole: Rows) -> None:
    rig.emulator.faults.add("job_failed")
    rig.emulator.faults.add("job_lost", after=1)
    assert read(rig.connector().client) == whole
    assert rig.calls(SUBMIT) == 5


def test_headers_inside_a_batch_slow_us_down(rig: Any, whole: Rows) -> None:
    rig.emulator.faults.add("usage", path="/v26.0/[0-9]*", percent=96.0, wait=700)
    assert read(rig.connector().client) == whole
    assert rig.emulator.faults.listed() == []
    assert rig.sleeps.total >= 700


@pytest.mark.parametrize(("percent", "waits"), [(89.0, 0), (92.0, 1)])
def test_nothing_is_submitted_from_90_percent_on(rig: Any, whole: Rows, percent: float, waits: int) -> None:
    rig.emulator.faults.add("usage", path=f"*/act_{ACCOUNT}/insights", method="POST", percent=percent)
    assert read(rig.connector().client) == whole
    labels = timeline(rig)
    first_two = [place for place, label in enumerate(labels) if label == SUBMIT][:2]
    between = labels[first_two[0] + 1 : first_two[1]]
    assert (BATCHES in between or "GET run" in between) == bool(waits), "the first run is polled meanwhile"


def test_nothing_is_submitted_where_no_run_is_under_way_either(rig: Any) -> None:
    client = rig.connector(patience=Patience(longest_wait=250)).client
    client.throttle = 99.0
    rig.emulator.faults.add("usage", times=None, percent=92.0)
    with pytest.raises(QuotaError):
        read(client)
    assert rig.calls(SUBMIT) == 0 and 1 <= rig.calls("GET account/insights") <= 5


def test_a_run_that_says_done_and_is_not_is_polled_on(rig: Any, whole: Rows) -> None:
    rig.emulator.faults.add("error", name="not_ready", path="/v26.0/[0-9]*/insights", times=12)
    assert read(rig.connector().client) == whole
    assert rig.calls(SUBMIT) == 3, "patience, not a second run"
