"""Accounts, campaigns, ad sets, ads and creatives as the API shows them: one table of fields per kind of object.

Budgets are integers in minor units, as text (`bid_amount` is a JSON integer); ids are text; times carry the offset
of the account's time zone without a colon. A field without a value is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from emulator.meta.catalog import (
    AdNode,
    AdSetNode,
    CampaignNode,
    Catalog,
    CreativeNode,
    minor_units,
    number_of,
    share_of,
)
from emulator.meta.errors import unknown_field
from emulator.meta.parameters import Wanted

Node = CampaignNode | AdSetNode | AdNode | CreativeNode


@dataclass(frozen=True)
class View:
    """What rendering an object needs to know besides the object."""

    catalog: Catalog
    now: datetime
    base: str
    overrides: Mapping[str, Mapping[str, Any]]
    is_suspended: bool = False


def stamp(moment: datetime) -> str:
    """2026-10-14T09:21:05-0700"""
    return moment.strftime("%Y-%m-%dT%H:%M:%S%z")


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in minor units of the currency."""
    return int((amount * minor_units(currency)).to_integral_value())


# accounts


def account_id(view: View) -> str:
    """The account's node id."""
    return f"act_{view.catalog.account.account_id}"


def business_of(tenant_id: str, name: str) -> dict[str, str]:
    """The business that owns a tenant's accounts."""
    return {"id": number_of("business", tenant_id), "name": name}


def _business(view: View) -> dict[str, str]:
    tenant_id = view.catalog.account.tenant_id
    tenant = next(each for each in view.catalog.world.tenants if each.tenant_id == tenant_id)
    return business_of(tenant_id, tenant.name)


def _spent(view: View, first: date) -> str:
    """Spend from a day up to the last known one, in minor units."""
    catalog = view.catalog
    total, day = Decimal(0), first
    while day <= catalog.as_of:
        total += sum(
            (row.spend for row in catalog.world.ads_known_on(catalog.account, day, catalog.as_of)), Decimal(0)
        )
        day += timedelta(days=1)
    return str(to_minor(total, catalog.account.currency))


def _offset(view: View) -> float:
    offset = view.now.astimezone(view.catalog.zone).utcoffset() or timedelta()
    return offset.total_seconds() / 3600


_ZONE_IDS = {
    "America/Los_Angeles": 1, "America/New_York": 7, "America/Toronto": 34, "Europe/Berlin": 47, "Europe/London": 58,
    "Asia/Tokyo": 79,
}  # fmt: skip

ACCOUNT: dict[str, Callable[[View], Any]] = {
    "id": account_id,
    "account_id": lambda view: view.catalog.account.account_id,
    "name": lambda view: view.catalog.account.name,
    "account_status": lambda view: 2 if view.is_suspended else 1,
    "disable_reason": lambda view: 1 if view.is_suspended else 0,
    "currency": lambda view: view.catalog.account.currency,
    "timezone_id": lambda view: _ZONE_IDS.get(view.catalog.account.timezone, 150),
    "timezone_name": lambda view: view.catalog.account.timezone,
    "timezone_offset_hours_utc": _offset,
    # The advertiser resets the cap, and with it the amount, on the first of each month.
    "amount_spent": lambda view: _spent(view, view.catalog.as_of.replace(day=1)),
    "balance": lambda view: _spent(view, view.catalog.as_of - timedelta(days=view.catalog.as_of.weekday())),
    "spend_cap": lambda view: "0",
    "business": _business,
    "owner": lambda view: _business(view)["id"],
    "created_time": lambda view: stamp(view.catalog.moment(date(2023, 11, 6), account_id(view))),
    "funding_source": lambda view: number_of("funding", view.catalog.account.account_id),
    "age": lambda view: float((view.catalog.as_of - date(2023, 11, 6)).days),
}

# campaigns

_BUDGET_UNSET = 0.5


