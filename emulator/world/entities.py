"""Which campaigns, ad sets and ads exist, and in what state, on any day: pure functions of the plan and the
day.

A *run* is one life of a campaign slot: evergreen slots have one, others start anew every period. The change
log is nothing but the difference of two days' states, so it can never contradict them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from emulator.world.chance import Chance
from emulator.world.plans import DEMO, FORMATS, CampaignPlan, TenantPlan
from emulator.world.records import Account, Change
from emulator.world.seasons import season_name

ORIGIN = date(2024, 1, 1)
ORIGIN_ORDINAL = ORIGIN.toordinal()

_STATUS_WORDS = {
    "meta": {"active": "ACTIVE", "paused": "PAUSED", "ended": "COMPLETED", "removed": "DELETED"},
    "tiktok": {"active": "ENABLE", "paused": "DISABLE", "ended": "ENDED", "removed": "DELETE"},
    "google": {"active": "ENABLED", "paused": "PAUSED", "ended": "ENDED", "removed": "REMOVED"},
    "pinterest": {"active": "ACTIVE", "paused": "PAUSED", "ended": "COMPLETED", "removed": "ARCHIVED"},
}

# (platform, level): leading digits, further digits. The leading digits differ by level: unique across levels too.
_ID_SHAPES = {
    ("meta", "campaign"): ("12021", 13),
    ("meta", "adset"): ("12022", 13),
    ("meta", "ad"): ("12023", 13),
    ("tiktok", "campaign"): ("181", 13),
    ("tiktok", "adset"): ("182", 13),
    ("tiktok", "ad"): ("183", 13),
    ("google", "campaign"): ("2", 10),
    ("google", "adset"): ("16", 10),
    ("google", "ad"): ("7", 11),
    ("google", "asset_group"): ("64", 8),
    ("pinterest", "campaign"): ("6267", 8),
    ("pinterest", "adset"): ("26800", 8),
    ("pinterest", "ad"): ("6871", 8),
}

_SUFFIXES = ("", " – new copy", " – new landing page")
_GENERATIONS = 4096
_EPOCHS = 16384
_TEST_AD = 7
_TARGET_EVERY = 75
_TEST_EVERY, _TEST_LIFE, _TEST_REMOVED_AFTER = 40, 14, 4
REPLACED_ADS_REMOVED_SHARE = 0.3


def shaped_id(platform: str, level: str, number: int) -> str:
    """An id as the platform writes them; one to one with `number` (the factor shares no divisor with
    the modulus).
    """
    lead, digits = _ID_SHAPES[(platform, level)]
    modulus = 10**digits
    factor = int(modulus * 0.6180339887) // 10 * 10 + 7
    return lead + str((number * factor + 40_961) % modulus).zfill(digits)


def status_word(platform: str, status: str) -> str:
    """The platform's word for a canonical status."""
    return _STATUS_WORDS[platform][status]


@dataclass(frozen=True)
class Run:
    """One life of a campaign slot; days are ordinals, `end` the first day without delivery."""

    plan: CampaignPlan
    tenant: TenantPlan
    account: Account
    generation: int
    start: int
    end: int | None
    campaign_id: str
    key: str

    @property
    def is_evergreen(self) -> bool:
        """True where no end is planned."""
        return self.plan.period is None


@dataclass(frozen=True)
class State:
    """The fields of a campaign that the change log knows, on one day."""

    campaign_name: str
    status: str
    daily_budget: Decimal
    target_roas: Decimal | None
    target_cpa: Decimal | None


@dataclass(frozen=True)
class SetRun:
    """An ad set of a run."""

    run: Run
    index: int
    adset_id: str
    name: str


@dataclass(frozen=True)
class AdRun:
    """One creative in one place of an ad set: it delivers from `first` up to, not including, `end`."""

    set_run: SetRun
    index: int
    epoch: int
    ad_id: str | None
    name: str | None
    first: int
    end: int | None
    removed: int | None
    withdrawn: bool
    product: int
    key: str


