"""What people use instead, on the same figures as they were first known: the baselines of the evaluation.

plus or minus 30 %    a day's figure against the mean of the 7 days before
z-score               a day's figure against mean and standard deviation of the 14 days before, beyond 3
week's ROAS           more budget above 1.3 times the target, less below 0.7, a pause below 0.4, over the last 7 days
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from evaluation.score import Finding
from evaluation.world import AGES, DAYS, SCORED, Campaign, Floats, World

Series = dict[str, Floats]
# metric -> anomaly type when it is high, when it is low
METRICS = {
    "spend": ("spend_spike", "spend_drop"),
    "cpc": ("cost_spike", ""),
    "cpa": ("cost_spike", ""),
    "ctr": ("", "ctr_drop"),
    "roas": ("", "roas_drop"),
    "conversions": ("", "conversion_drop"),
}


def thirty_percent(world: World) -> list[Finding]:
    """Alarms of the rule of thumb."""
    return _alarms(world, 7, lambda now, before: now / float(np.nanmean(before)) - 1, 0.3)


def z_score(world: World) -> list[Finding]:
    """Alarms of the textbook's rule."""

    def z(now: float, before: Floats) -> float:
        spread = float(np.nanstd(before, ddof=1))
        return (now - float(np.nanmean(before))) / spread if spread > 0 else 0.0

    return _alarms(world, 14, z, 3.0)


def week_roas(world: World) -> list[Finding]:
    """Advice of the rule of thumb, every day."""
    found = []
    for campaign, seen in _seen(world):
        for day in range(DAYS - SCORED, DAYS):
            week = slice(day - 6, day + 1)
            spend, value, count = (seen[name][week].sum() for name in ("spend", "value", "conversions"))
            if spend <= 0 or not campaign.on[day]:
                continue
            if campaign.target_roas:
                ratio = value / spend / campaign.target_roas
            elif campaign.target_cpa:
                ratio = count * campaign.target_cpa / spend
            else:
                continue
            if ratio > 1.3:
                found.append(_finding(world, campaign, day, "budget_increase"))
            elif ratio < 0.4:
                found.append(_finding(world, campaign, day, "pause"))
            elif ratio < 0.7:
                found.append(_finding(world, campaign, day, "budget_decrease"))
    return found


def _alarms(world: World, window: int, off: Callable[[float, Floats], float], limit: float) -> list[Finding]:
    found = []
    for campaign, seen in _seen(world):
        for metric, (high, low) in METRICS.items():
            figures = _metric(seen, metric)
            for day in range(DAYS - SCORED, DAYS):
                before = figures[day - window : day]
                if (
                    np.isnan(figures[day])
                    or np.isfinite(before).sum() < window / 2
                    or np.nanmean(before) <= 0
                ):
                    continue
                by = off(float(figures[day]), before)
                if high and by > limit:
                    found.append(_finding(world, campaign, day, high))
                elif low and by < -limit:
                    found.append(_finding(world, campaign, day, low))
    return found


def _seen(world: World) -> Iterator[tuple[Campaign, Series]]:
    """Each campaign's days as they stand a day later: what a person with a spreadsheet has."""
    age = AGES.index(1)
    for campaign in world.campaigns:
        yield (
            campaign,
            {
                "spend": np.asarray(np.sum([ad.spend for ad in campaign.ads], axis=0), np.float64),
                "impressions": np.asarray(
                    np.sum([ad.impressions for ad in campaign.ads], axis=0), np.float64
                ),
                "clicks": np.asarray(np.sum([ad.clicks for ad in campaign.ads], axis=0), np.float64),
                "conversions": np.asarray(
                    np.sum([ad.conversions[:, age] for ad in campaign.ads], axis=0), np.float64
                ),
                "value": np.asarray(np.sum([ad.value[:, age] for ad in campaign.ads], axis=0), np.float64),
            },
        )


def _metric(seen: Series, metric: str) -> Floats:
    top, bottom = {
        "spend": ("spend", None),
        "conversions": ("conversions", None),
        "cpc": ("spend", "clicks"),
        "cpa": ("spend", "conversions"),
        "ctr": ("clicks", "impressions"),
        "roas": ("value", "spend"),
    }[metric]
    if bottom is None:
        return seen[top]
    return np.where(seen[bottom] > 0, seen[top] / np.maximum(seen[bottom], 1e-9), np.nan)


def _finding(world: World, campaign: Campaign, day: int, kind: str) -> Finding:
    return Finding(
        campaign.tenant_id, campaign.platform, "campaign", campaign.campaign_id, world.day(day), kind
    )
