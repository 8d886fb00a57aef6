"""Exchange rates, long and wide."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual import ImportResult, import_rates

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
LONG = "day,currency,rate\n2026-03-01,USD,1.0854\n2026-03-01,jpy,163.25\n"
WIDE = "Date,USD,JPY,CYP,\n2026-03-02,1.0854,163.25,N/A,\n2026-02-27,1.0901,N/A,N/A,\n"


@pytest.fixture
def rates(connections: Connections, tmp_path: Path) -> Callable[..., ImportResult]:
    def run(text: str, **options: Any) -> ImportResult:
        path = tmp_path / "rates.csv"
        path.write_text(text)
        return import_rates(connections, path, now=NOW, **options)

    return run


def loaded(warehouse: Any) -> list[tuple[Any, ...]]:
    return list(
        warehouse.rows("select day, currency, rate from raw_manual.currency_rates order by day, currency")
    )


def test_long(rates: Callable[..., ImportResult], warehouse: Any) -> None:
    result = rates(LONG)
    assert (result.rows_imported, result.first_day) == (2, dt.date(2026, 3, 1))
    assert loaded(warehouse) == [
        (dt.date(2026, 3, 1), "JPY", Decimal("163.25")), (dt.date(2026, 3, 1), "USD", Decimal("1.0854")),
    ]  # fmt: skip
    assert rates(LONG).unchanged
    assert not rates(WIDE).unchanged
    assert not rates(LONG).unchanged  # another file came between


def test_wide_as_the_bank_writes_it(rates: Callable[..., ImportResult], warehouse: Any) -> None:
    result = rates(WIDE)
    assert (result.rows_read, result.rows_imported, result.rows_refused) == (2, 3, 0)
    assert loaded(warehouse) == [
        (dt.date(2026, 2, 27), "USD", Decimal("1.0901")),
        (dt.date(2026, 3, 2), "JPY", Decimal("163.25")),
        (dt.date(2026, 3, 2), "USD", Decimal("1.0854")),
    ]


def test_decimal_commas(rates: Callable[..., ImportResult], warehouse: Any) -> None:
    rates("day;currency;rate\n01.03.2026;USD;1,0854\n")
    assert loaded(warehouse) == [(dt.date(2026, 3, 1), "USD", Decimal("1.0854"))]


def test_rows_that_cannot_be_used(rates: Callable[..., ImportResult]) -> None:
    result = rates(
        LONG + "2026-03-01,US,1\n2026-03-01,GBP,0\n2026-03-01,EUR,1.1\n2026-03-20,USD,1.1\n2026-03-02,USD,x\n"
        "2026-03-03,CAD,1.5\n2026-03-03,CAD,1.6\n2026-03-01,USD,1.0854\n"
    )
    assert result.rows_imported == 2
    assert [line for line, _ in result.refused] == [4, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Date,Dollar\n2026-03-01,1\n", "neither the columns"),
        ("USD,CAD\n1,2\n", "no column for the day"),
        ("", "0 rows"),
    ],
)
def test_files_that_cannot_be_used(rates: Callable[..., ImportResult], text: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        rates(text)
