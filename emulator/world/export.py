"""The world as the files of `aegis import history`: ads, campaigns, changes (parquet) and rates (CSV).

Grain   ads: one row per ad (asset group: `ad_id` empty), day and `known_on`, only where a figure changed;
        campaigns: one row per campaign as it stands on the last day; changes: one row per campaign, day and
        field; rates: one row per currency and day
Units   money and conversions decimal(20,6) in the account's currency; rates in units per 1 EUR
Window  both ends inclusive; nothing that is known later than the last day. `write_history` up to day D and then
        `write_increment` for D+1, D+2 … hold the same rows as one `write_history` up to the last of those days
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.world.entities import ORIGIN_ORDINAL, AdRun
from emulator.world.records import Campaign, Change
from emulator.world.reporting import HORIZON, Figures, figures_at, versions
from emulator.world.synthetic import World, all_days

MONEY = pa.decimal128(20, 6)
_EPOCH = date(1970, 1, 1).toordinal()
_RATE_DAYS_BEFORE = 7

ADS_COLUMNS = (
    "tenant_id", "platform", "account_id", "account_name", "timezone", "currency", "campaign_id", "adset_id",
    "adset_name", "ad_id", "ad_name", "day", "spend", "impressions", "clicks", "link_clicks", "reach", "frequency",
    "conversions", "conversion_value", "view_through_conversions", "known_on",
)  # fmt: skip


class _AdRows:
    """Columns of the ads file; texts are kept once per ad and repeated by Arrow."""

    def __init__(self) -> None:
        self._ads: dict[str, int] = {}
        self._texts: list[tuple[str | None, ...]] = []
        self._index = array("i")
        self._day, self._known = array("i"), array("i")
        self._figures: list[Figures] = []

    def add(self, ad: AdRun, ordinal: int, age: int, figures: Figures) -> None:
        index = self._ads.get(ad.key)
        if index is None:
            index = self._ads[ad.key] = len(self._texts)
            account = ad.set_run.run.account
            self._texts.append(
                (
                    account.tenant_id,
                    account.platform,
                    account.account_id,
                    account.name,
                    account.timezone,
                    account.currency,
                    ad.set_run.run.campaign_id,
                    ad.set_run.adset_id,
                    ad.set_run.name,
                    ad.ad_id,
                    ad.name,
                )
            )
        self._index.append(index)
        self._day.append(ordinal - _EPOCH)
        self._known.append(ordinal + age - _EPOCH)
        self._figures.append(figures)

    def table(self) -> pa.Table:
        texts = list(zip(*self._texts, strict=True)) or [()] * 11
        index = _numbers(self._index, pa.int32())
        columns: dict[str, Any] = {
            name: pa.array(texts[place], pa.string()).take(index)
            for place, name in enumerate(ADS_COLUMNS[:11])
        }
        figures = list(zip(*self._figures, strict=True)) or [()] * 8
        spend, impressions, clicks, link_clicks, reach, conversions, value, view_through = figures
        columns |= {
            "day": _numbers(self._day, pa.int32()).cast(pa.date32()),
            "spend": _money(spend),
            "impressions": pa.array(impressions, pa.int64()),
            "clicks": pa.array(clicks, pa.int64()),
            "link_clicks": pa.array(link_clicks, pa.int64()),
            "reach": pa.array(reach, pa.int64()),
            "frequency": _money([each.frequency for each in self._figures]),
            "conversions": _money(conversions),
            "conversion_value": _money(value),
            "view_through_conversions": _money(view_through),
            "known_on": _numbers(self._known, pa.int32()).cast(pa.date32()),
        }
        return pa.table({name: columns[name] for name in ADS_COLUMNS})


def write_history(
    world: World, folder: Path | str, first_day: date, last_day: date, *, known_from: date | None = None
) -> dict[str, Path]:
    """Write `ads`, `campaigns`, `changes` and `rates` of the period; the paths by those names.

    With `known_from`, nothing was pulled before that day: older days begin with the version that a first
    pull at `known_from` shows, and only later versions follow.
    """
    if first_day > last_day:
        raise ValueError(f"The period ends ({last_day}) before it begins ({first_day}).")
    first, last = first_day.toordinal(), last_day.toordinal()
    pulled = None if known_from is None else known_from.toordinal()
    rows = _AdRows()
    runs = world.runs_between(first_day, last_day)
    for run in runs:
        for ordinal in range(max(first, run.start), last + 1):
            for truth in world.delivery.campaign_day(run, ordinal):
                start_age = 0 if pulled is None else max(0, pulled - ordinal)
                if start_age and ordinal + start_age <= last:
                    seen = figures_at(truth, start_age)
                    if seen is not None:
                        rows.add(truth.ad, ordinal, start_age, seen)
                for age, figures in versions(truth, last - ordinal):
                    if age > start_age or (age == 0 and not start_age):
                        rows.add(truth.ad, ordinal, age, figures)
    campaigns = [world.campaign_record(run, last_day) for run in runs]
    changes = world.changes(first_day, last_day)
    return _write(
        world,
        folder,
        rows,
        campaigns,
        _of_campaigns(changes, campaigns),
        all_days(first_day - timedelta(days=_RATE_DAYS_BEFORE), last_day),
    )


def write_increment(
    world: World, folder: Path | str, day: date, *, first_day: date | None = None
) -> dict[str, Path]:
    """Write what becomes known on `day`: its own first versions and every older day that changed.

    `first_day`: the first day of the history that is continued (days before it stay out). The campaigns
    file holds the newest state of all campaigns that could still change.
    """
    today = day.toordinal()
    first = max(today - HORIZON, ORIGIN_ORDINAL if first_day is None else first_day.toordinal())
    rows = _AdRows()
    for run in world.runs_between(date.fromordinal(first), day):
        for ordinal in range(max(first, run.start), today + 1):
            age = today - ordinal
            for truth in world.delivery.campaign_day(run, ordinal):
                for at, figures in versions(truth, age):
                    if at == age:
                        rows.add(truth.ad, ordinal, age, figures)
    changes = world.changes(day, day)
    changed = {change.campaign_id for change in changes}
    # A campaign is deleted up to a month after its end, when its figures have long stopped changing.
    campaigns = [
        world.campaign_record(run, day)
        for run in world.runs_between(day - timedelta(days=2 * HORIZON), day)
        if (run.end is None or run.end > first or run.campaign_id in changed)
        and (first_day is None or run.end is None or run.end > first_day.toordinal())
    ]
    return _write(world, folder, rows, campaigns, _of_campaigns(changes, campaigns), [day])


def _write(
    world: World,
    folder: Path | str,
    rows: _AdRows,
    campaigns: Sequence[Campaign],
    changes: Sequence[Change],
    rate_days: Sequence[date],
) -> dict[str, Path]:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {name: target / f"{name}.parquet" for name in ("ads", "campaigns", "changes")}
    paths["rates"] = target / "rates.csv"
    pq.write_table(rows.table(), paths["ads"], compression="zstd")
    pq.write_table(_campaigns_table(campaigns), paths["campaigns"], compression="zstd")
    pq.write_table(_changes_table(changes), paths["changes"], compression="zstd")
    with paths["rates"].open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("currency", "day", "rate"))
        for day in rate_days:
            writer.writerows((code, day.isoformat(), rate) for code, rate in world.rates(day).items())
    return paths


def _of_campaigns(changes: Sequence[Change], campaigns: Sequence[Campaign]) -> list[Change]:
    """Changes of the campaigns in the file (one that ended before the period began is in neither)."""
    known = {campaign.campaign_id for campaign in campaigns}
    return [change for change in changes if change.campaign_id in known]


def _campaigns_table(campaigns: Sequence[Campaign]) -> pa.Table:
    columns: tuple[tuple[str, Callable[[Campaign], Any], pa.DataType], ...] = (
        ("tenant_id", lambda each: each.tenant_id, pa.string()),
        ("platform", lambda each: each.platform, pa.string()),
        ("account_id", lambda each: each.account_id, pa.string()),
        ("campaign_id", lambda each: each.campaign_id, pa.string()),
        ("campaign_name", lambda each: each.name, pa.string()),
        ("objective", lambda each: each.objective, pa.string()),
        ("start_day", lambda each: each.start_day, pa.date32()),
        ("status", lambda each: each.status_word, pa.string()),
        ("daily_budget", lambda each: each.daily_budget, MONEY),
        ("target_roas", lambda each: each.target_roas, MONEY),
        ("target_cpa", lambda each: each.target_cpa, MONEY),
    )
    return pa.table({name: pa.array([get(each) for each in campaigns], kind) for name, get, kind in columns})


def _changes_table(changes: Sequence[Change]) -> pa.Table:
    return pa.table(
        {
            "tenant_id": pa.array([each.tenant_id for each in changes], pa.string()),
            "platform": pa.array([each.platform for each in changes], pa.string()),
            "account_id": pa.array([each.account_id for each in changes], pa.string()),
            "campaign_id": pa.array([each.campaign_id for each in changes], pa.string()),
            "day": pa.array([each.day for each in changes], pa.date32()),
            "field": pa.array([each.field for each in changes], pa.string()),
            "old": pa.array([each.old for each in changes], pa.string()),
            "new": pa.array([each.new for each in changes], pa.string()),
        }
    )


def _numbers(values: array[int], kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _money(micros: Sequence[int | None]) -> pa.Array:
    """Micros as decimal(20,6), without a `Decimal` object per row: the same 128-bit numbers, read as
    millionths.
    """
    whole = pa.array(micros, pa.int64()).cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(MONEY, len(whole), whole.buffers(), whole.null_count)
