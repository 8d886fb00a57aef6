"""The world as files: the importer's layout, versions without repetition, increments that continue a history."""

from __future__ import annotations

import csv
import time
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emulator.world import World
from emulator.world.export import write_history, write_increment

WORLD = World(seed=7)
LAST = date(2026, 11, 19)
FIRST = LAST - timedelta(days=129)

ADS = {
    "tenant_id", "platform", "account_id", "currency", "campaign_id", "adset_id", "ad_id", "day", "spend",
    "impressions", "clicks", "reach", "frequency", "conversions", "conversion_value", "known_on",
}  # fmt: skip
CAMPAIGNS = [
    "tenant_id", "platform", "account_id", "campaign_id", "campaign_name", "objective", "start_day", "status",
    "daily_budget", "target_roas", "target_cpa",
]  # fmt: skip
CHANGES = ["tenant_id", "platform", "account_id", "campaign_id", "day", "field", "old", "new"]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_history(WORLD, tmp_path_factory.mktemp("history"), FIRST, LAST)


def rows(path: Path) -> list[dict]:
    return pq.read_table(path).to_pylist()


def as_set(found: list[dict]) -> set[tuple]:
    made = {tuple(row.values()) for row in found}
    assert len(made) == len(found)
    return made


def key(row: dict) -> tuple:
    return (row["platform"], row["adset_id"], row["ad_id"], row["day"])


def test_the_columns_are_those_of_the_importer(history: dict[str, Path]) -> None:
    ads = pq.read_schema(history["ads"])
    assert set(ads.names) >= ADS
    assert pq.read_schema(history["campaigns"]).names == CAMPAIGNS
    assert pq.read_schema(history["changes"]).names == CHANGES
    for name in ("spend", "conversion_value", "conversions", "frequency"):
        assert ads.field(name).type == pa.decimal128(20, 6)
    assert pq.read_schema(history["campaigns"]).field("daily_budget").type == pa.decimal128(20, 6)
    assert ads.field("day").type == ads.field("known_on").type == pa.date32()
    for path in history.values():
        if path.suffix == ".parquet":
            assert not any(pa.types.is_floating(field.type) for field in pq.read_schema(path))


def test_a_big_export_is_quick_and_modest(tmp_path: Path) -> None:
    started = time.process_time()
    paths = write_history(World(seed=7), tmp_path, FIRST, LAST)
    assert time.process_time() - started < 8
    assert 20_000 < pq.read_metadata(paths["ads"]).num_rows < 250_000


def test_versions_begin_on_their_day_and_each_changes_something(history: dict[str, Path]) -> None:
    found = rows(history["ads"])
    ages = [(row["known_on"] - row["day"]).days for row in found]
    assert min(ages) == 0
    assert max(row["known_on"] for row in found) == LAST
    before: dict = {}
    for row in sorted(
        found,
        key=lambda row: (row["platform"], row["adset_id"], row["ad_id"] or "", row["day"], row["known_on"]),
    ):
        figures = [value for name, value in row.items() if name != "known_on"]
        if key(row) not in before:
            assert row["known_on"] == row["day"]
        assert before.get(key(row)) != figures
        before[key(row)] = figures
    assert sum(row["ad_id"] is None for row in found) > 1000
    assert {row["platform"] for row in found if row["ad_id"] is None} == {"google"}


def test_the_newest_versions_are_what_the_world_knows(history: dict[str, Path]) -> None:
    newest: dict = {}
    for row in rows(history["ads"]):
        kept = newest.get(key(row))
        if kept is None or kept["known_on"] < row["known_on"]:
            newest[key(row)] = row
    for day in (FIRST, LAST - timedelta(days=20), LAST - timedelta(days=1), LAST):
        known = {}
        for account in WORLD.accounts():
            for each in WORLD.ads_known_on(account, day, LAST):
                known[each.platform, each.adset_id, each.ad_id, day] = each
        in_file = {place: row for place, row in newest.items() if place[3] == day}
        for place, row in in_file.items():
            if place not in known:  # withdrawn: the file says zero
                assert row["spend"] == row["conversions"] == row["impressions"] == 0
                continue
            each = known.pop(place)
            for name in (
                "spend",
                "impressions",
                "clicks",
                "reach",
                "frequency",
                "conversions",
                "conversion_value",
            ):
                assert row[name] == getattr(each, name)
            assert row["currency"] == each.currency
        assert known == {}


