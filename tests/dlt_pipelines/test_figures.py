"""Duplicates, levels and statuses over generated rows: no order of rows, and no copy, changes what counts."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlt_pipelines.manual import figures
from dlt_pipelines.manual.statuses import status_word
from dlt_pipelines.manual.text import TextTable

ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "2"]), st.sampled_from("56")), max_size=25
)


def kept(rows: list[tuple[str, str, str]]) -> Counter[tuple[str, ...]]:
    names = ("ad_id", "day", "spend")
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    table = pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)}
    )
    source = TextTable("f.csv", table, pa.array(range(2, len(rows) + 2), pa.int64()))
    refusals = figures.Refusals(source)
    figures.duplicates([table.column(name).combine_chunks() for name in names[:2]], refusals, "ad and day")
    assert len(refusals.as_refused()) == len(rows) - table.filter(refusals.kept()).num_rows
    return Counter(tuple(row.values()) for row in table.filter(refusals.kept()).to_pylist())


@given(ROWS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_order_decides_nothing(pair: tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]) -> None:
    assert kept(pair[0]) == kept(pair[1])


@given(ROWS)
def test_a_file_pasted_twice_counts_once(rows: list[tuple[str, str, str]]) -> None:
    assert kept(rows + rows) == kept(rows)
    assert all(count == 1 for count in kept(rows).values())


@given(ROWS)
def test_what_counts_has_one_row_per_key(rows: list[tuple[str, str, str]]) -> None:
    found = kept(rows)
    keys = Counter(row[:2] for row in rows)
    assert len({row[:2] for row in found}) == sum(found.values())
    assert all(row in found for row in rows if keys[row[:2]] == 1)


def test_ids_of_google_ads_carry_their_ad_group() -> None:
    def array(*texts: str | None) -> pa.Array:
        return pa.array(texts, pa.string())

    found = figures.entities(
        array("google", "google", "google", "google", "meta"),
        array("x", "x", "x", "x", "x"),
        array("c", "c", "c", None, "c"),
        array("g", None, None, None, "s"),
        array("1", "g~2", "3", None, "4"),
    )
    assert found.level.to_pylist() == ["ad", "ad", "ad", "account", "ad"]
    assert found.platform_id.to_pylist() == ["g~1", "g~2", "3", "x", "4"]
    assert found.adset_id.to_pylist() == ["g", "g", None, None, "s"]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ENABLED", "active"), ("Active", "active"), ("CAMPAIGN_STATUS_ENABLE", "active"), ("DELIVERY_OK", "active"),
        ("Eligible (Limited)", "active"), ("PAUSED", "paused"), ("campaign_paused", "paused"), ("DISABLE", "paused"),
        ("ADGROUP_STATUS_DISABLE", "paused"), ("REMOVED", "removed"), ("Deleted", "removed"), ("ARCHIVED", "removed"),
        ("COMPLETED", "ended"), ("ended", "ended"), ("Not Delivering", "paused"), ("DRAFT", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_status_words(word: str, status: str) -> None:
    assert status_word(word) == status


def test_today_depends_on_the_account() -> None:
    now = dt.datetime(2026, 3, 10, 22, tzinfo=dt.UTC)
    assert figures.today_in("America/Toronto", now) == dt.date(2026, 3, 10)
    assert figures.today_in("Asia/Tokyo", now) == dt.date(2026, 3, 11)
    assert figures.today_in("Nowhere/At all", now) == dt.date(2026, 3, 11)
