"""Which column of a file means which field: our own names, the headings of four ads managers, a person's mapping.

Fields    FIELDS below; `breakdown` marks a column that splits a row's key (age, gender), `ignore` one to leave out
Order     a person's mapping, then our own names, then the platform's headings in the order they are listed here
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dlt_pipelines.common.errors import ContractError

IDS = ("campaign_id", "adset_id", "ad_id")
NAMES = ("campaign_name", "adset_name", "ad_name")
COUNTS = ("impressions", "clicks", "link_clicks", "reach")
AMOUNTS = ("spend", "conversions", "conversion_value", "view_through_conversions", "frequency")
# fmt: off
MEASURES = (
    "spend", "impressions", "clicks", "link_clicks", "conversions", "conversion_value", "view_through_conversions",
    "reach", "frequency",
)
FIELDS = ("account_id", "account_name", "currency", "timezone", *IDS, *NAMES, "day", "known_on", *MEASURES)
PERIOD_BEGIN, PERIOD_END = "period_begin", "period_end"
BREAKDOWN, IGNORE = "breakdown", "ignore"
TARGETS = (*FIELDS, BREAKDOWN, IGNORE)

PLATFORMS = ("meta", "tiktok", "google", "pinterest")

# Headings in lower case; what stands in brackets at the end is compared with and without.
HEADINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "meta": {
        "account_id": ("account id",),
        "account_name": ("account name",),
        "campaign_id": ("campaign id",),
        "campaign_name": ("campaign name", "campaign"),
        "adset_id": ("ad set id", "adset id"),
        "adset_name": ("ad set name", "adset name", "ad set"),
        "ad_id": ("ad id",),
        "ad_name": ("ad name", "ad"),
        "day": ("day", "date"),
        PERIOD_BEGIN: ("reporting starts", "date start", "date_start"),
        PERIOD_END: ("reporting ends", "date stop", "date_stop"),
        "currency": ("currency", "account currency"),
        "spend": ("amount spent", "spend", "spent", "cost"),
        "impressions": ("impressions",),
        "clicks": ("clicks (all)", "clicks"),
        "link_clicks": ("link clicks", "inline link clicks", "outbound clicks"),
        "reach": ("reach", "accounts centre accounts reached", "accounts center accounts reached"),
        "frequency": ("frequency",),
        "conversions": (
            "purchases", "website purchases", "meta purchases", "leads", "website leads", "conversions", "results",
        ),
        "conversion_value": (
            "purchases conversion value", "website purchases conversion value", "purchase conversion value",
            "leads conversion value", "conversion value", "results value",
        ),
        "view_through_conversions": ("purchases (1-day view)", "view-through conversions"),
    },
    "tiktok": {
        "account_id": ("account id", "advertiser id"),
        "account_name": ("account name", "advertiser name"),
        "campaign_id": ("campaign id",),
        "campaign_name": ("campaign name", "campaign"),
        "adset_id": ("ad group id",),
        "adset_name": ("ad group name", "ad group"),
        "ad_id": ("ad id",),
        "ad_name": ("ad name", "ad"),
        "day": ("by day", "day", "date", "stat time day", "stat_time_day"),
        "currency": ("currency",),
        "spend": ("cost", "total cost", "spend"),
        "impressions": ("impressions", "impression"),
        "clicks": ("clicks (destination)", "destination clicks", "clicks", "click"),
        "link_clicks": (),
        "reach": ("reach",),
        "frequency": ("frequency",),
        "conversions": (
            "purchases (website)", "purchases", "complete payment", "total purchase", "conversions", "conversion",
            "results", "result",
        ),
        "conversion_value": (
            "purchase value (website)", "total purchase value", "purchase value", "complete payment value",
            "total complete payment value", "conversion value", "total conversion value",
        ),
        "view_through_conversions": ("vta conversions", "view-through conversions"),
    },
    "google": {
        "account_id": ("customer id", "account id"),
        "account_name": ("account name", "account", "account (descriptive name)"),
        "campaign_id": ("campaign id",),
        "campaign_name": ("campaign", "campaign name"),
        "adset_id": ("ad group id",),
        "adset_name": ("ad group", "ad group name"),
        "ad_id": ("ad id",),
        "ad_name": ("ad name",),
        "day": ("day", "date"),
        "currency": ("currency code", "currency"),
        "spend": ("cost", "spend"),
        "impressions": ("impr.", "impressions"),
        "clicks": ("clicks",),
        "link_clicks": (),
        "conversions": ("conversions",),
        "conversion_value": ("conv. value", "conversion value", "total conv. value"),
        "view_through_conversions": ("view-through conv.", "view-through conversions"),
    },
    "pinterest": {
        "account_id": ("ad account id", "advertiser id", "account id"),
        "account_name": ("ad account name", "advertiser name", "account name"),
        "campaign_id": ("campaign id",),
        "campaign_name": ("campaign name", "campaign"),
        "adset_id": ("ad group id",),
        "adset_name": ("ad group name", "ad group"),
        "ad_id": ("ad id", "promoted pin id"),
        "ad_name": ("ad name", "promoted pin name"),
        "day": ("date", "day"),
        "currency": ("currency", "currency code"),
        "spend": ("spend in account currency", "spend", "cost"),
        "impressions": ("impressions", "paid impressions", "total impressions"),
        "clicks": ("pin clicks", "paid pin clicks", "clicks"),
        "link_clicks": ("outbound clicks", "paid outbound clicks", "link clicks"),
        "reach": ("reach", "paid reach"),
        "frequency": ("frequency",),
        "conversions": (
            "total conversions (checkout)", "total checkout", "checkouts", "total conversions", "conversions",
        ),
        "conversion_value": (
            "total order value (checkout)", "total conversions value (checkout)", "total order value",
            "total conversion value", "conversion value",
        ),
        "view_through_conversions": ("total view conversions (checkout)", "total view conversions"),
    },
}

# Columns that split what would be one row; an export with one of them has several rows per entity and day.
BREAKDOWNS = frozenset(
    {
        "age", "age group", "age range", "gender", "sex", "interest", "interests", "country", "country/territory",
        "region", "city", "dma region", "province", "metro area", "placement", "platform position",
        "publisher platform", "platform", "device", "device platform", "impression device", "operating system",
        "os", "network",
        "network (with search partners)", "time of day", "hour", "hour of day", "language", "keyword",
        "search keyword", "search term", "match type", "audience", "audience segment", "product id", "targeting type",
        "conversion device", "media type", "body", "headline", "image, video and slideshow", "call to action",
        "link url",
    }
)

# fmt: on

# Levels in words, for messages.
LEVEL_WORDS = {"campaign_id": "campaign", "adset_id": "ad set", "ad_id": "ad"}


@dataclass
class Mapped:
    """field -> heading, and what a person should know about how it was found."""

    columns: dict[str, str]
    breakdowns: list[str] = field(default_factory=list)
    recognised: set[str] = field(default_factory=set)  # fields found by a vendor's heading
    currency: str | None = None  # said by a heading: "Amount spent (EUR)"
    unused: list[str] = field(default_factory=list)


def plain(heading: str) -> str:
    """Lower case, single spaces, no quotes: what two spellings of one heading share."""
    return re.sub(r"\s+", " ", heading.strip().strip("\"'\ufeff").casefold().replace("_", " ")).strip()


def _plain_and_bare(heading: str) -> tuple[str, str]:
    whole = plain(heading)
    return whole, re.sub(r"\s*[(\[][^()\[\]]*[)\]]$", "", whole)


def currency_of(heading: str) -> str | None:
    """EUR of "Amount spent (EUR)"."""
    match = re.search(r"[(\[]\s*([A-Z]{3})\s*[)\]]\s*$", heading)
    return match[1] if match else None


def is_known(heading: str, platform: str, mapping: Mapping[str, str] | None = None) -> bool:
    """Whether a heading means anything; used to find the line of headings and the delimiter."""
    whole, bare = _plain_and_bare(heading)
    if mapping and any(plain(column) == whole for column in mapping):
        return True
    if whole.replace(" ", "_") in FIELDS or whole in BREAKDOWNS:
        return True
    return any(name in (whole, bare) for names in HEADINGS[platform].values() for name in names)


def parse_mapping(items: list[str]) -> dict[str, str]:
    """COLUMN=FIELD, as often as wanted; the column's own name may hold an equals sign."""
    mapping: dict[str, str] = {}
    for item in items:
        column, equals, target = item.rpartition("=")
        column, target = column.strip(), target.strip().lower()
        if not equals or not column or not target:
            raise ContractError(
                f"--map {item!r} is not of the form COLUMN=FIELD.", f"Fields: {', '.join(TARGETS)}."
            )
        if target not in TARGETS:
            raise ContractError(
                f"--map {item!r} names the unknown field {target!r}.", f"Fields: {', '.join(TARGETS)}."
            )
        if column in mapping and mapping[column] != target:
            raise ContractError(f"--map gives the column {column!r} twice.", "Give it one field.")
        mapping[column] = target
    return mapping


