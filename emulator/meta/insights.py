"""Reports: a query over one account, its lines, and how a line is written.

Grain   one line per object of the level, period and breakdown value that had delivery or an action
Units   money in major units of the account's currency, every scalar as text; percentages 0-100
Window  days of the account's time zone; figures as known at the end of the clock's yesterday there, today's own
        in proportion to the part of the day that is over
Source  `World.ads_known_on`; the events it does not tell come from `facts.py`
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from emulator.meta.actions import OFF_META, Lists, events_of
from emulator.meta.breakdowns import (
    ACTION_BREAKDOWNS,
    ASSET_FIELDS,
    ASSETS,
    HOURLY,
    TYPE_1,
    TYPE_2,
    cells_of,
    is_known,
    is_legal,
)
from emulator.meta.catalog import HIDDEN, AdNode, Catalog, share_of
from emulator.meta.entities import Node, View, kind_of, lookup, optimization_goal
from emulator.meta.errors import error, invalid, unknown_field
from emulator.meta.facts import Facts, facts_of, merged, partial, split, total
from emulator.meta.filters import Filter, filters_of, passes
from emulator.meta.parameters import fields_of, flag, list_of, objects_of
from emulator.meta.periods import FREQUENCY_MONTHS, REACH_MONTHS, Period, months_before, periods_of
from emulator.world import Account, AdDay, World

LEVELS = ("account", "campaign", "adset", "ad")
ATTRIBUTION = "7d_click_1d_view"
# The last two kinds are accepted and silent; the sequenced ones and the models have no figures here.
ATTRIBUTION_WINDOWS = frozenset(
    {
        "1d_click", "7d_click", "28d_click", "1d_view", "1d_ev", "default", "dda", "incrementality", "7d_view",
        "28d_view",
    }
)  # fmt: skip
_REMEMBERED_DAYS = 1500
_UNIQUE_FIELDS = frozenset(
    {"unique_clicks", "unique_ctr", "unique_inline_link_clicks", "cost_per_unique_click", "unique_actions",
     "unique_outbound_clicks"}
)  # fmt: skip
_REACH_FIELDS = frozenset({"reach", "frequency", "cpp"})
_ROAS = {
    "purchase_roas": "omni_purchase",
    "website_purchase_roas": "offsite_conversion.fb_pixel_purchase",
    "mobile_app_purchase_roas": "app_custom_event.fb_mobile_purchase",
}
_VIDEO_SHARES = {
    "video_play_actions": 0.0, "video_continuous_2_sec_watched_actions": 1.35, "video_15_sec_watched_actions": 0.3,
    "video_30_sec_watched_actions": 0.12, "video_thruplay_watched_actions": 0.28, "video_p25_watched_actions": 0.6,
    "video_p50_watched_actions": 0.38, "video_p75_watched_actions": 0.25, "video_p95_watched_actions": 0.17,
    "video_p100_watched_actions": 0.14,
}  # fmt: skip
_LIST_FIELDS = frozenset(
    {
        "actions", "action_values", "unique_actions", "cost_per_action_type", "conversions", "conversion_values",
        "cost_per_conversion", "results", "cost_per_result", "inline_post_engagement", *_ROAS, *_VIDEO_SHARES,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Query:
    """A checked report query. `node` null means the whole account."""

    node: Node | None
    level: str
    fields: tuple[str, ...]
    periods: tuple[Period, ...]
    breakdowns: tuple[str, ...]
    action_breakdowns: tuple[str, ...]
    windows: tuple[str, ...]
    filters: tuple[Filter, ...]
    sort: str
    summary: tuple[str, ...]

    @property
    def first_day(self) -> date:
        """The first day asked for."""
        return min(period.start for period in self.periods)

    @property
    def last_day(self) -> date:
        """The last day asked for."""
        return max(period.stop for period in self.periods)


def query_of(
    parameters: Mapping[str, str], node: Node | None, today: date, *, is_async: bool = False
) -> Query:
    """Check the parameters. Raises MetaError with the code that the mistake has."""
    own = "account" if node is None else kind_of(node)
    level = parameters.get("level", "").strip().strip('"') or own
    if level not in LEVELS or LEVELS.index(level) < LEVELS.index(own):
        raise invalid(f"Param level can't be {level} on this object.")
    periods = periods_of(parameters, today)
    fields = [each.name for each in fields_of(parameters.get("fields"))]
    if not fields:
        fields = ["account_id", *_level_ids(level), "impressions", "spend"]
    breakdowns = list_of(parameters.get("breakdowns"), "breakdowns")
    action_breakdowns = list_of(parameters.get("action_breakdowns"), "action_breakdowns")
    _check_fields(fields, breakdowns)
    _check_breakdowns(breakdowns, action_breakdowns, is_async=is_async)
    windows = list_of(parameters.get("action_attribution_windows"), "action_attribution_windows")
    for name in windows:
        if name not in ATTRIBUTION_WINDOWS:
            raise invalid(f"Param action_attribution_windows can't hold {name}.")
    sort = list_of(parameters.get("sort"), "sort")
    if len(sort) > 1 or (sort and not sort[0].endswith(("_ascending", "_descending"))):
        raise invalid("Param sort takes one <field>_ascending or <field>_descending.")
    filters = filters_of(objects_of(parameters.get("filtering"), "filtering"))
    for each in filters:
        _check_filter(each, level)
    summary = (
        list_of(parameters.get("summary"), "summary")
        if parameters.get("summary") not in ("true", "1")
        else []
    )
    if not summary and flag(parameters.get("default_summary")):
        summary = [name for name in fields if name in SCALARS]
    return Query(
        node=node,
        level=level,
        fields=tuple(fields),
        periods=tuple(periods),
        breakdowns=tuple(breakdowns),
        action_breakdowns=tuple(action_breakdowns),
        windows=tuple(windows),
        filters=tuple(filters),
        sort=sort[0] if sort else "",
        summary=tuple(summary),
    )


def _level_ids(level: str) -> list[str]:
    return [f"{each}_id" for each in LEVELS[1 : LEVELS.index(level) + 1]]


def _check_fields(fields: Sequence[str], breakdowns: Sequence[str]) -> None:
    for name in fields:
        if name not in FIELDS:
            raise unknown_field(name, "AdsInsights")
    if "region" in breakdowns and any(name.startswith("video_p") for name in fields):
        raise invalid("Video percentages can't be broken down by region.")
    if HOURLY & set(breakdowns) and _UNIQUE_FIELDS & set(fields):
        raise invalid("Unique metrics can't be broken down by hour.")
    if ASSETS & set(breakdowns):
        strange = set(fields) & (set(SCALARS) | _LIST_FIELDS) - ASSET_FIELDS
        if strange:
            raise invalid(f"Asset breakdowns don't have {', '.join(sorted(strange))}.")


def _check_breakdowns(breakdowns: list[str], action_breakdowns: list[str], *, is_async: bool) -> None:
    for name in breakdowns:
        if not is_known(name):
            raise invalid(f"Param breakdowns can't hold {name}.")
    for name in action_breakdowns:
        if name not in ACTION_BREAKDOWNS:
            raise invalid(f"Param action_breakdowns can't hold {name}.")
    if not is_legal(breakdowns, action_breakdowns):
        names = ", ".join(sorted([*breakdowns, *action_breakdowns]))
        message = f"Combination of breakdowns is invalid: {names}"
        raise error("invalid_breakdowns", message) if is_async else invalid(message)


def _check_filter(condition: Filter, level: str) -> None:
    if condition.field in METRICS and condition.level in ("", level):
        return
    if not condition.level or condition.field in METRICS or condition.field not in _ATTRIBUTES:
        raise invalid(f"Filtering field {condition.level}.{condition.field} is not valid at level {level}.")


_ATTRIBUTES = frozenset(
    {"id", "name", "status", "configured_status", "effective_status", "created_time", "updated_time", "objective",
     "buying_type", "optimization_goal", "bid_strategy"}
)  # fmt: skip


@dataclass
class Line:
    """One line of a report before it is written. `facts` is set for a breakdown's cell; all others sum their
    members when they are written, so that a long report stays small.
    """

    key: str
    period: Period
    members: list[AdDay]
    cell: tuple[str | None, ...] = ()
    facts: Facts | None = None


@dataclass
class Report:
    """A query's lines, computed; they are written page by page."""

    query: Query
    view: View
    lines: list[Line]
    keeps_old_reach: bool = False
    lists: Lists = field(init=False)

    def __post_init__(self) -> None:
        account = self.view.catalog.account
        domain = next((run.tenant.shop.domain for run in _runs(self.view.catalog)), None)
        self.lists = Lists(self.query.windows, self.query.action_breakdowns, domain or account.name)
        self._with_events = bool(_LIST_FIELDS & {*self.query.fields, *self.query.summary})

    def facts(self, line: Line) -> Facts:
        """The line's sums."""
        if line.facts is not None:
            return line.facts
        parts = [facts_of(row, with_events=self._with_events) for row in line.members]
        return parts[0] if len(parts) == 1 else merged(parts)

    def write(self, start: int, stop: int) -> list[dict[str, Any]]:
        """The lines from `start` up to, not including, `stop`."""
        return [self._write(line) for line in self.lines[start:stop]]

    def summary(self) -> dict[str, Any]:
        """The sums over all lines."""
        facts = merged(self.facts(line) for line in self.lines)
        period = Period(self.query.first_day, self.query.last_day)
        return self._values(Line("", period, []), facts, self.query.summary)

    def sort(self) -> None:
        """By the query's `sort`, else by day and object."""
        if not self.query.sort:
            self.lines.sort(key=_place)
            return
        name, _, direction = self.query.sort.rpartition("_")
        if name not in METRICS:
            raise invalid(f"Can't sort by {name}.")
        metric = METRICS[name]
        self.lines.sort(key=lambda line: metric(self.facts(line)) or 0.0, reverse=direction == "descending")

    def _write(self, line: Line) -> dict[str, Any]:
        facts = self.facts(line)
        found = self._values(line, facts, self.query.fields)
        found["date_start"], found["date_stop"] = line.period.start.isoformat(), line.period.stop.isoformat()
        for name, value in zip(self.query.breakdowns, line.cell, strict=False):
            if value is not None:
                found[name] = value
        return found

    def _values(self, line: Line, facts: Facts, names: Sequence[str]) -> dict[str, Any]:
        found = {}
        today = self.view.now.astimezone(self.view.catalog.zone).date()
        is_old = line.period.start < months_before(today, REACH_MONTHS)
        hides_reach = bool(self.query.breakdowns) and not self.keeps_old_reach
        for name in names:
            if is_old and (name in _UNIQUE_FIELDS or (hides_reach and name in _REACH_FIELDS)):
                continue
            value = FIELDS[name](self, line, facts)
            if value is not None and value != []:
                found[name] = value
        return found


