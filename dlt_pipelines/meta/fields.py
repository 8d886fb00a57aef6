"""What is asked for and how it lands: API version, statuses, field lists, and the columns of raw_meta.

A column's kind says how the wire value is read:
    id      text of digits; a JSON integer is taken, a float never (18 digits do not survive one)
    text    as it is; numbers become their digits (budgets are minor units and stay text)
    count   whole number, usually as text
    amount  decimal with six places, usually as text
    flag    true or false
    moment  2026-10-14T09:21:05-0700
    json    lists and objects as JSON text; tidied in SQL
    day     the window's days only
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

BASE_URL = "https://graph.facebook.com"
DIALOG_URL = "https://www.facebook.com"
API_VERSION = "v26.0"

LOOKBACK_DAYS = 28
HISTORY_MONTHS = 37
HISTORY_DAYS = 1123  # never more than these months; days before are refused with code 3018
WINDOW_DAYS = 28

# The scopes of the consent, with the reason a person is told.
SCOPES = {"ads_read": "read campaigns, ads and their daily figures; Aegis changes nothing on the platform"}

CAMPAIGN_STATUSES = ("ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES")
ADSET_STATUSES = (*CAMPAIGN_STATUSES, "CAMPAIGN_PAUSED")
AD_STATUSES = (
    "ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "ADSET_PAUSED", "CAMPAIGN_PAUSED", "PENDING_REVIEW", "DISAPPROVED",
    "PREAPPROVED", "PENDING_BILLING_INFO", "IN_PROCESS", "WITH_ISSUES",
)  # fmt: skip
# 7d_view and 28d_view are accepted and silently empty since 2026-01-12; click windows are cumulative.
ATTRIBUTION_WINDOWS = ("1d_click", "7d_click", "1d_view")

AMOUNT = pa.decimal128(20, 6)
TYPES = {
    "id": pa.string(),
    "text": pa.string(),
    "count": pa.int64(),
    "amount": AMOUNT,
    "flag": pa.bool_(),
    "moment": pa.timestamp("us", tz="UTC"),
    "json": pa.string(),
    "day": pa.date32(),
}


@dataclass(frozen=True)
class Column:
    """One column: its name in raw_meta, the vendor's field, and how the value is read."""

    name: str
    field: str
    kind: str


