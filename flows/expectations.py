"""What must hold in each raw table of daily figures: one declaration a table, judged by flows/raw_checks.py.

A platform is added by an entry in PLATFORMS. SQL (ops.observe_raw_tables) counts what is declared per account-day,
great-expectations asserts it, and ops.raw_failures says which state a failure leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

STAMPED = {
    "tenant_id": "text",
    "account_id": "text",
    "load_id": "text",
    "loaded_at": "timestamp with time zone",
}


@dataclass(frozen=True)
class RawFacts:
    """One raw table of daily figures.

    key           names a row within load, account and day
    required      every row says it; in no row at all: withheld, missing in some: provisional
    not_negative  figures whose sum over an account-day is never below zero
    is_counted    ops.coverage.rows counts this table's rows
    totals        the table with the platform's own totals (level `campaign` and `account`), `compared` figures of it
    rounding      how far rounding may move the spend of one row
    refused_as, refused_day   how ops.quarantine names this table's rows, and the day in their payload
    is_scored     its rows get the row quality score; spend, impressions, clicks, actions and reach name its columns,
                  null for what the platform does not report
    """

    name: str
    platform: str
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    not_negative: tuple[str, ...] = ()
    is_counted: bool = False
    totals: str | None = None
    compared: tuple[str, ...] = ()
    rounding: str = "0"
    refused_as: str = ""
    refused_day: str = ""
    is_scored: bool = False
    spend: str | None = None
    impressions: str | None = None
    clicks: str | None = None
    actions: str | None = None
    reach: str | None = None

    def as_json(self) -> dict[str, object]:
        """As ops.observe_raw_tables takes it."""
        return asdict(self)


@dataclass(frozen=True)
class Platform:
    """A connected platform: its tables of facts, and the columns (name: type) that each raw table must have."""

    facts: tuple[RawFacts, ...]
    columns: Callable[[], Mapping[str, Mapping[str, str]]]


# -- Meta ---------------------------------------------------------------------------------------------------


def _meta_columns() -> Mapping[str, Mapping[str, str]]:
    from dlt_pipelines.meta.fields import TABLES

    types = {
        "id": "text", "text": "text", "count": "bigint", "amount": "numeric(20,6)", "flag": "boolean",
        "moment": "timestamp with time zone", "json": "json", "day": "date",
    }  # fmt: skip
    return {
        f"raw_meta.{table.name}": STAMPED
        | {column.name: types[column.kind] for column in table.columns}
        | {"extra": "json"}
        for table in TABLES.values()
    }


META = Platform(
    facts=(
        RawFacts(
            name="raw_meta.insights",
            platform="meta",
            key=("ad_id",),
            required=("adset_id", "campaign_id", "currency", "spend", "impressions"),
            not_negative=(
                "spend", "impressions", "reach", "clicks", "unique_clicks", "inline_link_clicks",
                "inline_post_engagement",
            ),
            is_counted=True,
            totals="raw_meta.insights_totals",
            compared=("spend", "impressions", "clicks"),
            rounding="0.005",
            refused_as="meta insights",
            refused_day="date_start",
            is_scored=True,
            spend="spend",
            impressions="impressions",
            clicks="clicks",
            actions="actions",
            reach="reach",
        ),
        RawFacts(
            name="raw_meta.insights_totals",
            platform="meta",
            key=("level", "platform_id"),
            not_negative=("spend", "impressions", "reach", "clicks", "inline_link_clicks"),
        ),
    ),
    columns=_meta_columns,
)  # fmt: skip

PLATFORMS: dict[str, Platform] = {"meta": META}