def _place(line: Line) -> tuple[Any, ...]:
    return line.period.start, line.period.stop, line.key, [value or "" for value in line.cell]


def _runs(catalog: Catalog) -> Iterator[Any]:
    for campaign in catalog.campaigns.values():
        yield campaign.run


# values of a line

Value = Callable[[Report, Line, Facts], Any]
SCALARS: dict[str, Callable[[Facts], float | int | None]] = {
    "impressions": lambda facts: facts.impressions,
    "clicks": lambda facts: facts.clicks,
    "reach": lambda facts: facts.reach,
    "frequency": lambda facts: facts.impressions / facts.reach if facts.reach else 0.0,
    "inline_link_clicks": lambda facts: facts.link_clicks or None,
    "unique_clicks": lambda facts: facts.unique_clicks or None,
    "unique_inline_link_clicks": lambda facts: facts.unique_link_clicks or None,
    "ctr": lambda facts: 100 * facts.clicks / facts.impressions if facts.impressions else None,
    "inline_link_click_ctr": lambda facts: (
        100 * facts.link_clicks / facts.impressions if facts.impressions and facts.link_clicks else None
    ),
    "unique_ctr": lambda facts: 100 * facts.unique_clicks / facts.reach if facts.reach else None,
    "cpc": lambda facts: facts.spend / 1e6 / facts.clicks if facts.clicks else None,
    "cpm": lambda facts: facts.spend / 1e3 / facts.impressions if facts.impressions else None,
    "cpp": lambda facts: facts.spend / 1e3 / facts.reach if facts.reach else None,
    "cost_per_inline_link_click": lambda facts: (
        facts.spend / 1e6 / facts.link_clicks if facts.link_clicks else None
    ),
    "cost_per_unique_click": lambda facts: (
        facts.spend / 1e6 / facts.unique_clicks if facts.unique_clicks else None
    ),
    "full_view_impressions": lambda facts: int(facts.impressions * 0.62) or None,
    "full_view_reach": lambda facts: int(facts.reach * 0.66) or None,
    "estimated_ad_recallers": lambda facts: None,
    "inline_post_engagement": lambda facts: total(events_of(facts).get("post_engagement", [0] * 5)) or None,
}
METRICS: dict[str, Callable[[Facts], float | int | None]] = {
    **SCALARS,
    "spend": lambda facts: facts.spend / 1e6,
}