@dataclass(frozen=True)
class Table:
    """One table of raw_meta. `key` columns must be there on every row; `asked` goes into `fields`."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    asked: tuple[str, ...]

    @property
    def json_columns(self) -> tuple[str, ...]:
        return (*(column.name for column in self.columns if column.kind == "json"), "extra")


def _table(name: str, key: tuple[str, ...], *columns: str, more: tuple[str, ...] = ()) -> Table:
    """Columns are `name:kind` or `name=field:kind`; text where no kind is given."""
    found = []
    for text in columns:
        left, _, kind = text.partition(":")
        column, _, field = left.partition("=")
        found.append(Column(column, field or column, kind or "text"))
    asked = tuple(dict.fromkeys([*(each.field for each in found), *more]))
    return Table(name, key, tuple(found), asked)


ACCOUNTS = _table(
    "accounts", (),
    "name", "account_status:count", "disable_reason:count", "currency", "timezone_name", "amount_spent", "balance",
    "spend_cap", "created_time:moment", "business:json", more=("account_id",),
)  # fmt: skip
CAMPAIGNS = _table(
    "campaigns", ("campaign_id",),
    "campaign_id=id:id", "name", "objective", "status", "configured_status", "effective_status", "buying_type",
    "bid_strategy", "daily_budget", "lifetime_budget", "budget_remaining", "spend_cap", "special_ad_categories:json",
    "start_time:moment", "stop_time:moment", "created_time:moment", "updated_time:moment", "smart_promotion_type",
    "source_campaign_id:text", "pacing_type:json", "issues_info:json", "is_adset_budget_sharing_enabled:flag",
    more=("account_id",),
)  # fmt: skip
ADSETS = _table(
    "adsets", ("adset_id",),
    "adset_id=id:id", "campaign_id:id", "name", "status", "configured_status", "effective_status", "daily_budget",
    "lifetime_budget", "budget_remaining", "bid_strategy", "bid_amount", "bid_constraints:json", "billing_event",
    "optimization_goal", "optimization_sub_event", "attribution_spec:json", "promoted_object:json",
    "destination_type", "targeting:json", "start_time:moment", "end_time:moment", "created_time:moment",
    "updated_time:moment", "learning_stage_info:json", "learning_stage=learning_stage", "is_dynamic_creative:flag",
    more=("account_id",),
)  # fmt: skip
ADS = _table(
    "ads", ("ad_id",),
    "ad_id=id:id", "adset_id:id", "campaign_id:id", "creative_id=creative_id:id", "name", "status",
    "configured_status", "effective_status", "bid_amount", "tracking_specs:json", "conversion_specs:json",
    "created_time:moment", "updated_time:moment", "source_ad_id", "preview_shareable_link", "conversion_domain",
    "ad_active_time", more=("account_id",),
)  # fmt: skip
CREATIVES = _table(
    "creatives", ("creative_id",),
    "creative_id=id:id", "name", "status", "object_type", "title", "body", "call_to_action_type", "link=link",
    "link_url", "url_tags", "template_url", "object_url", "object_story_spec:json", "asset_feed_spec:json",
    "effective_object_story_id", "effective_instagram_media_id", "instagram_permalink_url", "image_hash", "image_url",
    "thumbnail_url", "video_id", more=("account_id",),
)  # fmt: skip
# Derived in mapper.py, never asked for.
DERIVED = frozenset({"learning_stage", "creative_id", "link"})

INSIGHTS = _table(
    "insights", ("day", "ad_id"),
    "day=date_start:day", "ad_id:id", "adset_id:id", "campaign_id:id", "ad_name", "adset_name", "campaign_name",
    "currency=account_currency", "objective", "optimization_goal", "buying_type", "attribution_setting",
    "spend:amount", "social_spend:amount", "impressions:count", "reach:count", "frequency:amount", "clicks:count",
    "unique_clicks:count", "inline_link_clicks:count", "unique_inline_link_clicks:count",
    "inline_post_engagement:count", "ctr:amount", "inline_link_click_ctr:amount", "cpc:amount", "cpm:amount",
    "cpp:amount", "cost_per_inline_link_click:amount", "cost_per_unique_click:amount", "website_ctr:json",
    "outbound_clicks:json", "actions:json", "action_values:json", "unique_actions:json", "conversions:json",
    "conversion_values:json", "purchase_roas:json", "results:json", "video_play_actions:json",
    "video_thruplay_watched_actions:json", "video_p25_watched_actions:json", "video_p50_watched_actions:json",
    "video_p75_watched_actions:json", "video_p95_watched_actions:json", "video_p100_watched_actions:json",
    "quality_ranking", "engagement_rate_ranking", "conversion_rate_ranking", more=("account_id",),
)  # fmt: skip
TOTALS = _table(
    "insights_totals", ("day", "platform_id"),
    "day=date_start:day", "level=level", "platform_id=platform_id:id", "currency=account_currency", "spend:amount",
    "impressions:count", "reach:count", "frequency:amount", "clicks:count", "inline_link_clicks:count",
    "actions:json", "action_values:json", more=("account_id",),
)  # fmt: skip

TABLES = {table.name: table for table in (ACCOUNTS, CAMPAIGNS, ADSETS, ADS, CREATIVES, INSIGHTS, TOTALS)}
# Where a query cannot do without: losing one of these is an error, any other field may be dropped.
NEEDED = frozenset(
    {"id", "account_id", "ad_id", "adset_id", "campaign_id", "date_start", "date_stop", "spend"}
)


def entity_fields(table: Table) -> tuple[str, ...]:
    """The `fields` of an entity edge; an ad's creative is asked for by its id only."""
    own = [field for field in table.asked if field not in DERIVED]
    return (*own, "creative{id}") if table is ADS else tuple(own)


def insight_fields(table: Table, level: str) -> tuple[str, ...]:
    """The `fields` of a report."""
    if table is INSIGHTS:
        return table.asked
    own = [field for field in table.asked if field not in ("level", "platform_id")]
    return (*own, "campaign_id") if level == "campaign" else tuple(own)