def _campaign_budget(view: View, node: CampaignNode) -> str | None:
    if node.has_adset_budgets:
        return None
    return str(to_minor(node.record.daily_budget, view.catalog.account.currency))


def _remaining(view: View, budget: str | None, *key: str) -> str | None:
    return None if budget is None else str(int(int(budget) * share_of("remaining", view.catalog.as_of, *key)))


def _bid_strategy(node: CampaignNode) -> str:
    if node.record.target_roas is not None:
        return "LOWEST_COST_WITH_MIN_ROAS"
    return "LOWEST_COST_WITHOUT_CAP" if node.record.target_cpa is None else "COST_CAP"


def _stop(view: View, node: CampaignNode) -> str | None:
    if node.record.end_day is None:
        return None
    return stamp(view.catalog.midnight(node.record.end_day))


CAMPAIGN: dict[str, Callable[[View, CampaignNode], Any]] = {
    "id": lambda view, node: node.id,
    "name": lambda view, node: node.record.name,
    "account_id": lambda view, node: node.record.account_id,
    "objective": lambda view, node: node.record.objective,
    "status": lambda view, node: node.status,
    "configured_status": lambda view, node: node.status,
    "effective_status": lambda view, node: node.effective_status,
    "buying_type": lambda view, node: "AUCTION",
    "bid_strategy": lambda view, node: None if node.has_adset_budgets else _bid_strategy(node),
    "daily_budget": _campaign_budget,
    "lifetime_budget": lambda view, node: "0" if share_of("unset", node.id) < _BUDGET_UNSET else None,
    "budget_remaining": lambda view, node: _remaining(view, _campaign_budget(view, node), node.id) or "0",
    "spend_cap": lambda view, node: None,
    "special_ad_categories": lambda view, node: [],
    "start_time": lambda view, node: stamp(view.catalog.midnight(node.record.start_day)),
    "stop_time": _stop,
    "created_time": lambda view, node: stamp(view.catalog.created(node)),
    "updated_time": lambda view, node: stamp(view.catalog.updated(node)),
    "smart_promotion_type": lambda view, node: "GUIDED_CREATION",
    "source_campaign_id": lambda view, node: "0",
    "pacing_type": lambda view, node: ["standard"],
    "issues_info": lambda view, node: None,
    "is_adset_budget_sharing_enabled": lambda view, node: False,
}

# ad sets


