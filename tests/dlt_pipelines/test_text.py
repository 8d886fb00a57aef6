"""Files as tables of text: encodings, delimiters, preambles, malformed lines."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual.text import TextTable, read_file, read_table

KNOWN = {"day", "campaign", "cost", "clicks"}


def read(tmp_path: Path, content: str | bytes, encoding: str | None = None) -> TextTable:
    path = tmp_path / "export.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(read_file(path), lambda heading: heading.strip().lower() in KNOWN, encoding)


TEXT = "Day,Campaign,Cost\n2026-01-01,Süd,1.5\n\n2026-01-02,,2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_needs_no_option(tmp_path: Path, encoding: str) -> None:
    found = read(tmp_path, TEXT.encode(encoding))
    assert found.headings == ["Day", "Campaign", "Cost"]
    assert found.table.column("Campaign").to_pylist() == ["Süd", None]
    assert found.lines.to_pylist() == [2, 4]


def test_another_encoding_must_be_named(tmp_path: Path) -> None:
    content = TEXT.encode("cp1252")
    with pytest.raises(ContractError, match=r"not encoded as UTF-8: byte 0xFC in line 2") as caught:
        read(tmp_path, content)
    assert "--encoding" in caught.value.hint
    assert read(tmp_path, content, "cp1252").table.column("Campaign")[0].as_py() == "Süd"
    with pytest.raises(ContractError, match="no encoding 'klingon'"):
        read(tmp_path, content, "klingon")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(tmp_path: Path, delimiter: str, line_end: str) -> None:
    content = TEXT.replace(",", delimiter).replace("\n", line_end)
    assert read(tmp_path, content).table.num_rows == 2


def test_lines_above_the_headings_are_passed_over(tmp_path: Path) -> None:
    content = 'sep=\t\nCampaign report\n"1 Jan 2026, to, 2 Jan 2026"\n' + TEXT.replace(",", "\t")
    found = read(tmp_path, content)
    assert found.table.column("Cost").to_pylist() == ["1.5", "2"]
    assert found.lines.to_pylist() == [5, 7]


def test_line_breaks_inside_quotes_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, 'Day,Campaign,Cost\n2026-01-01,"two\nlines",1\n2026-01-02,b,2\n')
    assert found.lines.to_pylist() == [2, 4]


def test_a_row_of_another_width_is_malformed_and_the_others_stay(tmp_path: Path) -> None:
    found = read(
        tmp_path, "Day,Campaign,Cost\n2026-01-01,a,1\n2026-01-02,b\n2026-01-03,c,1,5\n2026-01-04,d,4,,\n"
    )
    assert found.table.column("Campaign").to_pylist() == ["a", "d"]
    assert [(line, reason.split(":")[0]) for line, reason, _ in found.malformed] == [
        (3, "has 2 fields and the heading 3"),
        (4, "has 4 fields and the heading 3"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("Day,Campaign,Cost\n", "0 rows"),
        ("Day,Campaign,Cost\n\n , ,\n", "0 rows"),
        ("foo,bar\n1,2\n", "No column of export.csv is known; its first line reads: foo, bar"),
        ("Day,Cost,Cost\n2026-01-01,1,2\n", "two columns named 'Cost'"),
        ('Day,Campaign,Cost\n2026-01-01,"open,1\n2026-01-02,b,2\n', "Line 2 .* never closed"),
        ('Day,Campaign,Cost\n2026-01-01,"a"b,1\n', "Line 2 .* quoted value"),
        (
            "Day,Campaign,Cost\n2026-01-01,a,1,5\n2026-01-02,b,2,5\n",
            "malformed: 2 of its 2 rows .* decimal comma",
        ),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\x1f\x8brest", "gzip"),
        (b"PAR1 and then nothing", "damaged parquet"),
        ("Day,Campaign,Cost\n2026-01-01,a\x00,1\n", "Line 2 .* zero byte"),
    ],
)
def test_what_is_no_table_is_said_in_a_sentence(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        read(tmp_path, content)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no file"):
        read_file(tmp_path / "none.csv")
    with pytest.raises(ContractError, match="is a folder"):
        read_file(tmp_path)


def test_parquet_is_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "export.parquet"
    table = pa.table(
        {
            "day": pa.array([dt.date(2026, 1, 1), None]),
            "campaign": pa.array(["a", "a"]).dictionary_encode(),
            "cost": pa.array([0.1, float("nan")]),
            "clicks": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        }
    )
    pq.write_table(table, path)
    found = read_table(read_file(path), lambda _: True)
    assert found.table.to_pylist() == [
        {"day": "2026-01-01", "campaign": "a", "cost": "0.1", "clicks": "1.50"},
        {"day": None, "campaign": "a", "cost": None, "clicks": None},
    ]
    assert found.lines.to_pylist() == [1, 2]