def test_some_days_are_withdrawn(history: dict[str, Path]) -> None:
    assert any(row["impressions"] == 0 for row in rows(history["ads"]))


def test_increments_continue_a_history(tmp_path: Path) -> None:
    first, middle, last = date(2026, 8, 5), date(2026, 9, 12), date(2026, 9, 24)
    world = World(seed=3)
    whole = write_history(World(seed=3), tmp_path / "whole", first, last)
    parts = [write_history(world, tmp_path / "base", first, middle)]
    for offset in range(1, (last - middle).days + 1):
        day = middle + timedelta(days=offset)
        parts.append(write_increment(world, tmp_path / day.isoformat(), day, first_day=first))
    for name in ("ads", "changes"):
        assert as_set([row for part in parts for row in rows(part[name])]) == as_set(rows(whole[name]))
    campaigns = {}
    for part in parts:
        campaigns |= {row["campaign_id"]: row for row in rows(part["campaigns"])}
    assert campaigns == {row["campaign_id"]: row for row in rows(whole["campaigns"])}
    rates = [line for part in parts for line in part["rates"].read_text().splitlines()[1:]]
    assert sorted(rates) == sorted(whole["rates"].read_text().splitlines()[1:])


def test_campaigns_undone_by_changes_hold_on_the_first_day(history: dict[str, Path]) -> None:
    state = {row["campaign_id"]: row for row in rows(history["campaigns"])}
    changes = rows(history["changes"])
    assert changes == sorted(changes, key=lambda row: row["day"])
    for change in reversed(changes):
        if change["day"] == FIRST:
            continue
        now = state[change["campaign_id"]]
        field = change["field"]
        value = now[field]
        assert (Decimal(change["new"]) if isinstance(value, Decimal) else change["new"]) == value
        now[field] = Decimal(change["old"]) if isinstance(value, Decimal) else change["old"]
    for each in WORLD.campaigns(FIRST):
        if each.campaign_id not in state:
            assert each.end_day is not None
            assert each.end_day <= FIRST
            continue
        undone = state[each.campaign_id]
        assert undone["status"] == each.status_word
        assert undone["daily_budget"] == each.daily_budget
        assert undone["target_roas"] == each.target_roas
        assert undone["campaign_name"] == each.name


def test_every_row_has_its_campaign(history: dict[str, Path]) -> None:
    campaigns = {(row["platform"], row["campaign_id"]): row for row in rows(history["campaigns"])}
    for row in rows(history["ads"]):
        assert campaigns[row["platform"], row["campaign_id"]]["start_day"] <= row["day"]


def test_a_first_pull_sees_older_days_as_they_are_then(tmp_path: Path) -> None:
    first, pulled, last = date(2026, 6, 1), date(2026, 7, 10), date(2026, 7, 14)
    found = rows(write_history(WORLD, tmp_path, first, last, known_from=pulled)["ads"])
    assert min(row["known_on"] for row in found) == pulled
    seen = {key(row): row for row in found if row["known_on"] == pulled and row["day"] < pulled}
    known = {
        (each.platform, each.adset_id, each.ad_id, day): each
        for account in WORLD.accounts()
        for day in (first + timedelta(days=offset) for offset in range((pulled - first).days))
        for each in WORLD.ads_known_on(account, day, pulled)
    }
    assert seen.keys() == known.keys()
    assert all(row["conversions"] == known[place].conversions for place, row in seen.items())


def test_rates_cover_the_days_before_a_first_weekend(history: dict[str, Path]) -> None:
    with history["rates"].open(encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert set(read[0]) == {"currency", "day", "rate"}
    assert min(row["day"] for row in read) < FIRST.isoformat()
    assert max(row["day"] for row in read) == LAST.isoformat()
    for row in read:
        assert WORLD.rates(date.fromisoformat(row["day"]))[row["currency"]] == Decimal(row["rate"])


def test_an_empty_period_and_a_reversed_one(tmp_path: Path) -> None:
    before = World.origin - timedelta(days=9)
    paths = write_history(WORLD, tmp_path, before, before + timedelta(days=2))
    assert pq.read_metadata(paths["ads"]).num_rows == 0
    assert set(pq.read_schema(paths["ads"]).names) >= ADS
    with pytest.raises(ValueError, match="before it begins"):
        write_history(WORLD, tmp_path, LAST, FIRST)
