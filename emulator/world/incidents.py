"""Planted incidents, each with its label.

Every tenant has one every 9 days, the three tenants 3 days apart, each lasting 3 to 5 days: so on any day
one is running or ended at most two days ago. Eight kinds take turns in an order of their own per tenant and
round. Campaigns whose health is itself the story (winner, loser, sinker, fatigue, tiny) and those with a
life cycle are never hit alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from emulator.world.chance import Chance
from emulator.world.entities import ORIGIN_ORDINAL, Directory, Run
from emulator.world.plans import TenantPlan
from emulator.world.records import Incident

EVERY = 9
FIRST_AFTER = 48
_TARGET_ROLES = {"steady", "brand", "pmax", "lead"}
_SPOILED_ROLES = {"loser", "sinker"}


@dataclass(frozen=True)
class _Kind:
    name: str
    days: int
    metric: str
    factor: float
    cause: str


_KINDS = (
    _Kind("spend_spike", 3, "spend", 2.6, "a rule raised the bids without a limit"),
    _Kind("spend_drop", 3, "spend", 0.10, "the payment method was declined for most of the day"),
    _Kind("cost_spike", 4, "cpc", 2.1, "a competitor outbids in the same auctions"),
    _Kind("ctr_drop", 4, "ctr", 0.42, "the creative lost its picture and shows a placeholder"),
    _Kind("roas_drop", 5, "value", 0.33, "a discount code meant for staff went public"),
    _Kind("conversion_drop", 4, "cvr", 0.18, "the landing page fails on phones"),
    _Kind("tracking_outage", 3, "conversions", 0.0, "the tag was removed with a theme update"),
    _Kind("common_movement", 4, "conversions", 1.7, "a sale across the whole shop"),
)
_STOPPED = _Kind("spend_drop", 3, "spend", 0.0, "every ad was rejected by a policy check")
_DEAR_AUCTIONS = _Kind("common_movement", 4, "cpm", 1.6, "dear auctions on every platform")


@dataclass(frozen=True)
class Planted:
    """An incident by ordinals and keys, as delivery and conversions use it."""

    kind: _Kind
    tenant: TenantPlan
    account_key: str | None
    run: Run | None
    first: int
    last: int


class IncidentPlan:
    """The incidents of all tenants; `enabled` False gives the same world without them (the quiet twin)."""

    def __init__(self, chance: Chance, directory: Directory, *, enabled: bool = True) -> None:
        self._chance = chance
        self._directory = directory
        self._enabled = enabled
        self._tenants = list(directory.tenants.values())
        self._slots: dict[tuple[int, int], Planted] = {}
        self._days: dict[tuple[str, int], tuple[Planted, ...]] = {}

    def on(self, tenant: TenantPlan, ordinal: int) -> tuple[Planted, ...]:
        """What is planted for this tenant and day."""
        key = (tenant.tenant.tenant_id, ordinal)
        found = self._days.get(key)
        if found is None:
            found = tuple(self._between(self._tenants.index(tenant), ordinal, ordinal))
            self._days[key] = found
        return found

    def is_outage(self, run: Run, ordinal: int) -> bool:
        """True where the account's tracking is broken on this day."""
        return any(
            planted.kind.name == "tracking_outage" and planted.account_key == run.account.key
            for planted in self.on(run.tenant, ordinal)
        )

    def labels(self, first: int, last: int) -> list[Incident]:
        """Every incident that touches the period, by first day."""
        found = [
            _label(planted)
            for index in range(len(self._tenants))
            for planted in self._between(index, first, last)
        ]
        return sorted(found, key=lambda each: (each.first_day, each.tenant_id))

    def _between(self, index: int, first: int, last: int) -> Iterator[Planted]:
        if not self._enabled:
            return
        begin = ORIGIN_ORDINAL + FIRST_AFTER + index * EVERY // len(self._tenants)
        for slot in range(max(0, (first - begin) // EVERY - 1), (last - begin) // EVERY + 1):
            planted = self._slot(index, slot, begin)
            if planted.first <= last and planted.last >= first:
                yield planted

    def _slot(self, index: int, slot: int, begin: int) -> Planted:
        found = self._slots.get((index, slot))
        if found is not None:
            return found
        tenant = self._tenants[index]
        key = f"incident|{tenant.tenant.key}"
        turn, place = divmod(slot, len(_KINDS))
        kind = _KINDS[self._chance.permutation(len(_KINDS), f"{key}|{turn}")[place]]
        if kind.name == "common_movement" and (turn + index) % 2:
            kind = _DEAR_AUCTIONS
        if kind.name == "spend_drop" and (turn + index) % 2:
            kind = _STOPPED
        start = begin + slot * EVERY + self._chance.whole(2, f"{key}|jitter|{slot}")
        days = kind.days + self._chance.whole(2, f"{key}|days|{slot}") * (kind.days < 5)
        account_key: str | None = None
        run: Run | None = None
        if kind.name == "tracking_outage":
            keys = outage_accounts(tenant)
            account_key = keys[(turn + self._chance.whole(len(keys), key)) % len(keys)]
        elif kind.name != "common_movement":
            run = self._target(tenant, kind, start, turn)
            account_key = run.account.key
        found = Planted(kind, tenant, account_key, run, start, start + days - 1)
        self._slots[(index, slot)] = found
        return found

    def _target(self, tenant: TenantPlan, kind: _Kind, start: int, turn: int) -> Run:
        runs = [
            run
            for run in self._directory.runs_between(start, start, tenant)
            if run.is_evergreen and run.plan.role in _TARGET_ROLES and _suits(kind, run)
        ]
        offset = self._chance.whole(len(runs), f"incident|{tenant.tenant.key}|{kind.name}")
        return runs[(offset + turn) % len(runs)]


def outage_accounts(tenant: TenantPlan) -> list[str]:
    """Accounts whose tracking may break: enough conversions to see it, and no loser whose advice it
    would silence.
    """
    found = []
    for key in tenant.accounts:
        plans = [plan for plan in tenant.campaigns if plan.account == key and plan.period is None]
        if any(plan.role in _SPOILED_ROLES for plan in plans):
            continue
        if sum(plan.conversions_a_day for plan in plans if plan.pause is None) >= 9:
            found.append(key)
    return found


def _suits(kind: _Kind, run: Run) -> bool:
    plan = run.plan
    if kind.name == "spend_spike":
        return not plan.limited
    if kind.name == "roas_drop":
        return not plan.is_lead and plan.conversions_a_day >= 6
    if kind.name == "conversion_drop":
        return plan.conversions_a_day >= 6
    return True


def _label(planted: Planted) -> Incident:
    account = planted.tenant.accounts[planted.account_key] if planted.account_key else None
    outage = planted.kind.name == "tracking_outage"
    return Incident(
        tenant_id=planted.tenant.tenant.tenant_id,
        platform=account.platform if account else None,
        account_id=account.account_id if account else None,
        campaign_id=planted.run.campaign_id if planted.run else None,
        kind="conversion_drop" if outage else planted.kind.name,
        metric=planted.kind.metric,
        first_day=date.fromordinal(planted.first),
        last_day=date.fromordinal(planted.last),
        factor=planted.kind.factor,
        is_tracking_outage=outage,
        cause=planted.kind.cause,
    )
