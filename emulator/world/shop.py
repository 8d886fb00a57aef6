"""The shops: orders that the ads cause, orders that nobody paid for, refunds and storefront sessions.

An order has the day of the conversion behind it, in the shop's time zone (the account's may differ; the
world keeps the day). The platforms claim more than the shop sells (views, credit for what would have come
anyway) and nothing while tracking is broken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from emulator.world.chance import Chance, count_of, normal_of
from emulator.world.delivery import LONGEST_DELAY, AdTruth, Conversion, Delivery
from emulator.world.entities import ORIGIN_ORDINAL, AdRun, Directory
from emulator.world.incidents import IncidentPlan
from emulator.world.plans import TenantPlan
from emulator.world.rates import rate_of
from emulator.world.records import Order, OrderLine, Refund, ShopSessions, Visit
from emulator.world.seasons import season_of

LONGEST_REFUND = 36
_SOURCES = {
    "meta": ("facebook", "paid_social", "fbclid", "https://l.facebook.com/"),
    "tiktok": ("tiktok", "paid_social", "ttclid", "https://www.tiktok.com/"),
    "google": ("google", "cpc", "gclid", "https://www.google.com/"),
    "pinterest": ("pinterest", "paid_social", "epik", "https://www.pinterest.com/"),
}
_ORGANIC_REFERRERS = (None, "https://www.google.com/", "https://duckduckgo.com/", None)
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class _Sale:
    """An order before it has a number: `cents` net in the shop's currency, `second` of the day."""

    second: int
    cents: int
    key: str
    truth: AdTruth | None
    conversion: Conversion | None
    product: int


