"""What happened to one ad on one day, in whole numbers that add up: the world's figures and, derived from them,
the events around a conversion that the world does not tell (carts, checkouts, reactions, video views).

Everything is an *atom*: a part that overlaps no other. Atoms can be summed over ads and days and split over
breakdown cells without losing one; the overlapping lists that the API shows are made of them in `actions.py`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from emulator.meta.catalog import share_of
from emulator.world import AdDay

# An event is counted by how it came about: click within 1 day, within 2-7, within 8-28 (only known to the 28-day
# window), view within a day, engaged view (a kind of view). The default windows hold the 1st, 2nd and 4th.
Counts = list[int]
NONE: Counts = [0, 0, 0, 0, 0]
WINDOWS = ("1d_click", "7d_click", "28d_click", "1d_view", "1d_ev")

_CENT = 10_000
_WORD = 1.0 / 2**32


def total(counts: Counts) -> int:
    """The figure under the default windows: 7-day click and 1-day view."""
    return counts[0] + counts[1] + counts[3]


def window(counts: Counts, name: str) -> int:
    """The figure under one window; click windows are cumulative, and windows that were retired stay silent."""
    if name == "1d_click":
        return counts[0]
    if name == "7d_click":
        return counts[0] + counts[1]
    if name == "28d_click":
        return counts[0] + counts[1] + counts[2]
    if name == "1d_view":
        return counts[3]
    return counts[4] if name == "1d_ev" else 0


@dataclass
class Facts:
    """Atoms of one ad and day, or of a sum of such. Money in micros of the account's currency.

    `reach` and the unique counts are as the platform would estimate them for just this sum: they don't add up.
    `missing_tiers` says how many of the overlapping totals the platform left out of this row's lists (0, 1, 2).
    """

    spend: int = 0
    impressions: int = 0
    clicks: int = 0
    link_clicks: int = 0
    reach: int = 0
    unique_clicks: int = 0
    unique_link_clicks: int = 0
    plays: int = 0
    play_seconds: int = 0
    events: dict[str, Counts] = field(default_factory=dict)
    amounts: dict[str, Counts] = field(default_factory=dict)
    missing_tiers: int = 0
    # The events as action types, once `actions.py` has made them: several fields of a line need them.
    types: dict[str, Counts] | None = None

    @property
    def is_nothing(self) -> bool:
        """True where the API shows no row."""
        return not self.impressions and not self.spend and not any(map(any, self.events.values()))


_SUMMED = ("spend", "impressions", "clicks", "link_clicks", "plays", "play_seconds")
_UNIQUE = ("reach", "unique_clicks", "unique_link_clicks")


def facts_of(row: AdDay, *, with_events: bool = True) -> Facts:
    """The atoms of the world's row; without events where only scalars are needed."""
    u = _uniforms(f"{row.ad_id}|{row.day.toordinal()}")
    clicks, links = row.clicks, row.link_clicks
    found = Facts(
        spend=int(row.spend * 1_000_000),
        impressions=row.impressions,
        clicks=clicks,
        link_clicks=links,
        reach=row.reach or 0,
        unique_clicks=clicks - int(clicks * 0.07 * u[0]),
        unique_link_clicks=links - int(links * 0.05 * u[1]),
    )
    name = row.ad_name or ""
    is_video = "Video" in name or "Reel" in name
    if is_video:
        found.plays = int(row.impressions * 0.9)
        found.play_seconds = int(found.plays * (3 + 6 * u[2]))
    if not with_events:
        return found
    count, views = int(row.conversions), int(row.view_through_conversions)
    events: dict[str, Counts] = {
        "link_click": [links, 0, 0, 0, 0],
        "landing_page_view": [int(links * (0.7 + 0.15 * u[3])), 0, 0, 0, 0],
        "reaction": [int(clicks * 0.10), 0, 0, 0, 0],
        "comment": [int(clicks * 0.02 * u[4]), 0, 0, 0, 0],
        "share": [int(clicks * 0.02 * u[5]), 0, 0, 0, 0],
        "save": [int(clicks * 0.04 * u[6]), 0, 0, 0, 0],
        "like": [int(clicks * 0.01 * u[7]), 0, 0, 0, 0],
        "custom": _spread(int(links * 0.2 * u[8]), 0.05),
    }
    if is_video:
        events["video_view"] = _on_view(int(row.impressions * (0.18 + 0.1 * u[9])))
    conversions = _conversions(count, views, u[10])
    if row.conversion_event == "lead":
        _add_leads(events, row, conversions, u[11])
    else:
        found.amounts = _add_sale(events, row, conversions, links, u)
    found.events = {key: counts for key, counts in events.items() if any(counts)}
    fate = share_of("tiers", row.ad_id, row.day.toordinal())
    found.missing_tiers = 2 if fate < 0.02 else 1 if fate < 0.05 else 0
    return found


