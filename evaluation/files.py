"""A world as the files that `aegis import history` takes: ads (parquet), campaigns and changes (CSV), and its truth."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.world import AGES, DAYS, World

TIMEZONE = "UTC"


def write_world(world: World, folder: Path) -> dict[str, Path]:
    """Write the world's files into `folder`; the paths by the names of the import's options."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        "ads": folder / "ads.parquet",
        "campaigns": folder / "campaigns.csv",
        "changes": folder / "changes.csv",
    }
    _ads(world, paths["ads"])
    _campaigns(world, paths["campaigns"])
    if not _changes(world, paths["changes"]):
        del paths["changes"]
    world.truth.write(folder)
    return paths


def _ads(world: World, path: Path) -> None:
    """One row per ad, day and report that changed a figure: late conversions come as later reports."""
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            "tenant_id", "platform", "account_id", "timezone", "currency", "campaign_id", "adset_id", "ad_id", "day",
            "known_on", "spend", "impressions", "clicks", "link_clicks", "reach", "frequency", "conversions",
            "conversion_value",
        )
    }  # fmt: skip
    days = [world.day(index) for index in range(DAYS)]
    last = days[-1]
    for campaign in world.campaigns:
        for ad in campaign.ads:
            for index in np.flatnonzero(ad.spend > 0):
                before = -1
                reach = max(round(int(ad.impressions[index]) / float(ad.frequency[index])), 1)
                for place, age in enumerate(AGES):
                    known_on = days[index] + timedelta(days=age)
                    count = int(ad.conversions[index, place])
                    if known_on > last or count == before:
                        continue
                    before = count
                    row = (
                        campaign.tenant_id, campaign.platform, campaign.account_id, TIMEZONE, campaign.currency,
                        campaign.campaign_id, ad.adset_id, ad.ad_id, days[index], known_on, f"{ad.spend[index]:.2f}",
                        int(ad.impressions[index]), int(ad.clicks[index]), int(ad.clicks[index]), reach,
                        f"{int(ad.impressions[index]) / reach:.4f}", count, f"{ad.value[index, place]:.2f}",
                    )  # fmt: skip
                    for name, value in zip(columns, row, strict=True):
                        columns[name].append(value)
    pq.write_table(pa.table(columns), path)


def _campaigns(world: World, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["tenant_id", "platform", "account_id", "campaign_id", "campaign_name", "status", "start_day",
             "daily_budget", "target_roas", "target_cpa"]
        )  # fmt: skip
        for one in world.campaigns:
            rows.writerow(
                [one.tenant_id, one.platform, one.account_id, one.campaign_id, one.name, one.status,
                 world.day(one.start), f"{one.budget * one.budget_factor[-1]:.2f}", one.target_roas, one.target_cpa]
            )  # fmt: skip


def _changes(world: World, path: Path) -> int:
    written = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["tenant_id", "platform", "account_id", "campaign_id", "day", "field", "old", "new"])
        for one in world.campaigns:
            for index, field, old, new in sorted(one.changes):
                rows.writerow(
                    [
                        one.tenant_id,
                        one.platform,
                        one.account_id,
                        one.campaign_id,
                        world.day(index),
                        field,
                        old,
                        new,
                    ]
                )
                written += 1
    return written