def _text(value: float | int | None) -> str | None:
    if value is None:
        return None
    return str(value) if isinstance(value, int) else f"{value:.6f}" if value else "0"


def _scalar(name: str) -> Value:
    compute = SCALARS[name]
    return lambda report, line, facts: _text(compute(facts))


def _money(micros: int) -> str:
    return f"{micros // 1_000_000}.{micros // 10_000 % 100:02d}" if micros else "0"


def _object(report: Report, line: Line, kind: str) -> Any:
    """The campaign, ad set or ad of a line; null above its level."""
    if not line.members or LEVELS.index(kind) > LEVELS.index(report.query.level):
        return None
    ad = report.view.catalog.ads[line.members[0].ad_id or ""]
    return {"ad": ad, "adset": ad.adset, "campaign": ad.adset.campaign}[kind]


def _of(kind: str, name: str) -> Value:
    def value(report: Report, line: Line, facts: Facts) -> Any:
        node = _object(report, line, kind)
        return None if node is None else str(lookup(report.view, node, name))

    return value


def _day(name: str) -> Value:
    def value(report: Report, line: Line, facts: Facts) -> Any:
        node = _object(report, line, report.query.level) if report.query.level != "account" else None
        if node is None:
            return None
        catalog = report.view.catalog
        return (catalog.created(node) if name == "created_time" else catalog.updated(node)).date().isoformat()

    return value


