"""Rows to arrow tables: what is read how, and what is refused with which words."""

from __future__ import annotations

import copy
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.common.spool import Shelf, Spool
from dlt_pipelines.common.windows import Window
from dlt_pipelines.meta import fields as f
from dlt_pipelines.meta.client import bare_id, check_version
from dlt_pipelines.meta.errors import announced_wait, pace, scrub
from dlt_pipelines.meta.mapper import Mapper, link_of
from dlt_pipelines.meta.rows import are_raw, read_page

DAY = dt.date(2026, 11, 3)
ROW = {
    "account_id": "7", "campaign_id": "1", "adset_id": "2", "ad_id": "3", "date_start": "2026-11-03",
    "date_stop": "2026-11-03", "spend": "41.07", "impressions": "5212", "clicks": "96", "frequency": "1.1257024",
    "actions": [{"action_type": "purchase", "value": "3"}],
}  # fmt: skip


def mapped(*rows: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows taken and the reasons for the others: the same whether rows come as dicts or as a page's bytes."""
    found = []
    for given in (
        [copy.deepcopy(row) for row in rows],
        read_page(json.dumps({"data": rows}).encode())["data"],
    ):
        mapper = Mapper(f.INSIGHTS, "7", Window(DAY, DAY))
        taken = mapper.map(given).to_pylist()
        for row in taken:
            for name in f.INSIGHTS.json_columns:
                row[name] = (
                    None if row[name] is None else json.dumps(json.loads(row[name]), separators=(",", ":"))
                )
        found.append((taken, mapper.refused, mapper.days, mapper.repeated))
    assert found[0] == found[1]
    taken, refused, _, _ = found[0]
    return taken, [each.reason for each in refused]


def raw_page(*rows: dict[str, Any]) -> list[Any]:
    found: list[Any] = read_page(json.dumps({"data": rows, "paging": {}}).encode())["data"]
    assert are_raw(found)
    return found


def test_a_row_as_the_vendor_writes_it() -> None:
    [row], refused = mapped(dict(ROW))
    assert refused == []
    assert (row["day"], row["ad_id"], row["spend"], row["impressions"]) == (DAY, "3", Decimal("41.07"), 5212)
    assert row["frequency"] == Decimal("1.125702")
    assert json.loads(row["actions"]) == ROW["actions"]
    assert row["reach"] is None and row["extra"] is None, "absent is unknown, not zero"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ad_id": None}, "it has no ad_id"),
        ({"ad_id": 1.5e17}, "ad_id is no id"),
        ({"ad_id": "3 or 4"}, "ad_id is no id"),
        ({"ad_id": True}, "ad_id is no id"),
        ({"date_start": "2026-11-04", "date_stop": "2026-11-04"}, "outside of 2026-11-03"),
        ({"date_start": None}, "no day"),
        ({"date_stop": "2026-11-09"}, "not of one day"),
        ({"account_id": "8"}, "belongs to account 8"),
        ({"spend": "many"}, "spend is no number"),
        ({"spend": "NaN"}, "spend is no number that fits"),
        ({"spend": "1e30"}, "spend is no number that fits"),
        ({"spend": {"value": 1}}, "spend is no number"),
        ({"impressions": "1.5"}, "impressions is no whole number"),
        ({"impressions": ""}, "impressions is no number"),
        ({"ad_name": {"a": 1}}, "ad_name is no text"),
    ],
)
def test_a_row_that_cannot_be_taken_is_refused_alone(change: dict[str, Any], reason: str) -> None:
    rows, refused = mapped({**ROW, **change}, {**ROW, "ad_id": "4"})
    assert [row["ad_id"] for row in rows] == ["4"]
    assert len(refused) == 1 and reason in refused[0]


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"ad_id": 120211111110030399}, "ad_id", "120211111110030399"),
        ({"spend": 41.07}, "spend", Decimal("41.070000")),
        ({"spend": 41}, "spend", Decimal("41")),
        ({"impressions": 5212}, "impressions", 5212),
        ({"impressions": "5212.0"}, "impressions", 5212),
        ({"spend": None}, "spend", None),
        ({"ad_name": "zero \x00 inside"}, "ad_name", "zero  inside"),
        ({"attribution_setting": "quantum"}, "attribution_setting", "quantum"),
        ({"novelty": [1]}, "extra", '{"novelty":[1]}'),
        ({"actions": [{"a": "x\x00y"}]}, "actions", '[{"a":"xy"}]'),
        ({"actions": [{"a": r"\u0000"}]}, "actions", r'[{"a":"\\u0000"}]'),
    ],
)
def test_values_that_come_another_way(change: dict[str, Any], name: str, value: Any) -> None:
    [row], refused = mapped({**ROW, **change})
    assert refused == [] and row[name] == value


