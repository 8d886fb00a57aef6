"""history.performance_versions: what was known when, whatever the order and number of loads it came in."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from conftest import Feed

D1 = date(2026, 6, 1)
D2 = date(2026, 6, 2)
D5 = date(2026, 6, 5)
VERSIONS = "+performance_versions"


def row(ad: str = "a1", day: date = D1, known_on: date | None = None, **figures: Any) -> dict[str, Any]:
    return {"platform_id": ad, "day": day, "known_on": known_on, **figures}


def test_a_first_figure_counts_as_known_at_the_end_of_its_day(feed: Feed) -> None:
    feed.ran(D5)
    feed.load([row(spend=10)])
    feed.build(VERSIONS)
    assert feed.versions() == [("a1", D1, D1, "file", 10, 2, False)]


def test_the_same_content_again_adds_nothing(feed: Feed) -> None:
    rows = [row(spend=10), row("a2", D2, spend=7)]
    feed.load(rows)
    feed.build(VERSIONS)
    before = feed.warehouse.rows("select * from history.performance_versions order by 5, 6")
    feed.ran(D5)
    feed.load(rows)
    feed.build(VERSIONS)
    assert feed.warehouse.rows("select * from history.performance_versions order by 5, 6") == before


def test_a_corrected_figure_is_known_from_the_first_run_that_can_still_see_it(feed: Feed) -> None:
    feed.load([row(spend=10)])
    feed.build(VERSIONS)
    feed.ran(D2)
    feed.load([row(spend=11)])
    feed.build(VERSIONS)
    assert [v[2:5] for v in feed.versions()] == [(D1, "file", 10), (date(2026, 6, 3), "file", 11)]


def test_until_that_run_the_newest_load_replaces_the_earlier_ones(feed: Feed) -> None:
    feed.ran(D2)
    feed.load([row(spend=10)])
    feed.build(VERSIONS)
    feed.load([row(spend=11)])
    feed.load([row(spend=12)])
    feed.build(VERSIONS)
    feed.load([row(spend=13)])
    feed.build(VERSIONS)
    assert [v[2:5] for v in feed.versions()] == [(D1, "file", 10), (date(2026, 6, 3), "file", 13)]


def test_taking_the_correction_back_before_the_run_leaves_no_trace(feed: Feed) -> None:
    feed.ran(D2)
    feed.load([row(spend=10)])
    feed.build(VERSIONS)
    feed.load([row(spend=11)])
    feed.build(VERSIONS)
    feed.load([row(spend=10)])
    feed.build(VERSIONS)
    assert [v[2:5] for v in feed.versions()] == [(D1, "file", 10)]


def test_reports_of_several_days_are_versions_where_something_changed(feed: Feed) -> None:
    feed.load(
        [
            row(known_on=D1, conversions=1),
            row(known_on=D2, conversions=1),
            row(known_on=D5, conversions=3),
        ]
    )
    feed.build(VERSIONS)
    assert [(v[2], v[5]) for v in feed.versions()] == [(D1, 1), (D5, 3)]


def test_an_earlier_report_that_arrives_later_makes_the_repetition_go(feed: Feed) -> None:
    feed.load([row(known_on=D2, conversions=1), row(known_on=D5, conversions=3)])
    feed.build(VERSIONS)
    feed.load([row(known_on=D1, conversions=1)])
    feed.build(VERSIONS)
    assert [(v[2], v[5]) for v in feed.versions()] == [(D1, 1), (D5, 3)]


def test_absence_withdraws_nothing(feed: Feed) -> None:
    feed.load([row("a1"), row("a2")])
    feed.build(VERSIONS)
    feed.load([row("a1")])
    feed.build(VERSIONS)
    assert [v[0] for v in feed.versions()] == ["a1", "a2"]


@pytest.mark.parametrize("state", ["pending", "withheld"])
def test_what_is_not_accepted_is_not_read(feed: Feed, state: str) -> None:
    feed.load([row("a1")], state=state)
    feed.load([row("a2")])
    feed.build(VERSIONS)
    assert [v[0] for v in feed.versions()] == ["a2"]
    assert feed.warehouse.rows("select count(*) from ops.coverage where versioned_at is null") == [(1,)]


def test_a_row_that_no_table_can_hold_stops_nobody_else(feed: Feed) -> None:
    feed.load([row("bad", spend=-1), row("worse", level="banner"), row("good")])
    feed.load([row("worst", day=D2, known_on=D1)])
    feed.build(VERSIONS, "stg_manual__performance_daily__refused")
    assert [v[0] for v in feed.versions()] == ["good"]
    refused = feed.warehouse.rows(
        "select platform_id, reason from staging.stg_manual__performance_daily__refused order by platform_id"
    )
    assert refused == [
        ("bad", "a figure is below zero"),
        ("worse", "level is unknown"),
        ("worst", "known_on lies before the day"),
    ]


def test_hand_rows_become_versions_and_their_deletion_a_withdrawal(feed: Feed) -> None:
    feed.ran(D2)
    feed.as_buyer(
        "insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend) values (%s, 'meta', 'ad', 'h1', %s, 5)",
        ("cccccccc-0000-4000-8000-000000000003", D1),
    )
    feed.judge()
    feed.build(VERSIONS)
    # The run of the 2nd never saw it: a replay must not either.
    assert [v[:5] + v[6:] for v in feed.versions()] == [("h1", D1, date(2026, 6, 3), "manual", 5, False)]

    feed.ran(date(2026, 6, 3))
    feed.as_buyer("delete from ads.metrics_daily where platform_id = 'h1'")
    feed.judge()
    feed.build(VERSIONS)
    assert [(v[2], v[6]) for v in feed.versions()] == [(date(2026, 6, 3), False), (date(2026, 6, 4), True)]


def _reports(seed: int) -> list[dict[str, Any]]:
    """Random reports, unique in key and known day, with values that often repeat."""
    dice = random.Random(seed)
    return [
        row(
            f"a{ad}",
            D1 + timedelta(day),
            D1 + timedelta(day + lag),
            conversions=dice.choice([1, 1, 2]),
            spend=day,
        )
        for ad in range(3)
        for day in range(3)
        for lag in sorted(dice.sample(range(12), 4))
    ]


@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2, 4, 5))])
def test_order_and_portions_of_loading_change_nothing(new_warehouse: Any, seed: int) -> None:
    reports = _reports(seed)
    shuffled = random.Random(seed + 100).sample(reports, len(reports))
    at_once, in_portions = Feed(new_warehouse()), Feed(new_warehouse())

    at_once.load(reports)
    at_once.build(VERSIONS)
    for start in range(0, len(shuffled), 15):
        in_portions.load(shuffled[start : start + 15])
        in_portions.build(VERSIONS)
    assert in_portions.versions() == at_once.versions()
    in_portions.load(reports)
    in_portions.build(VERSIONS)
    assert in_portions.versions() == at_once.versions()
