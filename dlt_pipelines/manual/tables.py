"""Columns and types of the landing tables in raw_manual, as sql/migrations makes them; the stamp adds the rest."""

from __future__ import annotations

import pyarrow as pa

MONEY = pa.decimal128(20, 6)
RATE = pa.decimal128(20, 10)

PERFORMANCE = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("account_id", pa.string()),
        ("platform", pa.string()),
        ("currency", pa.string()),
        ("level", pa.string()),
        ("platform_id", pa.string()),
        ("campaign_id", pa.string()),
        ("adset_id", pa.string()),
        ("day", pa.date32()),
        ("known_on", pa.date32()),
        ("reported_on", pa.date32()),
        ("spend", MONEY),
        ("impressions", pa.int64()),
        ("clicks", pa.int64()),
        ("link_clicks", pa.int64()),
        ("conversions", MONEY),
        ("conversion_value", MONEY),
        ("view_through_conversions", MONEY),
        ("reach", pa.int64()),
        ("frequency", MONEY),
        ("campaign_name", pa.string()),
        ("adset_name", pa.string()),
        ("ad_name", pa.string()),
        ("source_name", pa.string()),
        ("line", pa.int64()),
    ]
)

CAMPAIGNS = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("account_id", pa.string()),
        ("platform", pa.string()),
        ("campaign_id", pa.string()),
        ("campaign_name", pa.string()),
        ("objective", pa.string()),
        ("start_day", pa.date32()),
        ("status", pa.string()),
        ("daily_budget", MONEY),
        ("target_roas", MONEY),
        ("target_cpa", MONEY),
        ("snapshot_day", pa.date32()),
        ("source_name", pa.string()),
        ("line", pa.int64()),
    ]
)

CHANGES = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("account_id", pa.string()),
        ("platform", pa.string()),
        ("campaign_id", pa.string()),
        ("day", pa.date32()),
        ("field", pa.string()),
        ("old_value", pa.string()),
        ("new_value", pa.string()),
        ("source_name", pa.string()),
        ("line", pa.int64()),
    ]
)

CURRENCY_RATES = pa.schema(
    [
        ("day", pa.date32()),
        ("currency", pa.string()),
        ("rate", RATE),
        ("source_name", pa.string()),
        ("line", pa.int64()),
    ]
)

SCHEMAS = {
    "performance": PERFORMANCE,
    "campaigns": CAMPAIGNS,
    "changes": CHANGES,
    "currency_rates": CURRENCY_RATES,
}


def build(name: str, columns: dict[str, pa.Array | pa.Scalar | None], rows: int) -> pa.Table:
    """A table of that schema; a column that is not given is null, a scalar is repeated."""
    arrays = []
    for field in SCHEMAS[name]:
        value = columns.get(field.name)
        if value is None:
            value = pa.nulls(rows, field.type)
        elif isinstance(value, pa.Scalar):
            value = pa.repeat(value, rows)
        arrays.append(value.cast(field.type) if value.type != field.type else value)
    return pa.Table.from_arrays(arrays, schema=SCHEMAS[name])
