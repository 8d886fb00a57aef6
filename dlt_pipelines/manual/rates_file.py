"""Exchange rates: `aegis import rates`. Units of a currency for one euro, as the European Central Bank writes them.

Shapes  long: day, currency, rate · wide: Date, USD, JPY, … with N/A where there is none (the bank's own history file)
Grain   one row per day and currency
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.coverage import Refused
from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual import figures, landing, tables, values
from dlt_pipelines.manual.headings import plain
from dlt_pipelines.manual.landing import Batch, ImportResult
from dlt_pipelines.manual.text import TextTable, read_file, read_table

TEXT = pa.string()
DAY_NAMES = ("day", "date", "time period")
CURRENCY_NAMES = ("currency", "currency code")
RATE_NAMES = ("rate", "obs value", "units per eur", "value")
ADVICE = "Write columns day, currency, rate (units for one euro), or Date and one column per currency."


def import_rates(
    connections: Connections,
    path: Path,
    *,
    decimal: str | None = None,
    dates: str | None = None,
    encoding: str | None = None,
    now: dt.datetime | None = None,
) -> ImportResult:
    """Load exchange rates. A rate of a day that is known already is replaced by the newer import's."""
    now = now or dt.datetime.now(dt.UTC)
    file = read_file(path)
    source = read_table(file, _is_known, encoding, ADVICE)
    rows_read = source.table.num_rows + len(source.malformed)
    day_column = _find(source, DAY_NAMES)
    if day_column is None:
        raise ContractError(f"{source.name} has no column for the day.", ADVICE)
    long = _as_long(source, day_column)
    refusals = figures.Refusals(long)
    texts = long.table.column("day").combine_chunks()
    days, problems = values.days(source.name, day_column, texts, long.lines, dates)
    refusals.add_each(problems)
    refusals.add(pc.is_null(texts), "has no day")
    latest = figures.today_in(None, now)
    refusals.add(
        pc.greater(days, pa.scalar(latest, pa.date32())), figures.told(days, "day ", " is in the future")
    )
    currency = pc.utf8_upper(long.table.column("currency").combine_chunks())
    refusals.add(
        pc.fill_null(pc.invert(pc.match_substring_regex(currency, "^[A-Z]{3}$")), True),
        lambda row: f"currency is '{currency[row].as_py() or ''}', not three letters like USD",
    )
    column = values.Column("rate", long.table.column("rate").combine_chunks())
    style = values.styles(source.name, {"rate": column}, long.lines, long.delimiter, decimal)["rate"]
    rate, problems = values.numbers(column, style, scale=10)
    refusals.add_each(problems)
    refusals.add(pc.fill_null(pc.less_equal(rate, pa.scalar(0, rate.type)), True), "rate is not above zero")
    one = pa.scalar(1, tables.RATE)
    refusals.add(
        pc.and_(pc.equal(currency, "EUR"), pc.not_equal(rate, one)), "says that a euro is not one euro"
    )
    figures.duplicates([days, currency], refusals, "day and currency")

    table = tables.build(
        "currency_rates",
        {
            "day": days,
            "currency": currency,
            "rate": rate,
            "source_name": pa.scalar(source.name, TEXT),
            "line": long.lines,
        },
        long.table.num_rows,
    ).filter(refusals.kept())
    refused: list[Refused] = refusals.as_refused()
    batch = Batch(
        "rates",
        source.name,
        landing.digest(
            [file.content], {"kind": "rates", "decimal": decimal, "dates": dates, "refused": len(refused)}
        ),
        {"currency_rates": table},
        refused,
        rows_read=rows_read,
        rows_imported=table.num_rows,
    )
    found = sorted(pc.unique(table.column("currency")).to_pylist())
    batch.notes.append(f"{table.num_rows:,} rates of {len(found)} currencies: {', '.join(found[:40])}.")
    with landing.session(connections) as connection:
        return landing.store(connections, connection, batch)


def _is_known(heading: str) -> bool:
    named = (*DAY_NAMES, *CURRENCY_NAMES, *RATE_NAMES)
    return plain(heading) in named or re.fullmatch("[A-Z]{3}", heading.strip()) is not None


def _find(source: TextTable, names: tuple[str, ...]) -> str | None:
    return next((heading for name in names for heading in source.headings if plain(heading) == name), None)


def _as_long(source: TextTable, day_column: str) -> TextTable:
    """day, currency, rate; a wide file gives one row per filled cell, each with its line."""
    currency, rate = _find(source, CURRENCY_NAMES), _find(source, RATE_NAMES)
    if currency is not None and rate is not None:
        table = source.table.select([day_column, currency, rate]).rename_columns(["day", "currency", "rate"])
        return TextTable(
            source.name, table.combine_chunks(), source.lines, source.delimiter, source.malformed
        )
    codes = [heading for heading in source.headings if re.fullmatch("[A-Z]{3}", heading)]
    if not codes:
        raise ContractError(
            f"{source.name} has neither the columns currency and rate nor a column per currency; it has: "
            f"{', '.join(source.headings)}.",
            ADVICE,
        )
    parts, lines = [], []
    for code in codes:
        cells = values.blank_nothings(source.table.column(code).combine_chunks())
        filled = pc.is_valid(cells)
        rows = pc.sum(filled).as_py() or 0
        parts.append(
            pa.table(
                {
                    "day": source.table.column(day_column).combine_chunks().filter(filled),
                    "currency": figures.every(code, rows),
                    "rate": cells.filter(filled),
                }
            )
        )
        lines.append(source.lines.filter(filled))
    return TextTable(
        source.name,
        pa.concat_tables(parts).combine_chunks(),
        pa.concat_arrays(lines),
        source.delimiter,
        source.malformed,
    )