def adset_budget(view: View, node: AdSetNode) -> str | None:
    """An equal share of the campaign's budget; the first ad set takes what does not divide."""
    if not node.campaign.has_adset_budgets:
        return None if share_of("unset", node.id) < _BUDGET_UNSET else "0"
    whole = to_minor(node.campaign.record.daily_budget, view.catalog.account.currency)
    count = len(node.campaign.run.plan.sets)
    return str(whole // count + (whole % count if node.index == 0 else 0))


def _bid_amount(view: View, node: AdSetNode) -> int | None:
    target = node.campaign.record.target_cpa
    return None if target is None else to_minor(target, view.catalog.account.currency)


def _bid_constraints(view: View, node: AdSetNode) -> dict[str, int] | None:
    target = node.campaign.record.target_roas
    return None if target is None else {"roas_average_floor": int(target * 10_000)}


def _promoted(view: View, node: AdSetNode) -> dict[str, str]:
    event = "LEAD" if node.campaign.run.plan.is_lead else "PURCHASE"
    return {"pixel_id": number_of("pixel", view.catalog.account.account_id), "custom_event_type": event}


def optimization_goal(node: AdSetNode) -> str:
    """What the ad set is optimised for."""
    return "OFFSITE_CONVERSIONS"


def _targeting(view: View, node: AdSetNode) -> dict[str, Any]:
    countries = {"America/Toronto": "CA", "Europe/Berlin": "DE", "Europe/London": "GB"}
    country = countries.get(view.catalog.account.timezone, "US")
    return {
        "age_min": 18 + int(share_of("age", node.id) * 3) * 7,
        "age_max": 65,
        "geo_locations": {"countries": [country], "location_types": ["home", "recent"]},
        "targeting_automation": {"advantage_audience": 1},
    }


_ATTRIBUTION_SPEC = [
    {"event_type": "CLICK_THROUGH", "window_days": 7},
    {"event_type": "VIEW_THROUGH", "window_days": 1},
]

ADSET: dict[str, Callable[[View, AdSetNode], Any]] = {
    "id": lambda view, node: node.id,
    "name": lambda view, node: node.name,
    "account_id": lambda view, node: view.catalog.account.account_id,
    "campaign_id": lambda view, node: node.campaign.id,
    "campaign": lambda view, node: node.campaign,
    "status": lambda view, node: node.status,
    "configured_status": lambda view, node: node.status,
    "effective_status": lambda view, node: node.effective_status,
    "daily_budget": adset_budget,
    "lifetime_budget": lambda view, node: "0",
    "budget_remaining": lambda view, node: _remaining(view, adset_budget(view, node), node.id) or "0",
    "bid_strategy": lambda view, node: _bid_strategy(node.campaign),
    "bid_amount": _bid_amount,
    "bid_info": lambda view, node: None,
    "bid_constraints": _bid_constraints,
    "billing_event": lambda view, node: "IMPRESSIONS",
    "optimization_goal": lambda view, node: optimization_goal(node),
    "optimization_sub_event": lambda view, node: "NONE",
    "attribution_spec": lambda view, node: _ATTRIBUTION_SPEC,
    "promoted_object": _promoted,
    "destination_type": lambda view, node: "WEBSITE",
    "targeting": _targeting,
    "start_time": lambda view, node: stamp(view.catalog.midnight(node.campaign.record.start_day)),
    "end_time": lambda view, node: _stop(view, node.campaign),
    "created_time": lambda view, node: stamp(view.catalog.created(node)),
    "updated_time": lambda view, node: stamp(view.catalog.updated(node)),
    "learning_stage_info": lambda view, node: view.catalog.learning(node),
    "is_dynamic_creative": lambda view, node: False,
    "issues_info": lambda view, node: None,
}

# ads

AD: dict[str, Callable[[View, AdNode], Any]] = {
    "id": lambda view, node: node.id,
    "name": lambda view, node: node.name,
    "account_id": lambda view, node: view.catalog.account.account_id,
    "campaign_id": lambda view, node: node.adset.campaign.id,
    "campaign": lambda view, node: node.adset.campaign,
    "adset_id": lambda view, node: node.adset.id,
    "adset": lambda view, node: node.adset,
    "creative": lambda view, node: node.creative,
    "status": lambda view, node: node.status,
    "configured_status": lambda view, node: node.status,
    "effective_status": lambda view, node: node.effective_status,
    "bid_amount": lambda view, node: None,
    "tracking_specs": lambda view, node: [
        {
            "action.type": ["offsite_conversion"],
            "fb_pixel": [number_of("pixel", view.catalog.account.account_id)],
        }
    ],
    "conversion_specs": lambda view, node: [{"action.type": ["offsite_conversion"]}],
    "created_time": lambda view, node: stamp(view.catalog.created(node)),
    "updated_time": lambda view, node: stamp(view.catalog.updated(node)),
    "source_ad_id": lambda view, node: "0",
    "preview_shareable_link": lambda view, node: f"{view.base}/preview/{node.id}",
    "conversion_domain": lambda view, node: node.adset.campaign.run.tenant.shop.domain,
    "ad_active_time": lambda view, node: str(
        max(0, view.catalog.as_of.toordinal() - node.ad.first + 1) * 86_400
    ),
    "ad_schedule_start_time": lambda view, node: None,
    "ad_schedule_end_time": lambda view, node: None,
    "issues_info": lambda view, node: None,
}

# creatives

_URL_TAGS = (
    "utm_source=facebook&utm_medium=paid_social&utm_campaign={{campaign.id}}&utm_term={{adset.id}}"
    "&utm_content={{ad.id}}"
)
_TEXTS = {
    "outdoor": "{title}: made for wet trails and cold mornings.",
    "home": "{title} – für Räume, in denen man gerne bleibt.",
    "beauty": "{title}. Short list of ingredients, long list of reviews.",
}
# Where the address stands differs from creative to creative, as it does in real accounts.
_SHAPES = ("link_data", "video_data", "template_data", "asset_feed", "link_url")


def _title(node: CreativeNode) -> str:
    return node.ad.adset.campaign.run.tenant.products[node.ad.ad.product].title


def landing_page(node: CreativeNode) -> str:
    """The product page that the ad leads to."""
    tenant = node.ad.adset.campaign.run.tenant
    return f"https://{tenant.shop.domain}/products/{tenant.products[node.ad.ad.product].slug}"


def shape_of(node: CreativeNode) -> str:
    """Which part of the creative holds the address."""
    if is_video(node.ad):
        return "video_data"
    return _SHAPES[int(share_of("shape", node.id) * len(_SHAPES))]


def is_video(ad: AdNode) -> bool:
    """True for formats that play."""
    return "Video" in ad.name or "Reel" in ad.name


def _call_to_action(node: CreativeNode) -> str:
    return "SIGN_UP" if node.ad.adset.campaign.run.plan.is_lead else "SHOP_NOW"


def _body(node: CreativeNode) -> str:
    tenant = node.ad.adset.campaign.run.tenant.tenant
    return _TEXTS.get(tenant.key, "{title}.").format(title=_title(node))


def _has_tags(node: CreativeNode) -> bool:
    return share_of("tags", node.id) < 0.8


def _address(node: CreativeNode) -> str:
    """Without url_tags, the address carries the parameters itself."""
    return landing_page(node) if _has_tags(node) else f"{landing_page(node)}?{_URL_TAGS}"


def _story(view: View, node: CreativeNode) -> dict[str, Any] | None:
    shape, page = shape_of(node), number_of("page", view.catalog.account.tenant_id)
    action = {"type": _call_to_action(node), "value": {"link": _address(node)}}
    content: dict[str, Any]
    if shape == "link_data":
        content = {"link_data": {"link": _address(node), "message": _body(node), "name": _title(node)}}
        if "Carousel" in node.ad.name:
            content["link_data"]["child_attachments"] = [
                {"link": _address(node), "name": f"{_title(node)} {number}"} for number in (1, 2, 3)
            ]
    elif shape == "video_data":
        content = {
            "video_data": {
                "video_id": number_of("video", node.id),
                "message": _body(node),
                "title": _title(node),
                "call_to_action": action,
            }
        }
    elif shape == "template_data":
        content = {"template_data": {"link": _address(node), "message": _body(node), "name": _title(node)}}
    elif shape == "asset_feed":
        content = {}
    else:
        return None
    return {"page_id": page, **content}


def _feed(view: View, node: CreativeNode) -> dict[str, Any] | None:
    if shape_of(node) != "asset_feed":
        return None
    return {
        "bodies": [{"text": _body(node)}],
        "titles": [{"text": _title(node)}],
        "link_urls": [{"website_url": _address(node)}],
        "call_to_action_types": [_call_to_action(node)],
    }


def _picture(view: View, node: CreativeNode, size: str) -> str:
    """A signed address that is another one every hour: neither key nor sign of a change."""
    hour = int(view.now.timestamp()) // 3600
    seal = number_of("picture", node.id, size, hour, digits=12)
    return f"{view.base}/cdn/{node.id}_{size}.svg?oh={seal}&oe={hour * 3600 + 86_400:x}"


def _video(node: CreativeNode) -> str | None:
    return number_of("video", node.id) if is_video(node.ad) else None


CREATIVE: dict[str, Callable[[View, CreativeNode], Any]] = {
    "id": lambda view, node: node.id,
    "name": lambda view, node: f"{node.ad.name} {date.fromordinal(node.ad.ad.first)}",
    "account_id": lambda view, node: view.catalog.account.account_id,
    "status": lambda view, node: "DELETED" if node.ad.status == "DELETED" else "ACTIVE",
    "object_type": lambda view, node: "VIDEO" if is_video(node.ad) else "SHARE",
    "title": lambda view, node: _title(node),
    "body": lambda view, node: _body(node),
    "call_to_action_type": lambda view, node: _call_to_action(node),
    "link_url": lambda view, node: _address(node) if shape_of(node) == "link_url" else None,
    "url_tags": lambda view, node: _URL_TAGS if _has_tags(node) else None,
    "template_url": lambda view, node: None,
    "object_url": lambda view, node: None,
    "object_story_spec": _story,
    "asset_feed_spec": _feed,
    "effective_object_story_id": lambda view, node: (
        f"{number_of('page', view.catalog.account.tenant_id)}_{number_of('post', node.id)}"
    ),
    "effective_instagram_media_id": lambda view, node: number_of("media", node.id, digits=17),
    "instagram_permalink_url": lambda view, node: f"{view.base}/preview/{node.ad.id}",
    "image_hash": lambda view, node: number_of("image", node.id, digits=18),
    "image_url": lambda view, node: _picture(view, node, "full"),
    "thumbnail_url": lambda view, node: _picture(view, node, "p64x64"),
    "video_id": lambda view, node: _video(node),
}

TABLES: dict[str, tuple[str, dict[str, Callable[..., Any]]]] = {
    "campaign": ("Campaign", CAMPAIGN),
    "adset": ("AdSet", ADSET),
    "ad": ("Ad", AD),
    "creative": ("AdCreative", CREATIVE),
}


def kind_of(node: Node) -> str:
    """The word for a node's kind."""
    kinds = {CampaignNode: "campaign", AdSetNode: "adset", AdNode: "ad", CreativeNode: "creative"}
    return kinds[type(node)]


def render_account(view: View, wanted: list[Wanted]) -> dict[str, Any]:
    """The account with the fields asked for and `id`; `account_id` too where none is asked for."""
    names = [each.name for each in wanted] or ["account_id"]
    for name in names:
        if name not in ACCOUNT:
            raise unknown_field(name, "AdAccount")
    values = {name: ACCOUNT[name](view) for name in names}
    values["id"] = account_id(view)
    return _overridden(values, view, account_id(view), names)


def render(view: View, node: Node, wanted: list[Wanted]) -> dict[str, Any]:
    """An object with the fields asked for and `id`. Raises code 100 for a field it has not."""
    word, table = TABLES[kind_of(node)]
    values: dict[str, Any] = {}
    for each in wanted:
        if each.name not in table:
            raise unknown_field(each.name, word)
        value = table[each.name](view, node)
        if isinstance(value, (CampaignNode, AdSetNode, AdNode, CreativeNode)):
            value = render(view, value, each.inner)
        if value is not None:
            values[each.name] = value
    values["id"] = node.id
    return _overridden(values, view, node.id, [each.name for each in wanted])


def _overridden(values: dict[str, Any], view: View, key: str, names: list[str]) -> dict[str, Any]:
    """What the admin endpoint set instead; only for fields that are asked for."""
    for name, value in view.overrides.get(key, {}).items():
        if name in names:
            values[name] = value
    return values


def lookup(view: View, node: Node, name: str) -> Any:
    """A field's value for filtering; times in unix seconds. Raises code 100 for a field it has not."""
    word, table = TABLES[kind_of(node)]
    override = view.overrides.get(node.id, {})
    if name in override:
        return override[name]
    if name in ("updated_time", "created_time") and not isinstance(node, CreativeNode):
        moment = view.catalog.updated(node) if name == "updated_time" else view.catalog.created(node)
        return int(moment.timestamp())
    if name not in table:
        raise unknown_field(name, word)
    return table[name](view, node)
