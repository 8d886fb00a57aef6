"""A day that is too much for one report is read in parts, and whole; what the platform no longer keeps is said."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

from dlt_pipelines.common.errors import ContractError, TooMuchDataError
from dlt_pipelines.common.windows import Window, months_before
from dlt_pipelines.meta import fields as f
from dlt_pipelines.meta.ladder import Ladder

ACCOUNT = "238461750920317"
DAY = dt.date(2026, 11, 19)
ONE = Window(DAY, DAY)


def filters(rig: Any) -> list[tuple[str, int]]:
    """The ids asked for in each report call, as (field, how many)."""
    found = []
    for call in rig.emulator.calls.report(500)["last"]:
        for each in orjson.loads(call["parameters"].get("filtering", "[]")):
            if each["field"].endswith(".id"):
                found.append((each["field"], len(each["value"])))
    return found


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("points", "deepest"),
    [(400, "campaign.id"), (200, "adset.id"), (60, "ad.id"), (30, "ad.id")],
)
def test_a_day_is_split_as_far_as_it_must_be(
    rig: Any, content: Any, points: int, deepest: str, is_async: bool
) -> None:
    undisturbed = rig.connector().facts(ACCOUNT, ONE)
    rig.emulator.meta.settings.data_points = points
    rig.emulator.calls.clear()
    client = rig.connector().client
    rows = [row for page in Ladder(client, ACCOUNT, DAY, is_async=is_async).pages() for row in page]
    assert {name for name, _ in filters(rig)} == {
        "campaign.id": {"campaign.id"},
        "adset.id": {"campaign.id", "adset.id"},
        "ad.id": {"campaign.id", "adset.id", "ad.id"},
    }[deepest]
    rig.emulator.meta.settings.data_points = 2_000_000
    mapper_days = {row["ad_id"]: (row["spend"], row["impressions"]) for row in rows}
    assert len(rows) == len(mapper_days) == sum(undisturbed.days.values())
    whole = [row for page in client.insights(ACCOUNT, DAY, DAY, "ad", f.INSIGHTS) for row in page]
    assert {row["ad_id"]: row for row in rows} == {row["ad_id"]: row for row in whole}


def test_the_connector_takes_the_ladder_for_a_day_and_halves_more(rig: Any, content: Any) -> None:
    undisturbed = content(rig.connector().facts(ACCOUNT, ONE))
    rig.emulator.meta.settings.data_points = 200
    assert content(rig.connector().facts(ACCOUNT, ONE)) == undisturbed
    with pytest.raises(TooMuchDataError):
        rig.connector().facts(ACCOUNT, Window(DAY - dt.timedelta(days=1), DAY))


def test_deleted_campaigns_are_not_lost_where_no_edge_shows_them(rig: Any, content: Any) -> None:
    undisturbed = content(rig.connector().facts(ACCOUNT, ONE))
    campaign = next(row["campaign_id"] for page in rig.connector().client.insights(
        ACCOUNT, DAY, DAY, "ad", f.INSIGHTS) for row in page)  # fmt: skip
    rig.emulator.meta.override(campaign, {"effective_status": "DELETED", "status": "DELETED"})
    rig.emulator.meta.settings.deleted_in_filter = False
    rig.emulator.meta.settings.data_points = 200
    assert len(content(rig.connector().facts(ACCOUNT, ONE))) == len(undisturbed)


def test_one_figure_of_one_ad_that_is_too_much_is_an_error(rig: Any) -> None:
    rig.emulator.meta.settings.data_points = 5
    with pytest.raises(TooMuchDataError) as caught:
        list(Ladder(rig.connector().client, ACCOUNT, DAY, is_async=False).pages())
    assert caught.value.message.endswith(".")
    assert rig.calls() < 60


def test_a_list_of_ids_that_is_too_much_is_an_error(rig: Any) -> None:
    rig.emulator.faults.add("data_limit", path=f"*/act_{ACCOUNT}/insights", times=None)
    with pytest.raises(TooMuchDataError):
        rig.connector().facts(ACCOUNT, ONE)
    assert rig.calls() == 2, "the day, then the list of its campaigns"


# -- 37 months ----------------------------------------------------------------------------------------------


def test_what_is_older_than_37_months_is_clamped_once_and_said(rig: Any) -> None:
    oldest = months_before(DAY + dt.timedelta(days=1), 37) + dt.timedelta(days=1)
    connector = rig.connector()
    connector.describe(ACCOUNT)
    pull = connector.facts(ACCOUNT, Window(oldest - dt.timedelta(days=4), oldest + dt.timedelta(days=2)))
    assert pull.since == oldest
    assert connector.notes == [f"Meta keeps figures since {oldest} only."]
    asked = [call["parameters"].get("time_range") for call in rig.emulator.calls.report(50)["last"]]
    since = [orjson.loads(each)["since"] for each in asked if each]
    assert sorted(set(since)) == [str(oldest - dt.timedelta(days=4)), str(oldest)]
    assert since.count(str(oldest - dt.timedelta(days=4))) == 1


def test_a_window_that_is_older_as_a_whole_has_nothing(rig: Any) -> None:
    connector = rig.connector()
    connector.describe(ACCOUNT)
    pull = connector.facts(ACCOUNT, Window(dt.date(2020, 1, 1), dt.date(2020, 1, 7)))
    assert pull.since is not None and pull.since > dt.date(2020, 1, 7) and not pull.days


def test_3018_for_a_window_that_is_not_old_is_an_error(rig: Any) -> None:
    rig.emulator.faults.add("error", code=3018, path=f"*/act_{ACCOUNT}/insights")
    with pytest.raises(ContractError, match="3018"):
        rig.connector().facts(ACCOUNT, ONE)


def test_days_the_platform_forgot_meanwhile_are_not_called_covered(office: Any, rig: Any) -> None:
    """Our clock is behind the platform's: we ask for more than it keeps."""
    office.connect(ACCOUNT)
    now = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
    rig.emulator.clock.set_as_of(DAY + dt.timedelta(days=9))
    oldest = months_before(DAY + dt.timedelta(days=10), 37) + dt.timedelta(days=1)
    period = Window(oldest - dt.timedelta(days=3), oldest + dt.timedelta(days=3))
    result = office.sync(period, now=now).results[0]
    assert (result.state, result.days_done, result.days_total) == ("completed", 4, 4)
    assert any(f"since {oldest} only" in note for note in result.notes)
    assert office.warehouse.rows("select min(day), count(*) from ops.coverage") == [(oldest, 4)]