def _video(share: float) -> Value:
    def value(report: Report, line: Line, facts: Facts) -> Any:
        if share == 0.0:
            return report.lists.one("video_view", facts.plays)
        return report.lists.one("video_view", int(total(facts.events.get("video_view", [0] * 5)) * share))

    return value


def _outbound(facts: Facts) -> int:
    return facts.link_clicks - facts.link_clicks // 33


def _rate(action_type: str, figure: float) -> list[dict[str, str]]:
    return [{"action_type": action_type, "value": f"{figure:.6f}"}] if figure else []


def _ranking(name: str) -> Value:
    words = (
        "ABOVE_AVERAGE",
        "AVERAGE",
        "AVERAGE",
        "BELOW_AVERAGE_35",
        "BELOW_AVERAGE_20",
        "BELOW_AVERAGE_10",
    )

    def value(report: Report, line: Line, facts: Facts) -> Any:
        if report.query.level != "ad":
            return None
        return "UNKNOWN" if facts.impressions < 500 else words[int(share_of(name, line.key) * len(words))]

    return value


def _result(report: Report, line: Line, facts: Facts) -> tuple[str, int]:
    """Indicator and count of what the campaign is after."""
    types = events_of(facts)
    names = ("offsite_conversion.fb_pixel_purchase", "offsite_conversion.fb_pixel_lead")
    is_lead = bool(line.members) and line.members[0].conversion_event == "lead"
    name = names[1] if is_lead else names[0]
    return f"actions:{name}", total(types.get(name, [0] * 5))


def _results(report: Report, line: Line, facts: Facts) -> Any:
    if report.query.level == "account":
        return None
    indicator, count = _result(report, line, facts)
    found: dict[str, Any] = {"indicator": indicator}
    if count:
        found["values"] = [{"value": str(count), "attribution_windows": ["default"]}]
    return [found]


def _cost_per_result(report: Report, line: Line, facts: Facts) -> Any:
    if report.query.level == "account":
        return None
    indicator, count = _result(report, line, facts)
    if not count:
        return [{"indicator": indicator}]
    cost = f"{facts.spend / 1e6 / count:.6f}"
    return [{"indicator": indicator, "values": [{"value": cost, "attribution_windows": ["default"]}]}]


def _conversion_costs(report: Report, line: Line, facts: Facts) -> Any:
    return [
        {"action_type": each["action_type"], "value": f"{facts.spend / 1e6 / int(each['value']):.6f}"}
        for each in report.lists.conversions(facts)
        if int(each["value"])
    ]


