"""The evaluation is a measuring instrument: its scorer by hand, its worlds against what they promise."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from evaluation import naive
from evaluation.__main__ import SEEDS
from evaluation.files import write_world
from evaluation.score import (
    Finding,
    bins,
    brier,
    episodes,
    rank_correlation,
    read_findings,
    score_advice,
    score_alarms,
)
from evaluation.truth import ANOMALY_TYPES, Incident, Situation, Truth
from evaluation.world import CAUSES, DAYS, KINDS, judge_last, make_world

FIRST = date(2025, 3, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def found(
    entity: str, number: int, kind: str, level: str = "campaign", confidence: float | None = None
) -> Finding:
    return Finding("t", "meta", level, entity, day(number), kind, "high", confidence)


def truth(incidents: list[Incident] | None = None, situations: list[Situation] | None = None) -> Truth:
    return Truth(
        day(0), day(60), dict.fromkeys(("c1", "c2", "c3"), ("t", "meta", "a")), {"c1-s1": "c1"}, 90,
        incidents or [], situations or [],
    )  # fmt: skip


def incident(
    kind: str = "ctr_drop", level: str = "campaign", entity: str = "c1", members: tuple[str, ...] = ()
) -> Incident:
    return Incident("t", "meta", level, entity, "a", day(10), day(12), kind, "made up", 0.5, 100.0, members)


@pytest.mark.parametrize(
    ("findings", "hit", "false"),
    [
        ([found("c1", 10, "ctr_drop")], 1, 0),
        ([found("c1", 14, "ctr_drop")], 1, 0),
        ([found("c1", 15, "ctr_drop")], 0, 1),
        ([found("c1", 9, "ctr_drop")], 0, 1),
        ([found("c1", 9, "ctr_drop"), found("c1", 11, "ctr_drop")], 1, 0),
        ([found("c1", 11, "cost_spike")], 0, 1),
        ([found("c2", 11, "ctr_drop")], 0, 1),
        ([found("c1", 11, "ctr_drop"), found("c1", 16, "ctr_drop")], 1, 1),
        ([found("a", 11, "ctr_drop", "account")], 1, 0),
        ([found("t", 30, "ctr_drop", "tenant")], 0, 0),
        ([found("c1", 61, "ctr_drop")], 0, 0),
    ],
)
def test_an_alarm_hits_by_type_entity_and_time(findings: list[Finding], hit: int, false: int) -> None:
    score = score_alarms(truth([incident()]), findings)
    assert (score.total.found, score.total.false) == (hit, false)
    assert score.total.true == 1


def test_alarms_of_an_accounts_campaigns_are_one_hit_and_not_false() -> None:
    outage = incident("conversion_drop", "account", "a", ("c1", "c2"))
    score = score_alarms(
        truth([outage]),
        [
            found("a", 11, "conversion_drop", "account"),
            found("c1", 11, "conversion_drop"),
            found("c2", 12, "conversion_drop"),
        ],
    )
    assert (score.total.found, score.total.false, score.total.f1) == (1, 0, 1.0)
    assert score.delays == [1]
    assert score_alarms(truth([outage]), [found("c3", 11, "conversion_drop")]).total.false == 1


def test_false_alarms_are_counted_per_campaign_month() -> None:
    score = score_alarms(
        truth(), [found("c1", 10, "ctr_drop"), found("c1", 30, "ctr_drop"), found("c2", 1, "roas_drop")]
    )
    assert score.false_alarms_a_month == 3 / (90 / 30)


def state(
    kind: str, right: tuple[str, ...], neutral: tuple[str, ...] = (), tempting: tuple[str, ...] = ()
) -> Situation:
    return Situation("t", "meta", "c1", day(0), day(60), kind, right, neutral, tempting)


def test_advice_is_right_neutral_or_wrong_by_its_campaigns_situation() -> None:
    tired = truth(situations=[state("tired", ("creative",), ("timing",), ("pause",))])
    score = score_advice(
        tired,
        [
            found("c1-s1", 20, "creative", "adset", 0.9),
            found("c1", 20, "timing"),
            found("c1", 30, "budget_increase", confidence=0.6),
        ],
    )
    assert (score.total.true, score.total.found, score.total.alarms, score.total.false) == (1, 1, 2, 1)
    assert (score.traps, score.sprung) == (1, 0)
    assert score.stated == [(0.9, True), (0.6, False)]
    assert score_advice(tired, [found("c1", 20, "pause")]).trap_rate == 1.0
    assert score_advice(tired, []).total.recall == 0.0


def test_days_next_to_each_other_are_one_episode() -> None:
    runs = episodes([found("c1", number, "pause") for number in (1, 3, 10, 20)], gap=7)
    assert [(run.first.day, run.last_day) for run in runs] == [(day(1), day(10)), (day(20), day(20))]


def test_calibration_and_rank_correlation_by_hand() -> None:
    stated = [(0.9, True), (0.8, False), (0.85, True), (0.3, False)]
    said, base = brier(stated)
    assert said == pytest.approx((0.01 + 0.64 + 0.0225 + 0.09) / 4)
    assert base == pytest.approx(0.25)
    assert bins(stated) == [(0.3, 1, 0.0), (0.8, 2, 0.5), (0.9, 1, 1.0)]
    assert rank_correlation([(1, 10), (2, 20), (3, 40), (4, 30)]) == pytest.approx(0.8)


def test_a_seed_makes_the_same_world_and_another_a_different_one() -> None:
    one, again, other = make_world(7, 20), make_world(7, 20), make_world(8, 20)
    assert one.truth == again.truth
    assert np.array_equal(one.campaigns[3].ads[0].spend, again.campaigns[3].ads[0].spend)
    assert one.truth != other.truth


def test_worlds_hold_every_kind_of_incident_and_situation() -> None:
    worlds = [make_world(seed) for seed in SEEDS["dev"][:6]]
    causes = {one.cause for world in worlds for one in world.truth.incidents}
    assert causes == {*CAUSES, "account outage"}
    assert {one.type for world in worlds for one in world.truth.incidents} == set(ANOMALY_TYPES)
    assert {one.kind for world in worlds for one in world.truth.situations} == set(KINDS)
    assert {one.kind for world in worlds for one in world.truth.movements} >= {"promotion", "price shock"}


def test_seeds_for_developing_and_for_scoring_are_apart() -> None:
    assert not set(SEEDS["dev"]) & set(SEEDS["scored"])


def test_labels_say_what_the_figures_were_drawn_with() -> None:
    """Over many incidents the figures show the effect that the label states."""
    ratios = []
    for seed in range(40, 46):
        world = make_world(seed, 60)
        by_id = {one.campaign_id: one for one in world.campaigns}
        for one in world.truth.incidents:
            if one.cause != "fewer click":
                continue
            ads = by_id[one.entity_id].ads
            clicks = sum(ad.clicks for ad in ads)
            shown = sum(ad.impressions for ad in ads)
            first, last = (one.first_day - world.first_day).days, (one.last_day - world.first_day).days
            before = slice(first - 9, first)
            if clicks[before].sum() < 200:
                continue
            now = clicks[first : last + 1].sum() / shown[first : last + 1].sum()
            ratios.append(now / (clicks[before].sum() / shown[before].sum()) / one.effect)
    assert len(ratios) >= 5
    assert 0.85 < float(np.median(ratios)) < 1.15


def test_a_worlds_files_are_taken_by_the_import_as_they_are(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    world = make_world(9, 20)
    files = write_world(world, tmp_path)
    ads = pq.read_table(files["ads"])
    columns = {
        name: ads.column(name).to_pylist() for name in ("ad_id", "day", "known_on", "conversions", "spend")
    }
    keys = list(zip(columns["ad_id"], columns["day"], columns["known_on"], strict=True))
    assert len(keys) == len(set(keys))
    assert all(known >= on for _, on, known in keys)
    # What is known last is what the world drew.
    last: dict[tuple[str, date], tuple[date, int]] = {}
    for (ad, on, known), count in zip(keys, columns["conversions"], strict=True):
        last[(ad, on)] = max(last.get((ad, on), (known, count)), (known, count))
    settled = {key: count for key, (_, count) in last.items() if key[1] <= world.day(DAYS - 30)}
    for campaign in world.campaigns[:5]:
        for ad in campaign.ads:
            for index in np.flatnonzero(ad.spend[: DAYS - 29] > 0):
                assert settled[(ad.ad_id, world.day(index))] == ad.conversions[index, -1]
    with files["campaigns"].open(encoding="utf-8") as file:
        assert {row["campaign_id"] for row in csv.DictReader(file)} == {
            one.campaign_id for one in world.campaigns
        }
    with (tmp_path / "truth_incidents.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(world.truth.incidents)


def test_a_flat_world_has_nothing_in_it() -> None:
    world = make_world(5, 30, quiet=True)
    assert not world.truth.incidents and not world.truth.situations and not world.truth.movements
    assert all(not np.any(acts) for one in world.campaigns for acts in one.acts.values())


def test_judging_the_last_days_leaves_out_what_began_before() -> None:
    world = make_world(SEEDS["dev"][1])
    before = len(world.truth.incidents)
    judge_last(world, 28)
    first = world.day(DAYS - 28)
    assert 0 < len(world.truth.incidents) < before
    assert all(one.first_day >= first for one in (*world.truth.incidents, *world.truth.situations))
    assert 0 < world.truth.active_days <= 28 * len(world.campaigns)


def test_naive_rules_alarm_at_everything() -> None:
    """What the goals are compared with: the rule of thumb finds most and is wrong most of the time."""
    world = make_world(SEEDS["dev"][0])
    score = score_alarms(world.truth, naive.thirty_percent(world))
    assert score.total.recall > 0.8
    assert score.false_alarms_a_month > 2
    assert score_advice(world.truth, naive.week_roas(world)).trap_rate > 0.5


def test_exported_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "anomalies.csv"
    file.write_text(
        "tenant_id,platform,level,entity_id,day,type,severity\nt,meta,campaign,c1,2025-03-11,ctr_drop,high\n"
    )
    assert read_findings(file) == [found("c1", 10, "ctr_drop")]


def test_the_command_writes_worlds_for_others(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evaluation", "--seed", "9", "--write-worlds", str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parent.parent,
    )  # fmt: skip
    assert str(tmp_path / "9") in done.stdout
    assert {path.name for path in (tmp_path / "9").iterdir()} >= {
        "ads.parquet",
        "campaigns.csv",
        "truth_actions.csv",
    }
