"""How figures, entities and causes read in the summary and in the lists of decisions. Pure functions, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

PLATFORMS = {
    "meta": "Meta",
    "tiktok": "TikTok",
    "google": "Google Ads",
    "pinterest": "Pinterest",
    "shopify": "Shopify",
    "all": "All platforms",
}
LEVELS = {"tenant": "everything", "account": "account", "campaign": "campaign", "adset": "ad set", "ad": "ad"}
METRICS = {
    "spend": "Spend",
    "ctr": "Click rate",
    "cvr": "Conversion rate",
    "cpc": "Cost per click",
    "cpm": "Cost per 1,000 impressions",
    "cpa": "Cost per conversion",
    "roas": "ROAS",
    "aov": "Value per conversion",
    "conversions": "Conversions",
    "conversion_value": "Conversion value",
    "impressions": "Impressions",
    "clicks": "Clicks",
    "link_clicks": "Link clicks",
}
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "CAD": "CA$", "AUD": "A$", "NZD": "NZ$", "JPY": "¥"}
_RATES = {"ctr", "cvr"}
_AMOUNTS = {"spend", "cpc", "cpm", "cpa", "aov", "conversion_value"}
_WHOLE_CURRENCIES = {"JPY", "KRW", "VND", "CLP", "ISK", "HUF"}
NOTHING = "–"


def money(amount: Decimal | None, currency: str | None, estimate: bool = False) -> str:
    """To the cent; an estimate of 10 or more in whole units, since its cents would only pretend to be known."""
    if amount is None:
        return NOTHING
    whole = currency in _WHOLE_CURRENCIES or (estimate and abs(amount) >= 10)
    digits = f"{abs(amount):,.0f}" if whole else f"{abs(amount):,.2f}"
    sign = "-" if amount < 0 and digits.strip("0.,") else ""
    symbol = _SYMBOLS.get(currency or "")
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{digits} {currency or ''}".rstrip()


def ratio(value: Decimal | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def change(value: Decimal | None) -> str:
    """A share as a signed percentage: -0.123 is "-12 %"; NOTHING when there is nothing to compare with."""
    if value is None:
        return NOTHING
    percent = round(value * 100)
    return "±0 %" if percent == 0 else f"{'+' if percent > 0 else '-'}{abs(percent):,} %"


def share(value: Decimal | None) -> str:
    return NOTHING if value is None else f"{value * 100:.0f} %"


def day_text(day: date | None) -> str:
    return NOTHING if day is None else f"{day:%a} {day.day} {day:%b %Y}"


def short_day(day: date) -> str:
    return f"{day.day} {day:%b}"


def span(days: Sequence[date]) -> str:
    """Days as ranges in words: "3–5 Nov, 9 Nov". Long lists are counted after three ranges."""
    ranges: list[list[date]] = []
    for day in sorted(set(days)):
        if ranges and (day - ranges[-1][1]).days == 1:
            ranges[-1][1] = day
        else:
            ranges.append([day, day])
    texts = [
        short_day(first)
        if first == last
        else f"{first.day}–{short_day(last)}"
        if (first.year, first.month) == (last.year, last.month)
        else f"{short_day(first)} – {short_day(last)}"
        for first, last in ranges
    ]
    return ", ".join(texts) if len(texts) <= 3 else f"{', '.join(texts[:3])} and {len(texts) - 3} more"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def platform_name(platform: str) -> str:
    return PLATFORMS.get(platform, platform)


def metric_value(metric: str, value: Decimal | None, currency: str | None) -> str:
    if value is None:
        return NOTHING
    if metric in _RATES:
        return f"{value * 100:.2f} %"
    if metric in _AMOUNTS:
        return money(value, currency)
    if metric == "roas":
        return ratio(value)
    return f"{value:,.0f}" if abs(value) >= 20 or value == value.to_integral_value() else f"{value:,.1f}"


def where(row: Mapping[str, Any]) -> str:
    """The entity by its names. Only where no file or platform ever named it does its id stand in.

    Reads level, platform, platform_id, entity_name, campaign_name and account_name of the row.
    """
    level, platform_id = row["level"], str(row["platform_id"])
    if level == "tenant":
        return "All campaigns together"
    name, campaign = row.get("entity_name"), row.get("campaign_name")
    if level == "account":
        return str(name or row.get("account_name") or f"account {platform_id}")
    if not name:
        name = (
            "what no ad set explains"
            if platform_id.endswith("~unattributed")
            else f"{LEVELS[level]} {platform_id}"
        )
    return str(name) if level == "campaign" or not campaign else f"{campaign} › {name}"


def incident_headline(row: Mapping[str, Any]) -> str:
    """What was seen: the metric, what it was, what was expected."""
    metric = METRICS.get(row["metric"], str(row["metric"]).replace("_", " "))
    observed = metric_value(row["metric"], row["observed"], row["currency"])
    expected = metric_value(row["metric"], row["expected"], row["currency"])
    if row["observed"] is None or row["expected"] is None:
        return f"{metric} left its usual range"
    return f"{metric} {observed} against {expected} expected ({change(row['deviation'])})"


def ended(place: str, platform: str, headline: str, first: date, last: date) -> str:
    """One line about an incident that is over."""
    days = f"on {short_day(first)}" if first == last else f"from {short_day(first)} to {short_day(last)}"
    named = place if platform == "all" else f"{place} ({platform_name(platform)})"
    return f"Over again: {named}, {headline}, {days}."


def incident_cause(row: Mapping[str, Any]) -> str:
    """The likely cause, as far as the figures tell. Each type is a conditional quantity, so the type is the cause."""
    kind, metric = row["anomaly_type"], row["metric"]
    if row["level"] == "tenant":
        return "The campaigns moved together: season, a sale, dear auctions or the shop itself, not one campaign."
    if row["is_tracking_outage"]:
        return (
            "Clicks go on but conversions do not arrive: tracking (pixel, tag, checkout) is probably broken."
        )
    if kind == "spend_spike":
        return "It spends more than its history and budget explain: look for a raised limit or a changed bid."
    if kind == "spend_drop":
        if row["observed"] == 0:
            return "It stopped delivering while switched on: check payment, disapproved ads and limits."
        return (
            "It delivers less while switched on: check disapprovals, bids, audience size and learning state."
        )
    if kind == "ctr_drop":
        return "People click less often: the creative may be tired, or the audience or placement changed."
    if kind == "roas_drop":
        return "Each conversion brings less value: look at basket, prices, discounts and product mix."
    if kind == "conversion_drop":
        return "The same clicks bring fewer conversions: look at landing page, stock, price and tracking."
    if metric == "cpm":
        return "Impressions cost more: competition in the auction, a narrower audience or a higher bid."
    if metric == "cpc":
        return "Each click costs more: competition in the auction or a higher bid."
    return "Clicks convert less often at the same price: look at landing page, offer and audience."


def bounds(low: Decimal | None, high: Decimal | None, currency: str | None) -> str:
    if low is None or high is None:
        return ""
    return f"{money(low, currency, estimate=True)} to {money(high, currency, estimate=True)}"


NOT_JUDGED = "Not judged: the daily run did not finish."


def nothing_wrong(is_failed: bool) -> str:
    """The empty list of incidents; after a failed run it means nothing."""
    return NOT_JUDGED if is_failed else "Nothing: every figure is within its usual range."


def nothing_to_change(is_failed: bool) -> str:
    """The empty list of recommendations; after a failed run it means nothing."""
    return NOT_JUDGED if is_failed else "Nothing: no change is worth more than its risk today."