def test_nested_lists_land_in_the_bytes_they_came_in() -> None:
    text = '[ {"value" : 1.10, "action_type":"caf\\u00e9 \\ud83d\\ude00 \\/"} ]'
    row = json.dumps({**ROW, "actions": "here"}).replace('"here"', text)
    mapper = Mapper(f.INSIGHTS, "7", Window(DAY, DAY))
    table = mapper.map(read_page(f'{{"data":[{row}]}}'.encode())["data"])
    assert table.column("actions").to_pylist() == [text]
    assert table.column("action_values").to_pylist() == [None]
    assert dict(mapper.days) == {DAY: 1} and mapper.ids() == {"3"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"error":{"code":17}}', b'{"data":[],"error":{"code":17}}', b'{"data":[1]}', b'{"data":[{"spend":1}]}',
        b'{"data":[{"novelty":"1"}]}', b'{"data":{}}', b'[]', b'"x"',
    ],
)  # fmt: skip
def test_what_is_no_page_as_expected_is_read_whole(content: bytes) -> None:
    assert read_page(content) == json.loads(content)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<html>", b'{"data":[', b'{"data":[{"actions":["\xff"]}]}', b'{"data":[{"actions":["\\ud800"]}]}',
        b'{"data":[{"actions":[1,]}]}', b'{"data":[{"actions":[NaN]}]}', b'{"data":[{"actions":["a\x01"]}]}',
        pytest.param(b'{"data":[{"actions":' + b"[" * 99_999 + b"]" * 99_999 + b"}]}", id="deep"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_none_inside_of_nested_lists_either(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_page(content)


def test_a_row_is_known_again_whichever_way_it_comes() -> None:
    """A page shown twice, once as expected and once not; and one that contradicts it."""
    more = {**ROW, "actions": [*ROW["actions"], {"action_type": "lead", "value": "1"}]}
    for first, second in ((raw_page(ROW), [dict(ROW)]), ([dict(ROW)], raw_page(ROW)), (raw_page(ROW),) * 2):
        mapper = Mapper(f.INSIGHTS, "7", Window(DAY, DAY))
        assert [mapper.map(first).num_rows, mapper.map(second).num_rows] == [1, 0]
        assert (mapper.repeated, mapper.refused) == (1, [])
        assert mapper.map(raw_page(more)).num_rows == 0
        assert [each.reason for each in mapper.refused] == [
            "the same ad and day came before with other figures"
        ]


def test_repetition_is_left_out_and_contradiction_refused() -> None:
    rows, refused = mapped(dict(ROW), dict(ROW), {**ROW, "spend": "1"}, "no object at all")
    assert len(rows) == 1
    assert refused == ["the same ad and day came before with other figures", "it is no object"]


def test_entities_with_times_budgets_and_learning() -> None:
    mapper = Mapper(f.ADSETS, "7")
    table = mapper.map(
        [
            {
                "id": 12, "daily_budget": 1500.0, "bid_amount": 250, "start_time": "2026-10-14T09:21:05-0700",
                "learning_stage_info": {"status": "LEARNING"}, "is_dynamic_creative": False,
            },
            {"id": "13", "start_time": "yesterday"},
            {"id": "12"},
        ]
    )  # fmt: skip
    [row] = table.to_pylist()
    assert (row["adset_id"], row["daily_budget"], row["bid_amount"]) == ("12", "1500", "250")
    assert row["start_time"] == dt.datetime(2026, 10, 14, 16, 21, 5, tzinfo=dt.UTC)
    assert (row["learning_stage"], row["is_dynamic_creative"]) == ("LEARNING", False)
    assert [each.reason for each in mapper.refused] == ["start_time is no time: 'yesterday'"]


@pytest.mark.parametrize(
    ("creative", "link"),
    [
        ({"object_story_spec": {"link_data": {"link": "a"}}, "link_url": "z"}, "a"),
        ({"object_story_spec": {"video_data": {"call_to_action": {"value": {"link": "b"}}}}}, "b"),
        ({"object_story_spec": {"template_data": {"link": "c"}}}, "c"),
        ({"asset_feed_spec": {"link_urls": [{"website_url": "d"}]}, "link_url": "z"}, "d"),
        ({"link_url": "e"}, "e"),
        ({"template_url": "f"}, "f"),
        ({"object_story_spec": "strange", "asset_feed_spec": {"link_urls": "strange"}}, None),
    ],
)
def test_where_a_creative_leads(creative: dict[str, Any], link: str | None) -> None:
    assert link_of(creative) == link


def test_waits_are_minutes_in_one_header_and_seconds_in_the_other() -> None:
    minutes = {
        "X-Business-Use-Case-Usage": '{"1":[{"type":"ads_insights","call_count":95,"estimated_time_to_regain_access":12}]}'
    }
    seconds = {"X-Ad-Account-Usage": '{"acc_id_util_pct":12.4,"reset_time_duration":86}'}
    assert (announced_wait(minutes), announced_wait(seconds), announced_wait({**minutes, **seconds})) == (
        720,
        86,
        720,
    )
    assert (pace(minutes), pace(seconds)) == (720, 0)
    assert pace({"X-App-Usage": '{"call_count":88}'}) == 120
    assert pace({"X-App-Usage": '{"call_count":76}'}) == 2
    assert pace({"X-App-Usage": "no json"}) == 0


def test_messages_are_scrubbed() -> None:
    assert "EAAB" not in scrub("Malformed access token EAABsbCS1234567890abcdefgh and more")
    assert scrub("at x?access_token=abc&appsecret_proof=def") == "at x?access_token=…&appsecret_proof=…"
    assert "\n" not in scrub("two\nlines") and len(scrub("x" * 999)) == 300


def test_ids_and_versions_are_checked_before_they_become_addresses() -> None:
    assert (bare_id("act_12"), bare_id(" 12 ")) == ("12", "12")
    for text in ("", "act_", "12/..", "twelve", "١٢"):
        with pytest.raises(ContractError):
            bare_id(text)
    assert check_version("v26.0") == "v26.0"
    for text in ("26.0", "v26", "v26.0/..", "vv1.0"):
        with pytest.raises(ContractError):
            check_version(text)


def test_a_spool_takes_over_shelves_and_lets_go_of_memory() -> None:
    whole = Shelf(10**9)
    for number in range(3):
        whole.append(pa.table({"n": list(range(number * 100, number * 100 + 100))}))
    whole.append(pa.table({"n": pa.array([], pa.int64())}))
    assert whole.rows == 300 and [t.num_rows for t in whole] == [t.num_rows for t in whole] == [100] * 3
    with Spool(100) as spool:
        spool.adopt("a", whole)
        assert whole.held_bytes == 0
        spool.adopt("b", Shelf())
        assert spool.rows == {"a": 300}
        assert [n for table in spool.tables("a") for n in table.column("n").to_pylist()] == list(range(300))
        assert list(spool.tables("a")) == []


def test_a_spool_keeps_order_whether_it_spilled_or_not() -> None:
    for limit in (10**9, 100):
        with Spool(limit) as spool:
            for number in range(5):
                spool.add("a", pa.table({"n": list(range(number * 100, number * 100 + 100))}))
                spool.add("b", pa.table({"m": [str(number)]}))
            spool.add("c", pa.table({"m": pa.array([], pa.string())}))
            assert spool.rows == {"a": 500, "b": 5}
            assert [n for table in spool.tables("a") for n in table.column("n").to_pylist()] == list(
                range(500)
            )
            assert [m for table in spool.tables("b") for m in table.column("m").to_pylist()] == list("01234")
