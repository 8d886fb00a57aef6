"""`World`: everything there is to ask about the synthetic world."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from emulator.world.chance import Chance
from emulator.world.delivery import AdTruth, Delivery
from emulator.world.entities import ORIGIN, ORIGIN_ORDINAL, AdRun, Directory, Run, status_word
from emulator.world.incidents import IncidentPlan
from emulator.world.plans import TenantPlan
from emulator.world.rates import rates_of
from emulator.world.records import (
    Account,
    Ad,
    AdDay,
    AdSet,
    CalendarEvent,
    Campaign,
    Change,
    Incident,
    Order,
    Refund,
    ShopSessions,
    Tenant,
)
from emulator.world.reporting import Figures, figures_at
from emulator.world.seasons import calendar_events
from emulator.world.shop import Shops

_MICRO = Decimal("0.000001")


class World:
    """A deterministic function of (seed, day): three demo tenants on four ad platforms, each with a shop.

    Grain   every method says its own; days are account days, inclusive on both ends
    Units   money `Decimal` in the account's (the shop's) currency
    Range   from `World.origin` on, without an end; a day costs the same however far away it is
    Source  `plans.py` (who), `incidents.py` (what goes wrong), `delivery.py` (what happens),
            `reporting.py` (when it is known)

    `incidents=False` gives the quiet twin: the same draws without the planted incidents.
    """

    origin = ORIGIN

    def __init__(self, seed: int = 7, *, incidents: bool = True) -> None:
        self.seed = seed
        chance = Chance(seed)
        self.chance = chance
        self.directory = Directory(chance)
        self.planted = IncidentPlan(chance, self.directory, enabled=incidents)
        self.delivery = Delivery(chance, self.directory, self.planted)
        self._shops = Shops(chance, self.directory, self.planted, self.delivery)

    # who there is

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """The demo tenants, always in the same order; their ids do not depend on the seed."""
        return tuple(plan.tenant for plan in self.directory.tenants.values())

    def accounts(self, tenant: Tenant | str | None = None) -> list[Account]:
        """Ad accounts of one tenant (record or id) or of all, without shops."""
        return [account for plan in self._plans(tenant) for account in plan.accounts.values()]

    def shop(self, tenant: Tenant | str) -> Account:
        """The tenant's shop (platform `shopify`)."""
        return next(plan.shop for plan in self._plans(tenant))

    def campaigns(self, as_of: date, *, tenant: Tenant | str | None = None) -> list[Campaign]:
        """Every campaign started by `as_of`, ended and removed ones included, as it stands at the end
        of that day.
        """
        return [self.campaign_record(run, as_of) for run in self._runs_until(as_of, tenant)]

    def adsets(self, as_of: date, *, tenant: Tenant | str | None = None) -> list[AdSet]:
        """Every ad set, ad group and asset group of those campaigns."""
        found = []
        for run in self._runs_until(as_of, tenant):
            status = self.directory.status(run, as_of.toordinal())
            for each in self.directory.sets(run):
                found.append(
                    AdSet(
                        tenant_id=run.account.tenant_id,
                        platform=run.account.platform,
                        account_id=run.account.account_id,
                        campaign_id=run.campaign_id,
                        adset_id=each.adset_id,
                        name=each.name,
                        created_on=date.fromordinal(run.start),
                        status=status,
                        is_asset_group=run.plan.asset_groups,
                    )
                )
        return found

    def ads(self, as_of: date, *, tenant: Tenant | str | None = None) -> list[Ad]:
        """Every ad ever created in those campaigns; `removed` ones too, for their figures may still be
        reported.
        """
        ordinal = as_of.toordinal()
        return [
            self._ad_record(run, ad, ordinal)
            for run in self._runs_until(as_of, tenant)
            for ad in self.directory.ads_created(run, ordinal)
        ]

    # what happened, as known

    def ads_known_on(self, account: Account | str, day: date, known_on: date) -> list[AdDay]:
        """One row per ad (asset group) that delivered on `day`, with the figures as reported at the end of
        `known_on`.

        A pull on the morning of D+1 sees `known_on` D. Empty before the day is over, on a day without
        delivery, and without the rows of withdrawn ads from their deletion on.
        """
        wanted = self._account(account)
        ordinal, age = day.toordinal(), (known_on - day).days
        found = []
        if age < 0 or ordinal < ORIGIN_ORDINAL:
            return []
        for run in self.directory.runs_between(ordinal, ordinal, self.directory.tenants[wanted.tenant_id]):
            if run.account.account_id != wanted.account_id:
                continue
            for truth in self.delivery.campaign_day(run, ordinal):
                figures = figures_at(truth, age)
                if figures is not None:
                    found.append(self._ad_day(run, truth, figures, day, known_on))
        return found

    def changes(self, start: date, end: date, *, tenant: Tenant | str | None = None) -> list[Change]:
        """Changes of campaign fields made from `start` to `end`, by day; in force from their day on."""
        first, last = max(start.toordinal(), ORIGIN_ORDINAL), end.toordinal()
        found = [
            change
            for run in self._runs_until(end, tenant)
            if _may_change(run, first)
            for change in self.directory.changes(run, first, last)
        ]
        return sorted(found, key=lambda each: (each.day, each.tenant_id, each.campaign_id, each.field))

    def incidents(self, start: date, end: date) -> list[Incident]:
        """The planted incidents that touch the period: the labels."""
        return self.planted.labels(start.toordinal(), end.toordinal())

    def calendar(self, start: date, end: date) -> list[CalendarEvent]:
        """Holidays and shopping events of the tenants' countries that touch the period."""
        return [
            event
            for country in sorted({tenant.country for tenant in self.tenants})
            for event in calendar_events(country, start, end)
        ]

    # the shop and the bank

    def orders(self, shop: Account | Tenant | str, day: date) -> list[Order]:
        """Orders of one shop day by time, each with every refund it will ever have."""
        return self._shops.orders(self._shop_plan(shop), day)

    def refunds(self, shop: Account | Tenant | str, day: date) -> list[Refund]:
        """Refunds made on one shop day."""
        return self._shops.refunds(self._shop_plan(shop), day)

    def sessions(self, shop: Account | Tenant | str, day: date) -> ShopSessions:
        """Storefront sessions of one shop day."""
        return self._shops.sessions(self._shop_plan(shop), day)

    def rates(self, day: date) -> dict[str, Decimal]:
        """Units of each currency for 1 EUR; empty on weekends and the bank's holidays. EUR itself is
        not listed.
        """
        return rates_of(self.chance, day)

    # inside

    def runs_between(self, first: date, last: date) -> list[Run]:
        """Campaign lives that could deliver in the period (for the export and the emulators)."""
        return self.directory.runs_between(first.toordinal(), last.toordinal())

    def campaign_record(self, run: Run, as_of: date) -> Campaign:
        """The campaign as it stands at the end of `as_of`."""
        state = self.directory.state(run, as_of.toordinal())
        account = run.account
        return Campaign(
            tenant_id=account.tenant_id,
            platform=account.platform,
            account_id=account.account_id,
            campaign_id=run.campaign_id,
            name=state.campaign_name,
            objective=run.plan.objective,
            start_day=date.fromordinal(run.start),
            end_day=None if run.end is None else date.fromordinal(run.end),
            status=state.status,
            status_word=status_word(account.platform, state.status),
            daily_budget=state.daily_budget,
            target_roas=state.target_roas,
            target_cpa=state.target_cpa,
            currency=account.currency,
            conversion_event="lead" if run.plan.is_lead else "purchase",
            role=run.plan.role,
        )

    def _ad_record(self, run: Run, ad: AdRun, ordinal: int) -> Ad:
        is_removed = ad.removed is not None and ad.removed <= ordinal
        if is_removed:
            status = "removed"
        elif ad.end is not None and ad.end <= ordinal:
            status = "paused"
        else:
            status = self.directory.status(run, ordinal)
        product = run.tenant.products[ad.product]
        return Ad(
            tenant_id=run.account.tenant_id,
            platform=run.account.platform,
            account_id=run.account.account_id,
            campaign_id=run.campaign_id,
            adset_id=ad.set_run.adset_id,
            ad_id=ad.ad_id or "",
            name=ad.name or "",
            created_on=date.fromordinal(ad.first),
            status=status,
            removed_on=date.fromordinal(ad.removed) if is_removed and ad.removed is not None else None,
            is_withdrawn=is_removed and ad.withdrawn,
            landing_page=f"https://{run.tenant.shop.domain}/products/{product.slug}",
        )

    def _ad_day(self, run: Run, truth: AdTruth, figures: Figures, day: date, known_on: date) -> AdDay:
        frequency = figures.frequency
        return AdDay(
            tenant_id=run.account.tenant_id,
            platform=run.account.platform,
            account_id=run.account.account_id,
            currency=run.account.currency,
            campaign_id=run.campaign_id,
            adset_id=truth.ad.set_run.adset_id,
            ad_id=truth.ad.ad_id,
            day=day,
            known_on=known_on,
            spend=_decimal(figures.spend),
            impressions=figures.impressions,
            clicks=figures.clicks,
            link_clicks=figures.link_clicks,
            reach=figures.reach,
            frequency=None if frequency is None else _decimal(frequency),
            conversions=_decimal(figures.conversions),
            conversion_value=_decimal(figures.conversion_value),
            view_through_conversions=_decimal(figures.view_through_conversions),
            conversion_event="lead" if run.plan.is_lead else "purchase",
            campaign_name=self.directory.state(run, known_on.toordinal()).campaign_name,
            adset_name=truth.ad.set_run.name,
            ad_name=truth.ad.name,
        )

    def _plans(self, tenant: Tenant | str | None) -> Iterable[TenantPlan]:
        if tenant is None:
            return self.directory.tenants.values()
        tenant_id = tenant if isinstance(tenant, str) else tenant.tenant_id
        if tenant_id not in self.directory.tenants:
            raise KeyError(f"The synthetic world has no tenant {tenant_id}.")
        return [self.directory.tenants[tenant_id]]

    def _runs_until(self, as_of: date, tenant: Tenant | str | None) -> list[Run]:
        return [
            run
            for plan in self._plans(tenant)
            for run in self.directory.runs_between(ORIGIN_ORDINAL, as_of.toordinal(), plan)
        ]

    def _account(self, account: Account | str) -> Account:
        wanted = account if isinstance(account, str) else account.account_id
        for each in self.accounts():
            if each.account_id == wanted:
                return each
        raise KeyError(f"The synthetic world has no ad account {wanted}.")

    def _shop_plan(self, shop: Account | Tenant | str) -> TenantPlan:
        if isinstance(shop, (Account, Tenant)):
            return self.directory.tenants[shop.tenant_id]
        for plan in self.directory.tenants.values():
            if shop in (plan.tenant.tenant_id, plan.shop.account_id):
                return plan
        raise KeyError(f"The synthetic world has no shop {shop}.")


def _may_change(run: Run, first: int) -> bool:
    """False for campaigns whose last change (the deletion after the end) lies before the day."""
    return run.end is None or run.end + (run.plan.removed_after or 0) >= first


def _decimal(micros: int) -> Decimal:
    return Decimal(micros) * _MICRO


def all_days(first: date, last: date) -> list[date]:
    """Every day of the period, both ends included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