def map_headings(file_name: str, headings: list[str], platform: str, mapping: Mapping[str, str]) -> Mapped:
    """Find a column for every field. Raises where a mapping names a column the file has not."""
    found = Mapped({})
    taken: set[str] = set()

    for column, target in mapping.items():
        heading = _find(column, headings)
        if heading is None:
            raise ContractError(
                f"{file_name} has no column {column!r}.", f"Its columns are: {', '.join(headings)}."
            )
        taken.add(heading)
        if target == BREAKDOWN:
            found.breakdowns.append(heading)
        elif target == IGNORE:
            continue
        elif target in found.columns:
            raise ContractError(
                f"--map gives the field {target!r} two columns, {found.columns[target]!r} and {heading!r}.",
                "A field has one column.",
            )
        else:
            found.columns[target] = heading

    for heading in headings:
        name = plain(heading).replace(" ", "_")
        is_canonical = heading == heading.casefold() and name in FIELDS
        if is_canonical and heading not in taken and name not in found.columns:
            found.columns[name] = heading
            taken.add(heading)

    for target, names in HEADINGS[platform].items():
        if target in found.columns:
            continue
        for name in names:
            free = [heading for heading in headings if heading not in taken]
            match = next((heading for heading in free if plain(heading) == name), None) or next(
                (heading for heading in free if _without_currency(heading) == name), None
            )
            if match is not None:
                found.columns[target] = match
                found.recognised.add(target)
                taken.add(match)
                break

    for heading in headings:
        name = plain(heading).replace(" ", "_")
        if heading not in taken and name in FIELDS and name not in found.columns:
            found.columns[name] = heading
            taken.add(heading)
    for heading in headings:
        if heading not in taken:
            if plain(heading) in BREAKDOWNS or _plain_and_bare(heading)[1] in BREAKDOWNS:
                found.breakdowns.append(heading)
            else:
                found.unused.append(heading)
    for target in ("spend", "conversion_value"):
        if target in found.columns and found.currency is None:
            found.currency = currency_of(found.columns[target])
    return found


def _without_currency(heading: str) -> str | None:
    """ "amount spent" of "Amount spent (EUR)"; another bracket, as in "Purchases (1-day view)", has a meaning."""
    return _plain_and_bare(heading)[1] if currency_of(heading) is not None else None


def _find(column: str, headings: list[str]) -> str | None:
    if column in headings:
        return column
    return next((heading for heading in headings if plain(heading) == plain(column)), None)
