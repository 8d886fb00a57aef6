"""Breakdowns: which may be combined, and how a figure is split over their values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from emulator.meta.catalog import number_of, share_of

_AUDIENCE_HOURS = "hourly_stats_aggregated_by_audience_time_zone"
_ADVERTISER_HOURS = "hourly_stats_aggregated_by_advertiser_time_zone"
HOURLY = frozenset({_AUDIENCE_HOURS, _ADVERTISER_HOURS})
# Off-Meta actions are dropped.
TYPE_1 = frozenset({"region", "dma"}) | HOURLY
# Off-Meta actions come back without the breakdown's value.
TYPE_2 = frozenset({"product_id", "carousel_card_id", "carousel_card_name"})
# Empty when asked for synchronously by an account that has not opted in.
OPT_IN = frozenset({"impression_device", _AUDIENCE_HOURS, "frequency_value"})
ASSETS = frozenset(
    f"{name}_asset" for name in ("ad_format", "body", "call_to_action", "description", "image", "link_url", "title",
                                 "video")
)  # fmt: skip
ASSET_FIELDS = frozenset({"impressions", "clicks", "spend", "reach", "actions", "action_values"})
ACTION_BREAKDOWNS = frozenset(
    {
        "action_type", "action_target_id", "action_destination", "action_device", "action_reaction",
        "action_carousel_card_id", "action_carousel_card_name",
    }
)  # fmt: skip

_JOINED = frozenset({"action_type", "action_target_id", "action_destination"})
# Permutations that may also be joined with those three.
_STARRED = [
    {"action_device"}, {"action_device", "impression_device"}, {"action_device", "publisher_platform"},
    {"action_device", "publisher_platform", "impression_device"},
    {"action_device", "publisher_platform", "platform_position"},
    {"action_device", "publisher_platform", "platform_position", "impression_device"},
    {"age"}, {"gender"}, {"age", "gender"}, {"country"}, {"region"}, {"publisher_platform"},
    {"publisher_platform", "impression_device"}, {"publisher_platform", "platform_position"},
    {"publisher_platform", "platform_position", "impression_device"}, {"product_id"}, {_ADVERTISER_HOURS},
    {_AUDIENCE_HOURS}, {"dma"}, {"device_platform"}, {"frequency_value"},
]  # fmt: skip
_PLAIN = [{"action_reaction"}, {"action_type", "action_reaction"}, {"app_id", "skan_conversion_id"}]
_CARDS = frozenset(
    {"carousel_card_id", "carousel_card_name", "action_carousel_card_id", "action_carousel_card_name"}
)
_WITH_CARDS = [set(), {"impression_device"}, {"country"}, {"age"}, {"gender"}, {"age", "gender"}]

_VALUES: dict[str, tuple[tuple[str, float], ...]] = {
    "age": (
        ("18-24", 0.12), ("25-34", 0.28), ("35-44", 0.25), ("45-54", 0.18), ("55-64", 0.11), ("65+", 0.06),
    ),
    "gender": (("female", 0.56), ("male", 0.42), ("unknown", 0.02)),
    "country": (("home", 0.93), ("abroad", 0.07)),
    "region": (("North", 0.4), ("South", 0.35), ("West", 0.2), ("unknown", 0.05)),
    "dma": (("501", 0.5), ("803", 0.3), ("602", 0.2)),
    "device_platform": (("mobile_app", 0.78), ("mobile_web", 0.07), ("desktop", 0.15)),
    "impression_device": (("iphone", 0.48), ("android_smartphone", 0.34), ("desktop", 0.14), ("ipad", 0.04)),
    "publisher_platform": (
        ("facebook", 0.52), ("instagram", 0.41), ("audience_network", 0.05), ("messenger", 0.02),
    ),
    "frequency_value": (("1", 0.6), ("2", 0.25), ("3", 0.1), ("4", 0.05)),
    "app_id": (("200000000000001", 1.0),),
    "skan_conversion_id": (("0", 0.6), ("1", 0.4)),
}  # fmt: skip
_POSITIONS: dict[str, tuple[tuple[str, float], ...]] = {
    "facebook": (("feed", 0.6), ("facebook_reels", 0.2), ("marketplace", 0.12), ("right_hand_column", 0.08)),
    "instagram": (("feed", 0.4), ("instagram_stories", 0.35), ("instagram_reels", 0.25)),
    "audience_network": (("an_classic", 1.0),),
    "messenger": (("messenger_inbox", 1.0),),
}
_HOUR_WEIGHTS = [0.4 + 0.6 * math.sin(math.pi * max(0, hour - 5) / 19) for hour in range(24)]
_ABROAD = {"CA": "US", "US": "CA", "DE": "AT", "GB": "IE"}


def is_known(name: str) -> bool:
    """True for a breakdown the emulator has."""
    return name in _VALUES or name in HOURLY | TYPE_2 | ASSETS or name == "platform_position"


def is_legal(breakdowns: Iterable[str], action_breakdowns: Iterable[str]) -> bool:
    """True if the reference allows the combination."""
    asked = set(breakdowns) | set(action_breakdowns)
    if asked <= _JOINED:
        return True
    if asked in _PLAIN:
        return True
    core = asked - _JOINED
    if core in _STARRED:
        return True
    if core & ASSETS:
        return len(core) == 1
    return bool(core & _CARDS) and (core - _CARDS) in _WITH_CARDS


@lru_cache(maxsize=4096)
def cells_of(breakdowns: tuple[str, ...], ad_id: str, country: str) -> list[tuple[tuple[str, ...], float]]:
    """Values in the breakdowns' order with weights that add up to 1; every ad has its own taste."""
    found: list[tuple[dict[str, str], float]] = [({}, 1.0)]
    for name in sorted(breakdowns, key=lambda each: each == "platform_position"):
        grown = []
        for chosen, weight in found:
            for value, share in _values(name, chosen, ad_id, country):
                taste = 0.7 + 0.6 * share_of("taste", ad_id, name, value)
                grown.append(({**chosen, name: value}, weight * share * taste))
        found = grown
    whole = sum(weight for _, weight in found)
    return [(tuple(chosen[name] for name in breakdowns), weight / whole) for chosen, weight in found]


def _values(name: str, chosen: dict[str, str], ad_id: str, country: str) -> Sequence[tuple[str, float]]:
    if name == "platform_position":
        return _POSITIONS[chosen["publisher_platform"]]
    if name in HOURLY:
        whole = sum(_HOUR_WEIGHTS)
        return [
            (f"{hour:02d}:00:00 - {hour:02d}:59:59", weight / whole)
            for hour, weight in enumerate(_HOUR_WEIGHTS)
        ]
    if name == "country":
        places = {"home": country, "abroad": _ABROAD.get(country, "FR")}
        return [(places[value], share) for value, share in _VALUES[name]]
    if name in TYPE_2 or name in ASSETS:
        return [(number_of(name, ad_id, place), share) for place, share in enumerate((0.5, 0.3, 0.2))]
    return _VALUES[name]