def _conversions(count: int, views: int, u: float) -> Counts:
    clicked = count - views
    at_once = int(clicked * (0.6 + 0.25 * u))
    return [at_once, clicked - at_once, int(clicked * (0.04 + 0.08 * u)), views, views // 2]


def _spread(count: int, view_share: float) -> Counts:
    """An event of the funnel, most of it within a day of the click."""
    views = int(count * view_share)
    at_once = int((count - views) * 0.85)
    return [at_once, count - views - at_once, count // 25, views, views // 2]


def _on_view(count: int) -> Counts:
    return [count // 6, 0, 0, count - count // 6, 0]


def _add_leads(events: dict[str, Counts], row: AdDay, leads: Counts, u: float) -> None:
    """Leads of the site, of forms on the platform, and a few that came otherwise; parts that overlap nowhere."""
    form_share = 0.3 if share_of("form", row.ad_id) < 0.5 else 0.0
    forms = [int(part * form_share) for part in leads]
    other = [int(part * 0.15) if u < 0.3 else 0 for part in forms]
    events["lead.form"] = [form - rest for form, rest in zip(forms, other, strict=True)]
    events["lead.other"] = other
    events["lead.web"] = [part - form for part, form in zip(leads, forms, strict=True)]
    events["registration"] = [part // 3 for part in leads]
    events["contact"] = [part // 8 for part in leads]
    events["subscribe"] = [part // 5 for part in leads]


def _add_sale(
    events: dict[str, Counts], row: AdDay, sales: Counts, links: int, u: Sequence[float]
) -> dict[str, Counts]:
    """Purchases by channel and the funnel before them; the amounts of both."""
    count = int(row.conversions)
    for name, share in (("view_content", 0.62), ("add_to_cart", 0.09), ("checkout", 0.05), ("search", 0.03)):
        expected = int(links * share * (0.85 + 0.3 * u[12]))
        events[name] = (
            _at_least(_spread(expected, 0.1), sales) if name != "search" else _spread(expected, 0.1)
        )
    value = int(row.conversion_value * 1_000_000)
    amounts = {"purchase": _amounts(value, sales)}
    average = value // count if count else 0
    for name in ("add_to_cart", "checkout"):
        amounts[name] = [part * (average * 9 // 10) // _CENT * _CENT for part in events[name]]
    channel = share_of("channel", row.ad_id)
    for name, share in (("app", 0.2 if channel < 0.15 else 0.0), ("onsite", 0.15 if channel > 0.85 else 0.0)):
        part = [int(each * share) for each in sales]
        if not any(part):
            continue
        events[f"purchase.{name}"] = part
        amounts[f"purchase.{name}"] = [
            amount * taken // whole // _CENT * _CENT if whole else 0
            for amount, taken, whole in zip(amounts["purchase"], part, sales, strict=True)
        ]
    events["purchase.web"] = _rest(sales, events)
    amounts["purchase.web"] = _rest(amounts.pop("purchase"), amounts)
    return {key: each for key, each in amounts.items() if any(each)}


def _rest(whole: Counts, parts: dict[str, Counts]) -> Counts:
    """What the other purchase channels leave."""
    taken = [parts[name] for name in ("purchase.app", "purchase.onsite") if name in parts]
    return [each - sum(part[place] for part in taken) for place, each in enumerate(whole)]


def _at_least(counts: Counts, least: Counts) -> Counts:
    return [max(pair) for pair in zip(counts, least, strict=True)]


def _amounts(value: int, counts: Counts) -> Counts:
    """A value spread over how its conversions came about; the parts of the default windows add up to it."""
    count = total(counts)
    if not count:
        return list(NONE)
    average = value // count // _CENT * _CENT
    later, viewed = average * counts[1], average * counts[3]
    if not counts[0]:
        rest = value - later - viewed
        later, viewed = (later + rest, viewed) if counts[1] else (later, viewed + rest)
        return [0, later, average * counts[2], viewed, average * counts[4]]
    return [value - later - viewed, later, average * counts[2], viewed, average * counts[4]]


def merged(parts: Iterable[Facts]) -> Facts:
    """The sum; reach and unique counts grow slower than that, for the same people are met again."""
    found, number, most = Facts(), 0, [0, 0, 0]
    sums = [0, 0, 0]
    for part in parts:
        number += 1
        for name in _SUMMED:
            setattr(found, name, getattr(found, name) + getattr(part, name))
        for place, name in enumerate(_UNIQUE):
            figure = getattr(part, name)
            sums[place] += figure
            most[place] = max(most[place], figure)
        for mine, theirs in ((found.events, part.events), (found.amounts, part.amounts)):
            for key, counts in theirs.items():
                before = mine.get(key)
                mine[key] = (
                    list(counts) if before is None else [a + b for a, b in zip(before, counts, strict=True)]
                )
        found.missing_tiers = part.missing_tiers if number == 1 else 0
    for place, (name, most_allowed) in enumerate(
        zip(_UNIQUE, (found.impressions, found.clicks, found.link_clicks), strict=True)
    ):
        share = 1.0 if number < 2 else 0.6 + 0.4 / number
        setattr(found, name, max(most[place], min(most_allowed, round(sums[place] * share))))
    return found


def split(facts: Facts, weights: Sequence[float]) -> list[Facts]:
    """The facts in parts by weight that add up again, amounts in cents."""
    cells = [Facts() for _ in weights]
    for name in (*_SUMMED, *_UNIQUE):
        unit = _CENT if name == "spend" else 1
        for cell, part in zip(cells, _portions(getattr(facts, name), weights, unit), strict=True):
            setattr(cell, name, part)
    for source, unit in (("events", 1), ("amounts", _CENT)):
        for key, counts in getattr(facts, source).items():
            columns = [_portions(count, weights, unit) for count in counts]
            for place, cell in enumerate(cells):
                counts_there = [column[place] for column in columns]
                if any(counts_there):
                    getattr(cell, source)[key] = counts_there
    for cell in cells:
        cell.reach = min(cell.reach, cell.impressions)
    return cells


def _portions(whole: int, weights: Sequence[float], unit: int) -> list[int]:
    """A whole number in multiples of `unit` by weight; the largest remainders take what is left."""
    if not whole:
        return [0] * len(weights)
    units, rest = divmod(whole, unit)
    exact = [units * weight for weight in weights]
    parts = [int(each) for each in exact]
    by_remainder = sorted(range(len(weights)), key=lambda place: parts[place] - exact[place])
    for place in by_remainder[: units - sum(parts)]:
        parts[place] += 1
    found = [part * unit for part in parts]
    found[by_remainder[0]] += rest
    return found


def partial(row: AdDay, share: float) -> AdDay:
    """What is known of a day that is not over, by the share of it that is."""
    cent = Decimal("0.01")
    return replace(
        row,
        spend=(row.spend * Decimal(str(share))).quantize(cent, "ROUND_DOWN"),
        impressions=int(row.impressions * share),
        clicks=int(row.clicks * share),
        link_clicks=int(row.link_clicks * share),
        reach=None if row.reach is None else int(row.reach * share),
        conversions=Decimal(int(row.conversions * Decimal(str(share)))),
        conversion_value=(row.conversion_value * Decimal(str(share))).quantize(cent, "ROUND_DOWN"),
        view_through_conversions=Decimal(int(row.view_through_conversions * Decimal(str(share)))),
    )


def _uniforms(key: str) -> tuple[float, ...]:
    digest = hashlib.blake2b(key.encode(), digest_size=52).digest()
    return tuple(word * _WORD for word in struct.unpack("<13I", digest))
