"""What a file import loads: one resource per landing table, each handed over as finished arrow tables.

Grain   performance: one row per load, entity and day (and known day) · campaigns: one per load and campaign ·
        changes: one per load and logged change · currency_rates: one per load, day and currency
Units   money in the row's currency, numeric(20,6); counts are integers; rates in units per euro
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dlt
import pyarrow as pa
from dlt.sources import DltResource

CHUNK_ROWS = 100_000


@dlt.source(name="manual", max_table_nesting=0)
def manual(tables: Mapping[str, pa.Table]) -> Iterator[DltResource]:
    """The stamped tables of one import; an empty one is left out."""
    for name, table in tables.items():
        if table.num_rows:
            yield dlt.resource(_chunks(table), name=name, write_disposition="append")


def _chunks(table: pa.Table) -> Iterator[Any]:
    for begin in range(0, table.num_rows, CHUNK_ROWS):
        yield table.slice(begin, CHUNK_ROWS)
