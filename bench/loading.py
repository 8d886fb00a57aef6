"""A 150,000-row history file into the version table, beside a plain COPY of the same rows in the same run."""

from __future__ import annotations

import datetime as dt
import random
import time
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from bench.harness import Figure, Scratch

ROWS = 150_000
COLUMNS = (
    "tenant_id", "platform", "account_id", "currency", "campaign_id", "adset_id", "ad_id", "day", "spend",
    "impressions", "clicks", "reach", "frequency", "conversions", "conversion_value",
)  # fmt: skip


def history_rows(rows: int = ROWS, seed: int = 11) -> list[dict[str, object]]:
    """Ad-days of five tenants: 5 campaigns an account, 4 ad sets each, 5 ads each, until `rows` are there."""
    chance = random.Random(seed)
    made: list[dict[str, object]] = []
    ads = 5 * 4 * 5
    days = rows // (5 * 2 * ads)
    for tenant in range(5):
        for platform in ("meta", "google"):
            account = f"{platform}-{tenant}"
            for number in range(ads):
                for offset in range(days):
                    impressions = chance.randrange(50, 5000)
                    clicks = int(impressions * chance.uniform(0.005, 0.03))
                    conversions = int(clicks * chance.uniform(0, 0.08))
                    made.append(
                        {
                            "tenant_id": f"bench {tenant}",
                            "platform": platform,
                            "account_id": account,
                            "currency": "USD",
                            "campaign_id": f"{account}-c{number // 20}",
                            "adset_id": f"{account}-s{number // 5}",
                            "ad_id": f"{account}-a{number}",
                            "day": dt.date(2025, 1, 1) + dt.timedelta(days=offset),
                            "spend": Decimal(impressions * 9).scaleb(-3),
                            "impressions": impressions,
                            "clicks": clicks,
                            "reach": None,
                            "frequency": None,
                            "conversions": Decimal(conversions),
                            "conversion_value": Decimal(conversions * 80),
                        }
                    )
    return made


def write_history(rows: list[dict[str, object]], file: Path) -> None:
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, file)


def copy_seconds(url: str, rows: list[dict[str, object]]) -> float:
    """A psycopg COPY of the same rows into an unindexed table: the limit."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "create temporary table copied (tenant_id text, platform text, account_id text, currency text,"
            " campaign_id text, adset_id text, ad_id text, day date, spend numeric, impressions bigint,"
            " clicks bigint, reach bigint, frequency numeric, conversions numeric, conversion_value numeric)"
        )
        started = time.perf_counter()
        with connection.cursor().copy(f"copy copied ({', '.join(COLUMNS)}) from stdin") as copy:
            for row in rows:
                copy.write_row([row[column] for column in COLUMNS])
        return time.perf_counter() - started


def measure(place: Scratch) -> list[Figure]:
    rows = history_rows()
    file = place.folder / "ads.parquet"
    write_history(rows, file)
    imported = place.aegis("import", "history", "--ads", str(file), "--create-tenants")
    with psycopg.connect(place.dsn()) as connection:
        counted = connection.execute("select count(*) from history.performance_versions").fetchone()
    if counted != (len(rows),):
        raise RuntimeError(f"expected {len(rows)} versions, found {counted}")
    copied = copy_seconds(place.dsn(), rows)
    return [
        Figure(f"`aegis import history`, {len(rows):,} rows into the version table", imported, "s", 20),
        Figure(
            "the same against a COPY of the same rows", imported / copied, "x", note=f"COPY {copied:.2f} s"
        ),
    ]
