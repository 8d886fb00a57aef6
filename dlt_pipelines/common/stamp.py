"""The four columns every raw row carries, added in one place; no connector does it by hand."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from dlt_pipelines.common.errors import ContractError

if TYPE_CHECKING:
    import pyarrow as pa

STAMPED = ("tenant_id", "account_id", "load_id", "loaded_at")


def stamp(
    table: pa.Table,
    *,
    load_id: str,
    loaded_at: dt.datetime,
    tenant_id: str | None = None,
    account_id: str | None = None,
    shared: bool = False,
) -> pa.Table:
    """Add tenant_id, account_id, load_id and loaded_at.

    A load of many tenants carries tenant_id and account_id on its rows already; they must be there on every row.
    `shared` is for rows that belong to nobody (currency rates): they get no tenant and no account.
    Raises ContractError where a row would have no tenant or no account.
    """
    import pyarrow as pa

    constants: dict[str, pa.Scalar] = {
        "load_id": pa.scalar(load_id, pa.string()),
        "loaded_at": pa.scalar(loaded_at.astimezone(dt.UTC), pa.timestamp("us", tz="UTC")),
    }
    if not shared:
        for name, value in (("tenant_id", tenant_id), ("account_id", account_id)):
            if value is not None:
                constants[name] = pa.scalar(value, pa.string())
            elif name not in table.column_names or table.column(name).null_count:
                raise ContractError(
                    f"A load {load_id} has rows without {name}.",
                    "This is a bug in the source: every row has both.",
                )
    for name, scalar in constants.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, pa.repeat(scalar, table.num_rows))
    return table
