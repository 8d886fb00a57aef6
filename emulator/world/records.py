"""What the world is asked for: plain records, ids as text, money and conversions as `Decimal`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True)
class Tenant:
    """One demo tenant. `currency` is the reporting currency; `timezone` an IANA name."""

    tenant_id: str
    key: str
    name: str
    currency: str
    timezone: str
    industry: str
    country: str


@dataclass(frozen=True)
class Account:
    """One ad account (or, with platform `shopify`, one shop). Days are days of `timezone`, money is in
    `currency`.
    """

    tenant_id: str
    platform: str
    account_id: str
    key: str
    name: str
    currency: str
    timezone: str
    domain: str | None = None

    @property
    def minor_units(self) -> int:
        """Decimals of the currency: 0 for yen, else 2."""
        return 0 if self.currency == "JPY" else 2


@dataclass(frozen=True)
class Campaign:
    """One campaign as it stands at the end of one day.

    `status` is the canonical word (`active`, `paused`, `ended`, `removed`), `status_word` the platform's.
    `end_day` is the first day without delivery, null while no end is planned. `role` says what its health
    was made to be, for tests and evaluation.
    """

    tenant_id: str
    platform: str
    account_id: str
    campaign_id: str
    name: str
    objective: str
    start_day: date
    end_day: date | None
    status: str
    status_word: str
    daily_budget: Decimal
    target_roas: Decimal | None
    target_cpa: Decimal | None
    currency: str
    conversion_event: str
    role: str


@dataclass(frozen=True)
class AdSet:
    """One ad set, ad group or (`is_asset_group`) Performance Max asset group as it stands at the end
    of one day.
    """

    tenant_id: str
    platform: str
    account_id: str
    campaign_id: str
    adset_id: str
    name: str
    created_on: date
    status: str
    is_asset_group: bool


@dataclass(frozen=True)
class Ad:
    """One ad as it stands at the end of one day.

    `ad_id` is the platform's id of the product contract: `<ad_group_id>~<ad_id>` for google. `removed_on`
    is the day it was deleted; with `is_withdrawn` the platform reports none of its figures from that day
    on.
    """

    tenant_id: str
    platform: str
    account_id: str
    campaign_id: str
    adset_id: str
    ad_id: str
    name: str
    created_on: date
    status: str
    removed_on: date | None
    is_withdrawn: bool
    landing_page: str


@dataclass(frozen=True)
class AdDay:
    """Figures of one ad (or, with `ad_id` null, one asset group) and account day, as reported at the end of
    `known_on`.

    Money is in `currency`. `reach` and `frequency` are null where the platform reports none. `conversions`
    may be fractional (google) and count `conversion_event`; `conversion_value` is 0 for leads.
    """

    tenant_id: str
    platform: str
    account_id: str
    currency: str
    campaign_id: str
    adset_id: str
    ad_id: str | None
    day: date
    known_on: date
    spend: Decimal
    impressions: int
    clicks: int
    link_clicks: int
    reach: int | None
    frequency: Decimal | None
    conversions: Decimal
    conversion_value: Decimal
    view_through_conversions: Decimal
    conversion_event: str
    campaign_name: str
    adset_name: str
    ad_name: str | None


@dataclass(frozen=True)
class Change:
    """One field of one campaign that changed on `day` and is in force from that day on; values as text."""

    tenant_id: str
    platform: str
    account_id: str
    campaign_id: str
    day: date
    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Incident:
    """One planted incident: the label a detector is measured against.

    `kind` is an anomaly type of the product contract or `common_movement`, which moves a whole tenant (a
    sale, dear auctions) and is to be explained, not blamed on a campaign. `factor` is what `metric` was
    multiplied with. `campaign_id` is null for an incident of a whole account, `account_id` and `platform`
    too for one of a whole tenant. A change of budget or status that stands in the change log is no
    incident.
    """

    tenant_id: str
    platform: str | None
    account_id: str | None
    campaign_id: str | None
    kind: str
    metric: str
    first_day: date
    last_day: date
    factor: float
    is_tracking_outage: bool
    cause: str


@dataclass(frozen=True)
class CalendarEvent:
    """One holiday or shopping event of a country that moves every campaign of its tenants."""

    country: str
    name: str
    first_day: date
    last_day: date


@dataclass(frozen=True)
class OrderLine:
    """One line of an order; `unit_price` before discount, in the shop's currency, without tax."""

    sku: str
    title: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class Visit:
    """One visit before an order: `landing_page` is path and query as the shop saw it."""

    at: datetime
    landing_page: str
    referrer: str | None


@dataclass(frozen=True)
class Refund:
    """Money given back on `day` (shop's time zone), in the shop's currency, without tax."""

    refund_id: str
    order_id: str
    day: date
    amount: Decimal


@dataclass(frozen=True)
class Order:
    """One order of a shop. Amounts in `currency`: gross - discount = net (without tax); total = net +
    shipping + tax.

    `true_platform`, `true_ad_id` and `true_campaign_id` say which ad caused it (null: none), which the shop
    itself cannot know; what it can know stands in `visits`. `refunds` holds all that ever come: ask
    `known_on` for what is known on a day.
    """

    tenant_id: str
    account_id: str
    order_id: str
    name: str
    created_at: datetime
    day: date
    currency: str
    customer_id: str
    is_new_customer: bool
    gross: Decimal
    discount: Decimal
    net: Decimal
    shipping: Decimal
    tax: Decimal
    total: Decimal
    lines: tuple[OrderLine, ...]
    visits: tuple[Visit, ...]
    is_test: bool
    cancelled_on: date | None
    refunds: tuple[Refund, ...]
    true_platform: str | None
    true_account_id: str | None
    true_campaign_id: str | None
    true_adset_id: str | None
    true_ad_id: str | None
    true_click_day: date | None


@dataclass(frozen=True)
class ShopSessions:
    """Storefront sessions of one shop and day."""

    day: date
    sessions: int
    with_cart_additions: int
    reached_checkout: int
    completed_checkout: int
