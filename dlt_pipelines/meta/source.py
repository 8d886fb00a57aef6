"""What a pull of one Meta account loads: one resource per table of raw_meta, each as finished arrow tables.

Grain   insights: one row per load, ad and day · insights_totals: per load, day and campaign or account ·
        accounts, campaigns, adsets, ads, creatives: one row per load that asked and object
Units   reports in major units of the account's currency, numeric(20,6); budgets in minor units, as text
Window  the loads' coverage rows say which days; the vendor restates the last 28
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dlt
from dlt.sources import DltResource

from dlt_pipelines.meta.fields import TABLES


@dlt.source(name="meta", max_table_nesting=0)
def meta(tables: Mapping[str, Iterable[Any]]) -> Iterator[DltResource]:
    """The stamped tables of one load, by name; they are taken one after another and never held together."""
    for name, chunks in tables.items():
        yield dlt.resource(
            iter(chunks),
            name=name,
            write_disposition="append",
            columns={column: {"data_type": "json"} for column in TABLES[name].json_columns},
        )
