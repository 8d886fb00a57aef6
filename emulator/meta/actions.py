"""The lists of the API, made of atoms: every tier of an event at once, as the platform shows them.

One web purchase stands there as `omni_purchase`, as `purchase`, as the pixel's event and as that of the shop on the
site; adding the list up counts it four times. In a few rows the upper tiers are missing, and then the specific
types overlap nowhere: whoever takes the highest tier that is there gets the truth of every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emulator.meta.catalog import share_of
from emulator.meta.facts import Counts, Facts, total, window

# event: (deduplicated total, web and app total, {atom: specific type}); null where the platform has no such tier.
_FAMILIES: dict[str, tuple[str | None, str, dict[str, str]]] = {
    "purchase": (
        "omni_purchase",
        "purchase",
        {
            "purchase.web": "offsite_conversion.fb_pixel_purchase",
            "purchase.app": "app_custom_event.fb_mobile_purchase",
            "purchase.onsite": "onsite_conversion.purchase",
        },
    ),
    "add_to_cart": (
        "omni_add_to_cart",
        "add_to_cart",
        {"add_to_cart": "offsite_conversion.fb_pixel_add_to_cart"},
    ),
    "checkout": (
        "omni_initiated_checkout",
        "initiate_checkout",
        {"checkout": "offsite_conversion.fb_pixel_initiate_checkout"},
    ),
    "view_content": (
        "omni_view_content",
        "view_content",
        {"view_content": "offsite_conversion.fb_pixel_view_content"},
    ),
    "registration": (
        "omni_complete_registration",
        "complete_registration",
        {"registration": "offsite_conversion.fb_pixel_complete_registration"},
    ),
    "lead": (
        None,
        "lead",
        {
            "lead.web": "offsite_conversion.fb_pixel_lead",
            "lead.form": "onsite_conversion.lead_grouped",
            "lead.other": "leadgen.other",
        },
    ),
}
# Named a second time besides the pixel's event, but only where the totals are there as well.
_ECHOES = {"purchase.web": ("onsite_web_purchase", "web_in_store_purchase")}
_SINGLE = {
    "link_click": "link_click",
    "landing_page_view": "landing_page_view",
    "reaction": "post_reaction",
    "comment": "comment",
    "share": "post",
    "save": "onsite_conversion.post_save",
    "like": "like",
    "video_view": "video_view",
    "search": "offsite_conversion.fb_pixel_search",
    "contact": "contact",
    "subscribe": "subscribe",
    "custom": "offsite_conversion.fb_pixel_custom",
}
_POST = ("link_click", "reaction", "comment", "share", "save", "video_view")
_UNIQUE_TYPES = {
    "link_click", "landing_page_view", "page_engagement", "post_engagement", "video_view", "omni_purchase", "lead",
}  # fmt: skip

# Atoms of what happens on the advertiser's own site or app.
OFF_META = frozenset(
    {
        "view_content", "add_to_cart", "checkout", "search", "purchase.web", "purchase.app", "lead.web",
        "registration", "contact", "subscribe", "custom",
    }
)  # fmt: skip
_OFF_META_TYPES = ("offsite_conversion.", "app_custom_event.", "omni_", "onsite_web", "web_in_store")
_OFF_META_NAMES = {
    "purchase", "add_to_cart", "initiate_checkout", "view_content", "complete_registration", "lead", "contact",
    "subscribe",
}  # fmt: skip

_ACTION_CELLS: dict[str, tuple[tuple[str, float], ...]] = {
    "action_device": (("mobile_app", 0.68), ("desktop", 0.19), ("mobile_web", 0.13)),
    "action_reaction": (("like", 0.7), ("love", 0.25), ("wow", 0.05)),
}


def types_of(atoms: Mapping[str, Counts], missing_tiers: int = 0) -> dict[str, Counts]:
    """Atoms (events or amounts) as action types, in the order of the list."""
    found: dict[str, Counts] = {}
    for atom, name in _SINGLE.items():
        if atom in atoms:
            found[name] = atoms[atom]
    post = _sum([atoms[atom] for atom in _POST if atom in atoms])
    if any(post) and "link_click" in atoms:
        found["post_engagement"] = post
        found["page_engagement"] = _sum([post, atoms["like"]]) if "like" in atoms else post
    for top, middle, specific in _FAMILIES.values():
        parts = {atom: atoms[atom] for atom in specific if atom in atoms}
        whole = _sum(list(parts.values()))
        if not any(whole):
            continue
        if top is not None and missing_tiers < 1:
            found[top] = whole
        if missing_tiers < 2:
            found[middle] = whole
        for atom, counts in parts.items():
            if not any(counts):
                continue
            found[specific[atom]] = counts
            if missing_tiers < 2:
                for echo in _ECHOES.get(atom, ()):
                    found[echo] = counts
    return found


def events_of(facts: Facts) -> dict[str, Counts]:
    """The events of the facts as action types; made once."""
    if facts.types is None:
        facts.types = types_of(facts.events, facts.missing_tiers)
    return facts.types


def _sum(many: Sequence[Counts]) -> Counts:
    if len(many) < 2:
        return many[0] if many else [0, 0, 0, 0, 0]
    return [sum(column) for column in zip(*many, strict=True)]


def is_off_meta(action_type: str) -> bool:
    """True for what happens outside the platform."""
    return action_type in _OFF_META_NAMES or action_type.startswith(_OFF_META_TYPES)


def count_text(figure: int) -> str:
    """A count as the API writes it."""
    return str(figure)


def amount_text(micros: int) -> str:
    """An amount as the API writes it: no more decimals than needed."""
    whole, cents = divmod(micros // 10_000, 100)
    return f"{whole}.{cents:02d}".rstrip("0").rstrip(".")


class Lists:
    """Writes lists of action objects for one query's windows and action breakdowns."""

    def __init__(self, windows: Sequence[str], action_breakdowns: Sequence[str], destination: str) -> None:
        self._windows = [name for name in windows if name != "default"]
        self._splits = [name for name in action_breakdowns if name != "action_type"]
        self._destination = destination

    def actions(self, facts: Facts) -> list[dict[str, Any]]:
        """`actions`"""
        return self._write(events_of(facts), count_text)

    def values(self, facts: Facts) -> list[dict[str, Any]]:
        """`action_values`"""
        return self._write(types_of(facts.amounts, facts.missing_tiers), amount_text)

    def unique(self, facts: Facts) -> list[dict[str, Any]]:
        """`unique_actions`: the few types that are left of it; a person counts once."""
        types = events_of(facts)
        return self._write(
            {name: [part - part // 12 for part in types[name]] for name in types if name in _UNIQUE_TYPES},
            count_text,
        )

    def one(self, name: str, counts: Counts | int, write: Any = count_text) -> list[dict[str, Any]]:
        """A list of one type (`outbound_clicks`, the video metrics)."""
        parts = [counts, 0, 0, 0, 0] if isinstance(counts, int) else counts
        return self._write({name: parts}, write)

    def costs(self, facts: Facts) -> list[dict[str, Any]]:
        """`cost_per_action_type`"""
        types = events_of(facts)
        return [
            {"action_type": name, "value": f"{facts.spend / 1e6 / total(counts):.6f}"}
            for name, counts in types.items()
            if total(counts) and facts.spend
        ]

    def conversions(self, facts: Facts) -> list[dict[str, Any]]:
        """`conversions`: conversion-type events only."""
        names = {"contact": "contact_total", "subscribe": "subscribe_total"}
        return self._write(
            {names[atom]: facts.events[atom] for atom in names if atom in facts.events}, count_text
        )

    def roas(self, facts: Facts, action_type: str) -> list[dict[str, Any]]:
        """Value of a type by spend."""
        counts = types_of(facts.amounts, facts.missing_tiers).get(action_type)
        if counts is None or not facts.spend:
            return []
        found = {"action_type": action_type, "value": f"{total(counts) / facts.spend:.6f}"}
        for name in self._windows:
            part = window(counts, name)
            if part:
                found[name] = f"{part / facts.spend:.6f}"
        return [found]

    def _write(self, types: Mapping[str, Counts], write: Any) -> list[dict[str, Any]]:
        if not self._splits and not self._windows:
            return [
                {"action_type": action_type, "value": write(figure)}
                for action_type, counts in types.items()
                if (figure := counts[0] + counts[1] + counts[3])
            ]
        found = []
        for action_type, counts in types.items():
            for keys, part in self._cells(action_type, counts):
                entry: dict[str, Any] = {**keys, "action_type": action_type, "value": write(total(part))}
                entry.update(
                    {name: write(figure) for name in self._windows if (figure := window(part, name))}
                )
                if total(part) or len(entry) > 2 + len(keys):
                    found.append(entry)
        return found

    def _cells(self, action_type: str, counts: Counts) -> list[tuple[dict[str, str], Counts]]:
        """Split by action breakdowns; what happened off the platform comes back whole, without the keys."""
        cells: list[tuple[dict[str, str], Counts]] = [({}, counts)]
        if is_off_meta(action_type):
            return cells
        for name in self._splits:
            if name == "action_destination":
                if action_type == "link_click":
                    cells = [({**keys, name: self._destination}, part) for keys, part in cells]
            elif name == "action_target_id":
                target = str(10**14 + int(share_of("target", self._destination) * 9e14))
                cells = [({**keys, name: target}, part) for keys, part in cells]
            elif name in _ACTION_CELLS and (name != "action_reaction" or action_type == "post_reaction"):
                cells = [
                    ({**keys, name: value}, piece)
                    for keys, part in cells
                    for value, piece in _parts(part, _ACTION_CELLS[name])
                ]
        return [(keys, part) for keys, part in cells if any(part)]


def _parts(counts: Counts, cells: tuple[tuple[str, float], ...]) -> list[tuple[str, Counts]]:
    """Parts that add up: the first cell takes what does not divide."""
    pieces = [(value, [int(count * share) for count in counts]) for value, share in cells[1:]]
    rest = [count - sum(piece[place] for _, piece in pieces) for place, count in enumerate(counts)]
    return [(cells[0][0], rest), *pieces]
