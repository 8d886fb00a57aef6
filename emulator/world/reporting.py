"""What a platform reports about an ad-day as of a later day.

Spend, impressions and clicks settle within two days (google takes a little back for invalid clicks within
ten); conversions grow with the delay of each until the attribution window closes. Nothing changes after
`HORIZON` days.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from emulator.world.delivery import LONGEST_DELAY, AdTruth

HORIZON = LONGEST_DELAY


class Figures(NamedTuple):
    """Reported figures as whole numbers: money and conversions in micros."""

    spend: int
    impressions: int
    clicks: int
    link_clicks: int
    reach: int | None
    conversions: int
    conversion_value: int
    view_through_conversions: int

    @property
    def frequency(self) -> int | None:
        """Impressions per person reached, in micros; null where reach is not reported."""
        return None if self.reach is None else self.impressions * 1_000_000 // max(1, self.reach)


_NOTHING = Figures(0, 0, 0, 0, None, 0, 0, 0)


def withdrawn_age(truth: AdTruth) -> int | None:
    """The age from which the ad-day is reported no more, if ever."""
    ad = truth.ad
    return ad.removed - truth.ordinal if ad.withdrawn and ad.removed is not None else None


def figures_at(truth: AdTruth, age: int) -> Figures | None:
    """The figures reported at the end of the day `age` days later; null before the day and once withdrawn."""
    if age < 0:
        return None
    gone = withdrawn_age(truth)
    if gone is not None and age >= gone:
        return None
    return _figures(truth, age)


def versions(truth: AdTruth, last_age: int) -> Iterator[tuple[int, Figures]]:
    """(age, figures) at age 0 and at every later age up to `last_age` at which a figure changed.

    A withdrawn ad-day ends with a version of zeros: a file cannot say that a row is gone.
    """
    gone = withdrawn_age(truth)
    ages = {0, 1, 2}
    if truth.credit_age:
        ages.add(truth.credit_age)
    ages.update(conversion.delay for conversion in truth.conversions if conversion.weight)
    before: Figures | None = None
    for age in sorted(ages):
        if age > last_age or (gone is not None and age >= gone):
            break
        now = _figures(truth, age)
        if now != before:
            yield age, now
            before = now
    if gone is not None and gone <= last_age:
        yield gone, _NOTHING


def _figures(truth: AdTruth, age: int) -> Figures:
    spend, impressions, clicks, link_clicks = truth.spend, truth.impressions, truth.clicks, truth.link_clicks
    reach = truth.reach
    if age < 2 and truth.settled[age] < 1.0:
        share = truth.settled[age]
        account = truth.ad.set_run.run.account
        step = 1 if account.platform == "google" else 10_000 if account.minor_units else 1_000_000
        spend = int(spend * share) // step * step
        impressions = max(1, int(impressions * share))
        clicks = min(int(clicks * share), impressions)
        link_clicks = min(int(link_clicks * share), clicks)
        reach = None if reach is None else min(impressions, max(1, int(reach * share)))
    elif truth.credit_age and age >= truth.credit_age:
        spend = int(spend * (1.0 - truth.credit))
        clicks = int(clicks * (1.0 - truth.credit))
        link_clicks = min(link_clicks, clicks)
    conversions = value = view_through = 0
    for conversion in truth.conversions:
        if conversion.delay > age:
            break
        if conversion.weight:
            conversions += conversion.weight
            value += conversion.price * conversion.weight
            if conversion.view_through:
                view_through += conversion.weight
    value = value // 100 if truth.ad.set_run.run.account.minor_units else value
    return Figures(spend, impressions, clicks, link_clicks, reach, conversions, value, view_through)