def _roas(name: str) -> Value:
    return lambda report, line, facts: report.lists.roas(facts, _ROAS[name])


FIELDS: dict[str, Value] = {
    "account_id": lambda report, line, facts: report.view.catalog.account.account_id,
    "account_name": lambda report, line, facts: report.view.catalog.account.name,
    "account_currency": lambda report, line, facts: report.view.catalog.account.currency,
    "campaign_id": _of("campaign", "id"),
    "campaign_name": _of("campaign", "name"),
    "adset_id": _of("adset", "id"),
    "adset_name": _of("adset", "name"),
    "ad_id": _of("ad", "id"),
    "ad_name": _of("ad", "name"),
    "objective": _of("campaign", "objective"),
    "buying_type": lambda report, line, facts: "AUCTION",
    "optimization_goal": lambda report, line, facts: (
        None if (adset := _object(report, line, "adset")) is None else optimization_goal(adset)
    ),
    "attribution_setting": lambda report, line, facts: ATTRIBUTION,
    "created_time": _day("created_time"),
    "updated_time": _day("updated_time"),
    "date_start": lambda report, line, facts: line.period.start.isoformat(),
    "date_stop": lambda report, line, facts: line.period.stop.isoformat(),
    "spend": lambda report, line, facts: _money(facts.spend),
    "social_spend": lambda report, line, facts: _money(facts.spend // 40 // 10_000 * 10_000),
    **{name: _scalar(name) for name in SCALARS},
    "outbound_clicks": lambda report, line, facts: report.lists.one("outbound_click", _outbound(facts)),
    "unique_outbound_clicks": lambda report, line, facts: report.lists.one(
        "outbound_click", min(_outbound(facts), facts.unique_link_clicks)
    ),
    "outbound_clicks_ctr": lambda report, line, facts: _rate(
        "outbound_click", 100 * _outbound(facts) / facts.impressions if facts.impressions else 0.0
    ),
    "cost_per_outbound_click": lambda report, line, facts: _rate(
        "outbound_click", facts.spend / 1e6 / _outbound(facts) if _outbound(facts) else 0.0
    ),
    "website_ctr": lambda report, line, facts: _rate(
        "link_click", 100 * facts.link_clicks / facts.impressions if facts.impressions else 0.0
    ),
    "actions": lambda report, line, facts: report.lists.actions(facts),
    "action_values": lambda report, line, facts: report.lists.values(facts),
    "unique_actions": lambda report, line, facts: report.lists.unique(facts),
    "cost_per_action_type": lambda report, line, facts: report.lists.costs(facts),
    "conversions": lambda report, line, facts: report.lists.conversions(facts),
    "conversion_values": lambda report, line, facts: None,
    "cost_per_conversion": _conversion_costs,
    **{name: _roas(name) for name in _ROAS},
    **{name: _video(share) for name, share in _VIDEO_SHARES.items()},
    "video_avg_time_watched_actions": lambda report, line, facts: (
        report.lists.one("video_view", facts.play_seconds // facts.plays) if facts.plays else None
    ),
    "quality_ranking": _ranking("quality"),
    "engagement_rate_ranking": _ranking("engagement"),
    "conversion_rate_ranking": _ranking("conversion"),
    "results": _results,
    "cost_per_result": _cost_per_result,
}


# computing


class Days:
    """The world's rows by account and day as known at a moment, remembered for a while."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: OrderedDict[tuple[str, date, date], list[AdDay]] = OrderedDict()

    def rows(self, account: Account, day: date, now: datetime) -> list[AdDay]:
        """Rows of one day; of today, the part that is over; of later days none."""
        local = now.astimezone(ZoneInfo(account.timezone))
        today = local.date()
        if day > today:
            return []
        if day == today:
            midnight = datetime.combine(today, time(), local.tzinfo)
            share = (local - midnight).total_seconds() / 86_400
            rows = [partial(row, share) for row in self._of(account, day, day)]
            return [row for row in rows if row.impressions]
        return self._of(account, day, today - timedelta(days=1))

    def _of(self, account: Account, day: date, known_on: date) -> list[AdDay]:
        key = (account.account_id, day, known_on)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._world.ads_known_on(account, day, known_on)
            if len(self._known) > _REMEMBERED_DAYS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found


def report_of(query: Query, view: View, days: Days) -> Report:
    """Compute the lines of a query."""
    catalog, account = view.catalog, view.catalog.account
    today = view.now.astimezone(catalog.zone).date()
    attributes = [each for each in query.filters if each.field not in METRICS]
    hidden_level = query.level
    if query.level == "account" or any(
        each.level == query.level and each.field == "effective_status" for each in attributes
    ):
        hidden_level = ""
    shown: dict[str, bool] = {}

    def is_shown(ad_id: str | None) -> bool:
        found = shown.get(ad_id or "")
        if found is None:
            ad = catalog.ads.get(ad_id or "")
            found = shown[ad_id or ""] = ad is not None and _is_shown(
                ad, query, view, hidden_level, attributes
            )
        return found

    lines: dict[tuple[str, Period], Line] = {}
    oldest = World.origin
    if HOURLY & set(query.breakdowns):
        oldest = max(oldest, months_before(today, REACH_MONTHS))
    if "frequency_value" in query.breakdowns:
        oldest = max(oldest, months_before(today, FREQUENCY_MONTHS))
    for period in query.periods:
        day = max(period.start, oldest)
        while day <= min(period.stop, today):
            for row in days.rows(account, day, view.now):
                if not is_shown(row.ad_id):
                    continue
                key = _key(row, query.level)
                line = lines.get((key, period))
                if line is None:
                    lines[(key, period)] = Line(key, period, [row])
                else:
                    line.members.append(row)
            day += timedelta(days=1)
    report = Report(query, view, list(lines.values()))
    if query.breakdowns:
        report.lines = [cell for line in report.lines for cell in _broken_down(line, query, view)]
    for condition in query.filters:
        if condition.field in METRICS:
            metric = METRICS[condition.field]
            report.lines = [line for line in report.lines if passes(condition, metric(report.facts(line)))]
    report.sort()
    return report


def _key(row: AdDay, level: str) -> str:
    keys = {
        "account": row.account_id,
        "campaign": row.campaign_id,
        "adset": row.adset_id,
        "ad": row.ad_id or "",
    }
    return keys[level]


def _is_shown(ad: AdNode, query: Query, view: View, hidden_level: str, attributes: list[Filter]) -> bool:
    chain: dict[str, Node] = {"ad": ad, "adset": ad.adset, "campaign": ad.adset.campaign}
    if query.node is not None:
        kind = kind_of(query.node)
        if chain[kind].id != query.node.id:
            return False
        if kind == hidden_level:
            hidden_level = ""
    if hidden_level and lookup(view, chain[hidden_level], "effective_status") in HIDDEN:
        return False
    for condition in attributes:
        if condition.level == "account":
            continue
        if not passes(condition, lookup(view, chain[condition.level], condition.field)):
            return False
    return True


def _broken_down(line: Line, query: Query, view: View) -> list[Line]:
    """The line's cells; cells without delivery or action are no line."""
    names = set(query.breakdowns)
    country = {"America/Toronto": "CA", "Europe/Berlin": "DE"}.get(view.catalog.account.timezone, "US")
    gathered: dict[tuple[str | None, ...], list[Facts]] = {}
    for row in line.members:
        facts = facts_of(row)
        off_meta = Facts()
        if names & (TYPE_1 | TYPE_2):
            off_meta = _take_off_meta(facts)
        cells = cells_of(query.breakdowns, row.ad_id or "", country)
        parts = split(facts, [weight for _, weight in cells])
        for (values, _), part in zip(cells, parts, strict=True):
            gathered.setdefault(values, []).append(part)
        if names & TYPE_2:
            gathered.setdefault(tuple(None for _ in query.breakdowns), []).append(off_meta)
    found = []
    for cell, parts in gathered.items():
        facts = parts[0] if len(parts) == 1 else merged(parts)
        if names & HOURLY:
            facts.reach = 0
        if not facts.is_nothing:
            found.append(Line(line.key, line.period, line.members, cell, facts))
    return found


def _take_off_meta(facts: Facts) -> Facts:
    """Take what happened off the platform out of the facts and give it back."""
    taken = Facts()
    for name in ("events", "amounts"):
        mine, theirs = getattr(facts, name), getattr(taken, name)
        for key in [key for key in mine if key in OFF_META]:
            theirs[key] = mine.pop(key)
    return taken