class Directory:
    """All entities of the world."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.tenants: dict[str, TenantPlan] = {plan.tenant.tenant_id: plan for plan in DEMO}
        self._runs: dict[tuple[int, int], Run] = {}
        self._sets: dict[str, tuple[SetRun, ...]] = {}
        self._ads: dict[tuple[str, int, int], AdRun] = {}

    # campaigns

    def _run(self, tenant: TenantPlan, plan: CampaignPlan, generation: int) -> Run:
        found = self._runs.get((plan.slot, generation))
        if found is None:
            start = ORIGIN_ORDINAL + plan.phase + generation * (plan.period or 0)
            account = tenant.accounts[plan.account]
            number = plan.slot * _GENERATIONS + generation
            found = Run(
                plan,
                tenant,
                account,
                generation,
                start,
                None if plan.life is None else start + plan.life,
                shaped_id(account.platform, "campaign", number),
                f"{plan.slot}.{generation}",
            )
            self._runs[(plan.slot, generation)] = found
        return found

    def runs_between(self, first: int, last: int, tenant: TenantPlan | None = None) -> list[Run]:
        """Campaigns that could deliver on a day of the period, in a fixed order."""
        found = []
        for each in [tenant] if tenant else self.tenants.values():
            for plan in each.campaigns:
                begin = ORIGIN_ORDINAL + plan.phase
                if plan.period is None or plan.life is None:
                    if begin <= last:
                        found.append(self._run(each, plan, 0))
                    continue
                oldest = max(0, (first - plan.life - begin) // plan.period + 1)
                found += [
                    self._run(each, plan, generation)
                    for generation in range(oldest, (last - begin) // plan.period + 1)
                ]
        return found

    def status(self, run: Run, ordinal: int) -> str:
        """What the campaign does on this day: active, paused, ended or removed."""
        plan = run.plan
        if run.end is not None and ordinal >= run.end:
            gone = plan.removed_after is not None and ordinal >= run.end + plan.removed_after
            return "removed" if gone else "ended"
        if plan.pause is not None:
            every, off = plan.pause
            if (ordinal - run.start) % every >= every - off:
                return "paused"
        return "active"

    def state(self, run: Run, ordinal: int) -> State:
        """The campaign's fields at the end of this day."""
        plan = run.plan
        alive = ordinal if run.end is None else min(ordinal, run.end - 1)
        age = alive - run.start
        status = self.status(run, ordinal)
        budget_step = plan.budget_steps[age // plan.budget_every % len(plan.budget_steps)]
        target_step = plan.target_steps[age // _TARGET_EVERY % len(plan.target_steps)]
        first_day = date.fromordinal(run.start)
        name = plan.name.format(
            season=season_name(first_day), month=first_day.strftime("%m"), year=first_day.year
        )
        if plan.rename_every:
            name += _SUFFIXES[age // plan.rename_every % len(_SUFFIXES)]
        return State(
            campaign_name=name,
            status=status,
            daily_budget=_nice(plan.budget * budget_step),
            target_roas=_ratio(plan.target_roas, target_step),
            target_cpa=_ratio(plan.target_cpa, target_step),
        )

    def changes(self, run: Run, first: int, last: int) -> Iterator[Change]:
        """Every field that changed on a day of the period, against the day before."""
        account = run.account
        begin = max(first, run.start + 1)
        if begin > last:
            return
        before = self.state(run, begin - 1)
        for ordinal in range(begin, last + 1):
            now = self.state(run, ordinal)
            if now == before:
                continue
            for field in ("campaign_name", "status", "daily_budget", "target_roas", "target_cpa"):
                old, new = getattr(before, field), getattr(now, field)
                if old == new:
                    continue
                if field == "status":
                    old, new = status_word(account.platform, old), status_word(account.platform, new)
                yield Change(
                    account.tenant_id,
                    account.platform,
                    account.account_id,
                    run.campaign_id,
                    date.fromordinal(ordinal),
                    field,
                    None if old is None else str(old),
                    None if new is None else str(new),
                )
            before = now

    # ad sets and ads

    def sets(self, run: Run) -> tuple[SetRun, ...]:
        """The ad sets (or asset groups) of a campaign; they live as long as it does."""
        found = self._sets.get(run.key)
        if found is None:
            level = "asset_group" if run.plan.asset_groups else "adset"
            number = (run.plan.slot * _GENERATIONS + run.generation) * 8
            found = tuple(
                SetRun(run, index, shaped_id(run.account.platform, level, number + index), each.name)
                for index, each in enumerate(run.plan.sets)
            )
            self._sets[run.key] = found
        return found

    def ads_delivering(self, run: Run, ordinal: int) -> list[AdRun]:
        """The ads (or asset groups) that may deliver on this day, if the campaign does."""
        found = []
        for set_run in self.sets(run):
            if run.plan.asset_groups:
                found.append(self._asset_group(set_run))
                continue
            found += [
                self._ad(set_run, index, self._epoch(set_run, index, ordinal))
                for index in range(run.plan.sets[set_run.index].ads)
            ]
        if run.plan.test_ads:
            epoch, age = divmod(ordinal - run.start, _TEST_EVERY)
            if age < _TEST_LIFE:
                found.append(self._test_ad(self.sets(run)[0], epoch))
        return found

    def ads_created(self, run: Run, ordinal: int) -> Iterator[AdRun]:
        """Every ad that was created up to this day, replaced and deleted ones included (asset groups
        left out).
        """
        if run.plan.asset_groups:
            return
        last = ordinal if run.end is None else min(ordinal, run.end - 1)
        for set_run in self.sets(run):
            for index in range(run.plan.sets[set_run.index].ads):
                for epoch in range(self._epoch(set_run, index, last) + 1):
                    yield self._ad(set_run, index, epoch)
        if run.plan.test_ads:
            for epoch in range((last - run.start) // _TEST_EVERY + 1):
                yield self._test_ad(self.sets(run)[0], epoch)

    def _stagger(self, set_run: SetRun, index: int) -> int:
        """Days by which this place's creative changes earlier than the ad set's; tired ad sets change
        all at once.
        """
        if set_run.run.plan.fatigue:
            return 0
        return self.chance.whole(set_run.run.plan.refresh, f"stagger|{set_run.adset_id}|{index}")

    def _epoch(self, set_run: SetRun, index: int, ordinal: int) -> int:
        run = set_run.run
        return (ordinal - run.start + self._stagger(set_run, index)) // run.plan.refresh

    def _ad(self, set_run: SetRun, index: int, epoch: int) -> AdRun:
        cached = self._ads.get((set_run.adset_id, index, epoch))
        if cached is not None:
            return cached
        run = set_run.run
        boundary = run.start - self._stagger(set_run, index) + epoch * run.plan.refresh
        first, end = max(run.start, boundary), boundary + run.plan.refresh
        if run.end is not None:
            end = min(end, run.end)
        key = f"{run.key}.{set_run.index}.{index}.{epoch}"
        removed = None
        if end - first > 3 and self.chance.uniform(f"removed|{key}") < REPLACED_ADS_REMOVED_SHARE:
            removed = end + 1 + self.chance.whole(5, f"removed on|{key}")
        found = self._make_ad(set_run, index, epoch, key, first, end, removed, withdrawn=False)
        self._ads[(set_run.adset_id, index, epoch)] = found
        return found

    def _test_ad(self, set_run: SetRun, epoch: int) -> AdRun:
        """A short-lived test ad; every one is deleted, every second one is withdrawn from the reports
        as well.
        """
        run = set_run.run
        first = run.start + epoch * _TEST_EVERY
        end = first + _TEST_LIFE
        key = f"{run.key}.{set_run.index}.{_TEST_AD}.{epoch}"
        removed = end + _TEST_REMOVED_AFTER
        return self._make_ad(set_run, _TEST_AD, epoch, key, first, end, removed, withdrawn=epoch % 2 == 1)

    def _make_ad(
        self,
        set_run: SetRun,
        index: int,
        epoch: int,
        key: str,
        first: int,
        end: int | None,
        removed: int | None,
        *,
        withdrawn: bool,
    ) -> AdRun:
        run = set_run.run
        platform = run.account.platform
        mixed = epoch if run.plan.period is None else run.generation * 4 + epoch
        # The same google ad may stand in several ad groups: there only both ids together are unique.
        place = index if run.plan.shared_ads else set_run.index * 8 + index
        ad_id = shaped_id(platform, "ad", (run.plan.slot * _EPOCHS + mixed) * 64 + place)
        if platform == "google":
            ad_id = f"{set_run.adset_id}~{ad_id}"
        product = self.chance.whole(len(run.tenant.products), f"product|{run.key}.{place}.{epoch}")
        form = FORMATS[platform][index % len(FORMATS[platform])]
        title = run.tenant.products[product].title
        name = (
            f"TEST {title} | {form} | t{epoch + 1}"
            if index == _TEST_AD
            else f"{title} | {form} | v{epoch + 1}"
        )
        return AdRun(set_run, index, epoch, ad_id, name, first, end, removed, withdrawn, product, key)

    def _asset_group(self, set_run: SetRun) -> AdRun:
        run = set_run.run
        product = set_run.index % len(run.tenant.products)
        key = f"{run.key}.{set_run.index}"
        return AdRun(set_run, 0, 0, None, None, run.start, run.end, None, False, product, key)


def _nice(amount: float) -> Decimal:
    """A budget as people set it: a round figure."""
    step = 1 if amount < 50 else 5 if amount < 2000 else 500
    return Decimal(round(amount / step) * step).quantize(Decimal("0.01"))


def _ratio(target: float | None, step: float) -> Decimal | None:
    return None if target is None else Decimal(str(round(target * step, 2))).quantize(Decimal("0.01"))