class Shops:
    """Orders by shop and day."""

    def __init__(
        self, chance: Chance, directory: Directory, incidents: IncidentPlan, delivery: Delivery
    ) -> None:
        self._chance = chance
        self._directory = directory
        self._incidents = incidents
        self._delivery = delivery

    def orders(self, tenant: TenantPlan, day: date) -> list[Order]:
        """The orders of one day by time, each with every refund it will ever have."""
        ordinal = day.toordinal()
        if ordinal < ORIGIN_ORDINAL:
            return []
        sales = [*self._paid(tenant, ordinal), *self._organic(tenant, ordinal)]
        sales.sort(key=lambda sale: (sale.second, sale.key))
        return [self._order(tenant, ordinal, number, sale) for number, sale in enumerate(sales, start=1)]

    def refunds(self, tenant: TenantPlan, day: date) -> list[Refund]:
        """Refunds made on this day, of orders up to 36 days old."""
        return [
            refund
            for age in range(LONGEST_REFUND + 1)
            for order in self.orders(tenant, day - timedelta(days=age))
            for refund in order.refunds
            if refund.day == day
        ]

    def sessions(self, tenant: TenantPlan, day: date) -> ShopSessions:
        """Storefront sessions of the day."""
        ordinal = day.toordinal()
        clicks = sum(
            truth.link_clicks
            for run in self._directory.runs_between(ordinal, ordinal, tenant)
            for truth in self._delivery.campaign_day(run, ordinal)
        )
        u = self._chance.uniforms(3, f"sessions|{tenant.tenant.key}|{ordinal}")
        sessions = int(clicks * 0.88 + self._organic_mean(tenant, ordinal) / (0.021 + 0.004 * u[0]))
        completed = len(self.orders(tenant, day))
        sessions = max(sessions, completed * 8)
        carts = max(int(sessions * (0.065 + 0.02 * u[1])), completed)
        checkouts = completed + int((carts - completed) * (0.30 + 0.15 * u[2]))
        return ShopSessions(day, sessions, carts, checkouts, completed)

    def _organic_mean(self, tenant: TenantPlan, ordinal: int) -> float:
        season = season_of(tenant.tenant.country, tenant.tenant.industry, ordinal)
        mean = tenant.organic_orders * season.organic
        for planted in self._incidents.on(tenant, ordinal):
            if planted.kind.name == "common_movement" and planted.kind.metric == "conversions":
                mean *= planted.kind.factor
        return mean

    def _organic(self, tenant: TenantPlan, ordinal: int) -> list[_Sale]:
        key = f"organic|{tenant.tenant.key}|{ordinal}"
        u = self._chance.uniforms(2, key)
        count = count_of(self._organic_mean(tenant, ordinal) * (0.9 + 0.2 * u[0]), u[1])
        season = season_of(tenant.tenant.country, tenant.tenant.industry, ordinal)
        found = []
        for number in range(count):
            v = self._chance.uniforms(4, f"{key}|{number}")
            product = int(v[0] * len(tenant.products))
            factor = season.aov * 2.718281828 ** (0.35 * normal_of(v[1]))
            cents = max(100, round(tenant.products[product].price * 100 * factor))
            found.append(_Sale(_second(v[2]), cents, f"{key}|{number}", None, None, product))
        return found

    def _paid(self, tenant: TenantPlan, ordinal: int) -> list[_Sale]:
        found = []
        shop_rate = rate_of(self._chance, tenant.shop.currency, date.fromordinal(ordinal))
        for run in self._directory.runs_between(ordinal - LONGEST_DELAY, ordinal, tenant):
            rate = rate_of(self._chance, run.account.currency, date.fromordinal(ordinal))
            minor = 1 if run.account.minor_units else 100
            for click_day in range(max(run.start, ordinal - LONGEST_DELAY), ordinal + 1):
                for truth in self._delivery.campaign_day(run, click_day):
                    for number, conversion in enumerate(truth.conversions):
                        if not conversion.has_order or conversion.delay != ordinal - click_day:
                            continue
                        cents = max(100, int(conversion.price * minor * shop_rate / rate))
                        key = f"paid|{truth.ad.key}|{click_day}|{number}"
                        second = _second(conversion.chance)
                        found.append(_Sale(second, cents, key, truth, conversion, truth.ad.product))
        return found

    def _order(self, tenant: TenantPlan, ordinal: int, number: int, sale: _Sale) -> Order:
        u = self._chance.uniforms(12, f"order|{sale.key}")
        shop = tenant.shop
        day = date.fromordinal(ordinal)
        index = list(self._directory.tenants).index(tenant.tenant.tenant_id)
        order_id = f"{5 + index}{ordinal:07d}{number:05d}"
        created_at = _instant(day, sale.second, shop.timezone)

        net = sale.cents
        product = tenant.products[sale.product]
        share = 0.15 if u[0] < 0.22 else 0.0
        quantity = max(1, round(net / (1 - share) / (product.price * 100)))
        unit = -(-round(net / (1 - share)) // quantity)
        gross = max(net, unit * quantity)
        if gross != unit * quantity:
            quantity, unit = 1, gross
        shipping = 0 if net > 15_000 else round(tenant.shipping * 100)
        tax = round((net + shipping) * tenant.tax)

        is_new = u[1] < (0.64 if sale.truth is not None else 0.42)
        regular = hashlib.blake2b(f"{tenant.tenant.key}|{int(u[2] * 5000)}".encode(), digest_size=6)
        customer_id = f"8{order_id[1:]}" if is_new else f"7{int(regular.hexdigest(), 16) % 10**12:012d}"
        truth = sale.truth
        account = truth.ad.set_run.run.account if truth else None
        return Order(
            tenant_id=tenant.tenant.tenant_id,
            account_id=shop.account_id,
            order_id=order_id,
            name=f"#{(ordinal - ORIGIN_ORDINAL) * 1000 + 1000 + number}",
            created_at=created_at,
            day=day,
            currency=shop.currency,
            customer_id=customer_id,
            is_new_customer=is_new,
            gross=_money(gross),
            discount=_money(gross - net),
            net=_money(net),
            shipping=_money(shipping),
            tax=_money(tax),
            total=_money(net + shipping + tax),
            lines=(OrderLine(product.slug.upper()[:24], product.title, quantity, _money(unit)),),
            visits=self._visits(tenant, ordinal, created_at, sale, u),
            is_test=truth is None and u[3] < 0.002,
            cancelled_on=day if u[4] < 0.008 else None,
            refunds=_refunds(order_id, day, net, u),
            true_platform=account.platform if account else None,
            true_account_id=account.account_id if account else None,
            true_campaign_id=truth.ad.set_run.run.campaign_id if truth else None,
            true_adset_id=truth.ad.set_run.adset_id if truth else None,
            true_ad_id=truth.ad.ad_id if truth else None,
            true_click_day=date.fromordinal(truth.ordinal) if truth else None,
        )

    def _visits(
        self, tenant: TenantPlan, ordinal: int, created_at: datetime, sale: _Sale, u: list[float]
    ) -> tuple[Visit, ...]:
        """Oldest first: perhaps an ad of another platform, the ad itself (if it left a trace), perhaps
        a direct visit.
        """
        product = f"/products/{quote(tenant.products[sale.product].slug)}"
        if sale.truth is None or sale.conversion is None:
            if u[5] < 0.12:
                return ()
            referrer = _ORGANIC_REFERRERS[int(u[6] * len(_ORGANIC_REFERRERS))]
            return (Visit(created_at - timedelta(minutes=3 + int(u[7] * 50)), product, referrer),)
        clicked_at = created_at - timedelta(days=sale.conversion.delay, minutes=2 + int(u[7] * 40))
        found = []
        if u[8] < 0.10:
            earlier = self._another_ad(tenant, sale.truth, u[9])
            if earlier is not None:
                before = clicked_at - timedelta(days=1 + int(u[10] * 5))
                found.append(_paid_visit(earlier, before, product, f"{sale.key}|first", with_click_id=True))
        if u[5] < 0.90:
            found.append(_paid_visit(sale.truth.ad, clicked_at, product, sale.key, with_click_id=u[5] < 0.80))
        if sale.conversion.delay > 0 or u[5] >= 0.90:
            found.append(Visit(created_at - timedelta(minutes=1), "/", None))
        return tuple(found)

    def _another_ad(self, tenant: TenantPlan, truth: AdTruth, uniform: float) -> AdRun | None:
        ordinal = truth.ordinal - 1
        platform = truth.ad.set_run.run.account.platform
        runs = [
            run
            for run in self._directory.runs_between(ordinal, ordinal, tenant)
            if run.account.platform != platform and self._delivery.campaign_day(run, ordinal)
        ]
        if not runs:
            return None
        return self._delivery.campaign_day(runs[int(uniform * len(runs))], ordinal)[0].ad


def _paid_visit(ad: AdRun, at: datetime, path: str, key: str, *, with_click_id: bool) -> Visit:
    run = ad.set_run.run
    source, medium, click_parameter, referrer = _SOURCES[run.account.platform]
    content = (ad.ad_id or ad.set_run.adset_id).rpartition("~")[2]
    query = (
        f"utm_source={source}&utm_medium={medium}&utm_campaign={run.campaign_id}"
        f"&utm_term={ad.set_run.adset_id}&utm_content={content}"
    )
    if with_click_id:
        query += f"&{click_parameter}={hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
    return Visit(at, f"{path}?{query}", referrer)


def _refunds(order_id: str, day: date, net: int, u: list[float]) -> tuple[Refund, ...]:
    """One order in fourteen is refunded, a third of them in part, 2 to 36 days later."""
    if u[11] >= 0.072:
        return ()
    part = u[11] / 0.072
    amount = net if part < 0.67 else max(1, int(net * part / 2))
    return (Refund(f"9{order_id}", order_id, day + timedelta(days=2 + int(u[10] * 34.99)), _money(amount)),)


def _second(uniform: float) -> int:
    """A second of the day; few orders at night."""
    return int(86_399 * (0.28 + 0.72 * uniform)) if uniform > 0.06 else int(86_399 * 4.6 * uniform)


def _instant(day: date, second: int, zone: str) -> datetime:
    clock = time(second // 3600, second // 60 % 60, second % 60)
    return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)


def _money(cents: int) -> Decimal:
    return (Decimal(cents) / 100).quantize(_CENT)
