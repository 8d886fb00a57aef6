"""Numbers and days as people write them: what is read, what is refused, what is too unclear to guess."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual import values


def column(*texts: str | None, is_count: bool = False) -> values.Column:
    return values.Column("Spent", pa.array(texts, pa.string()), is_count)


def lines(rows: int) -> pa.Array:
    return pa.array(range(2, rows + 2), pa.int64())


def read(
    *texts: str | None, is_count: bool = False, delimiter: str = ",", forced: str | None = None
) -> list[Any]:
    one = column(*texts, is_count=is_count)
    style = values.styles("f.csv", {"spend": one}, lines(len(texts)), delimiter, forced)["spend"]
    numbers, problems = values.numbers(one, style)
    assert not problems, problems
    return numbers.to_pylist()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1.5", "2", None, "0"], ["1.5", "2", None, "0"]),
        (["1,234.50", "7"], ["1234.50", "7"]),
        (["1.234,50", "7"], ["1234.50", "7"]),
        (["1.234.567", "0,5"], ["1234567", "0.5"]),
        (["1,234,567", "1.25"], ["1234567", "1.25"]),
        (["12,5"], ["12.5"]),
        (["0,125"], ["0.125"]),
        (["0.125"], ["0.125"]),
        (["1 234,50"], ["1234.50"]),
        (["1\u202f234,50"], ["1234.50"]),
        (["1'234.50"], ["1234.50"]),
        (["1,23,456.75"], ["123456.75"]),
        (["$1,234.50", "-$3.00"], ["1234.50", "-3"]),
        (["€ 12,30", "12,30 €", "EUR 1,25"], ["12.30", "12.30", "1.25"]),
        (["US$5.10", "CA$6.20"], ["5.10", "6.20"]),
        (["(3.50)", "1.25"], ["-3.50", "1.25"]),
        (["1e-05", "2.5E+3"], ["0.00001", "2500"]),
        (["--", "n/a", "1.5"], [None, None, "1.5"]),
        (["1.429999948", "0.0000005"], ["1.430000", "0.000001"]),
        ([".5", "1."], ["0.5", "1"]),
        (["1.234"], ["1.234"]),         # comma-separated: a decimal comma would clash with the delimiter
        (["+4.25"], ["4.25"]),
    ],
)  # fmt: skip
def test_numbers_are_read(texts: list[str | None], expected: list[str | None]) -> None:
    assert read(*texts) == [None if text is None else Decimal(text) for text in expected]


def test_a_count_of_one_thousand_is_no_decimal() -> None:
    assert read("1,234", "5", is_count=True) == [1234, 5]
    assert read("1.234", "5", is_count=True, delimiter=";") == [1234, 5]


def test_other_columns_settle_what_one_leaves_open() -> None:
    columns = {"spend": column("1,234", "5"), "value": column("12,50", "1")}
    assert values.styles("f.csv", columns, lines(2), ";")["spend"] == values.COMMA
    columns = {"spend": column("1,234", "5"), "value": column("12.50", "1")}
    assert values.styles("f.csv", columns, lines(2), ";")["spend"] == values.POINT


@pytest.mark.parametrize("text", ["1,234", "1.234"])
def test_an_unclear_column_is_refused_with_its_line_and_the_way_out(text: str) -> None:
    with pytest.raises(
        ContractError, match=r"'Spent' of f\.csv .* line 3 says 1[.,]234, .* 1234 or 1\.234"
    ) as caught:
        read("7", text, delimiter=";")
    assert "--decimal" in caught.value.hint
    assert read("7", text, delimiter=";", forced="comma" if "," in text else "point") == [7, Decimal("1.234")]
    assert read("7", text, delimiter=";", forced="point" if "," in text else "comma") == [7, 1234]


def test_two_decimal_marks_in_one_column_are_refused() -> None:
    with pytest.raises(
        ContractError, match=r"mixes decimal points \(line 2: 1\.5\) and decimal commas \(line 4: 2,5\)"
    ):
        read("1.5", "3", "2,5")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abc", "'abc', not a number"),
        ("12%", "'12%', a percentage"),
        ("1.2.3", "'1.2.3', not a number"),
        ("12 34", "'12 34', not a number"),
        ("99999999999999999999", "'99999999999999999999', too large"),
        ("1e30", "'1e30', too large"),
        ("inf", "'inf', not a number"),
        ("1,5", "'1,5', no number with a decimal point"),
    ],
)
def test_what_is_no_number_is_a_reason(text: str, reason: str) -> None:
    numbers, problems = values.numbers(column("1.5", text), values.POINT)
    assert numbers.to_pylist() == [Decimal("1.5"), None]
    assert problems == {1: f"Spent is {reason}"}


@given(st.lists(st.decimals(0, 10**9, places=4, allow_nan=False), min_size=1, max_size=30))
def test_every_notation_of_a_number_is_the_same_number(amounts: list[Decimal]) -> None:
    # Four decimals leave no doubt which mark is the decimal one.
    english = [f"{amount:,.4f}" for amount in amounts]
    german = [text.translate(str.maketrans(",.", ".,")) for text in english]
    plain = [f"{amount:.4f}" for amount in amounts]
    assert read(*english) == read(*german) == read(*plain) == amounts


def test_signs_that_name_a_currency() -> None:
    assert values.currency_signs(pa.array(["€ 3", "$4", "5"])) == {"EUR"}
    assert values.currency_signs(pa.array(["GBP 3", "£4"])) == {"GBP"}


# -- days -----------------------------------------------------------------------------------------------------


def read_days(*texts: str, order: str | None = None) -> list[dt.date | None]:
    found, problems = values.days("f.csv", "Day", pa.array(texts, pa.string()), lines(len(texts)), order)
    assert not problems, problems
    return list(found.to_pylist())


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04", "2026/3/4", "20260304", "2026-03-04 00:00:00", "2026-03-04T00:00:00Z", "04.03.2026", "Mar 4, 2026",
        "4 March 2026", "Wed, Mar 4, 2026",
    ],
)  # fmt: skip
def test_days_are_read(text: str) -> None:
    assert read_days(text) == [dt.date(2026, 3, 4)]


def test_the_order_of_day_and_month_is_that_of_the_column() -> None:
    assert read_days("03/04/2026", "25/04/2026")[0] == dt.date(2026, 4, 3)
    assert read_days("03/04/2026", "04/25/2026")[0] == dt.date(2026, 3, 4)
    assert read_days("03/04/2026", order="month-first") == [dt.date(2026, 3, 4)]
    with pytest.raises(ContractError, match=r"'Day' of f\.csv .* line 3 says 03/04/2026") as caught:
        read_days("05/05/2026", "03/04/2026")
    assert "--dates" in caught.value.hint
    with pytest.raises(ContractError, match="two orders"):
        read_days("25/04/2026", "04/25/2026")


@pytest.mark.parametrize("text", ["2026-02-30", "yesterday", "45000", "1970-01-01", "31/31/2026"])
def test_what_is_no_day_is_a_reason(text: str) -> None:
    found, problems = values.days("f.csv", "Day", pa.array(["2026-01-01", text]), lines(2))
    assert found.to_pylist() == [dt.date(2026, 1, 1), None]
    assert text in problems[1]
