"""A labelled world: campaigns of all sizes over 150 days, made for difficulty, from one seed.

Grain   figures per ad and day, each reported several times while late conversions arrive
Units   money in the account's currency
Labels  follow from the parameters that the figures are drawn from, never from the figures
Varies  everything that another generator could have chosen differently is drawn per world: sizes, noise, weekday and
        season patterns, delays, how often and how strongly things go wrong
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from evaluation.truth import Incident, Movement, Situation, Truth

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

DAYS = 150
SCORED = 84
AGES = (0, 1, 2, 3, 5, 7, 10, 14, 21, 28)
PLATFORMS = ("meta", "google", "tiktok", "pinterest")
CURRENCIES = ("USD", "EUR", "CAD", "GBP")
MONEY_TYPES = ("budget_increase", "budget_decrease", "pause", "resume", "bid_adjustment")


@dataclass(frozen=True)
class Habits:
    """What one world's campaigns have in common; drawn once a world."""

    conversions_a_day: float
    spread_of_sizes: float
    spend_noise: float
    price_noise: float
    drift: float
    click_phi: float
    conversion_phi: float
    weekday_strength: float
    heavy_tails: float
    incident_rate: float
    known_at_once: dict[str, float]
    days_to_know: dict[str, float]


@dataclass
class Ad:
    """One ad's share of its campaign, and what it delivered by day; conversions and value by age of the report."""

    adset_id: str
    ad_id: str
    share: float
    quality: Floats
    frequency: Floats
    first: int = 0
    last: int = DAYS - 1
    impressions: Counts = field(default_factory=lambda: np.zeros(DAYS, np.int64))
    clicks: Counts = field(default_factory=lambda: np.zeros(DAYS, np.int64))
    spend: Floats = field(default_factory=lambda: np.zeros(DAYS))
    conversions: Counts = field(default_factory=lambda: np.zeros((DAYS, len(AGES)), np.int64))
    value: Floats = field(default_factory=lambda: np.zeros((DAYS, len(AGES))))


@dataclass
class Campaign:
    """One campaign: its true levels, what acts on them day by day (logs), and its ads."""

    tenant_id: str
    platform: str
    account_id: str
    currency: str
    campaign_id: str
    name: str
    spend: float
    cpm: float
    ctr: float
    cvr: float
    aov: float
    order_cv: float
    budget: float
    is_capped: bool
    elasticity: float
    kind: str
    ratio: float
    target_roas: float | None = None
    target_cpa: float | None = None
    start: int = 0
    status: str = "active"
    ads: list[Ad] = field(default_factory=list)
    acts: dict[str, Floats] = field(default_factory=dict)
    on: NDArray[np.bool_] = field(default_factory=lambda: np.ones(DAYS, np.bool_))
    budget_factor: Floats = field(default_factory=lambda: np.ones(DAYS))
    changes: list[tuple[int, str, str, str]] = field(default_factory=list)
    busy: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(DAYS, np.bool_))

    def act(self, chain: str, first: int, last: int, log_effect: float | Floats) -> None:
        self.acts[chain][first : last + 1] += log_effect

    @property
    def clicks_a_day(self) -> float:
        return self.spend / self.cpm * 1000 * self.ctr

    @property
    def conversions_a_day(self) -> float:
        return self.clicks_a_day * self.cvr


@dataclass
class World:
    """The campaigns of one seed with their figures drawn, and the truth about them."""

    seed: int
    first_day: date
    campaigns: list[Campaign]
    truth: Truth

    def day(self, index: int) -> date:
        return self.first_day + timedelta(days=int(index))


def make_world(seed: int, n_campaigns: int | None = None, *, quiet: bool = False) -> World:
    """The world of a seed. `quiet` leaves out everything that happens: only noise is left (a flat history)."""
    rng = np.random.default_rng([seed, 20260])
    habits = _habits(rng)
    last_day = date(2024, 12, 15) + timedelta(days=int(rng.integers(0, 355)))
    first_day = last_day - timedelta(days=DAYS - 1)
    truth = Truth(first_scored=first_day + timedelta(days=DAYS - SCORED), last_scored=last_day)
    world = World(seed, first_day, [], truth)
    total = n_campaigns or int(rng.integers(50, 131))
    tenants = int(rng.integers(1, 4)) if total >= 45 else 1
    weights = rng.dirichlet(np.full(tenants, 6.0))
    for number in range(tenants):
        _Tenant(world, rng, habits, number, max(round(total * weights[number]), 8), quiet).build()
    return world


def judge_last(world: World, days: int) -> None:
    """Score only the last days of a world: what began before them is left out."""
    truth = world.truth
    truth.first_scored = truth.last_scored - timedelta(days=days - 1)
    truth.active_days = sum(int(one.on[DAYS - days :].sum()) for one in world.campaigns)
    truth.incidents = [one for one in truth.incidents if one.first_day >= truth.first_scored]
    truth.situations = [
        replace(one, first_day=max(one.first_day, truth.first_scored)) for one in truth.situations
    ]


def _habits(rng: np.random.Generator) -> Habits:
    return Habits(
        conversions_a_day=float(rng.uniform(2.0, 7.0)),
        spread_of_sizes=float(rng.uniform(0.8, 1.3)),
        spend_noise=float(rng.uniform(0.05, 0.16)),
        price_noise=float(rng.uniform(0.04, 0.11)),
        drift=float(rng.uniform(0.02, 0.08)),
        click_phi=float(rng.uniform(0.002, 0.03)),
        conversion_phi=float(rng.uniform(0.0, 0.12)),
        weekday_strength=float(rng.uniform(0.03, 0.15)),
        heavy_tails=float(rng.uniform(3.5, 9.0)),
        incident_rate=float(rng.uniform(0.4, 0.9)),
        known_at_once={name: float(rng.uniform(0.35, 0.9)) for name in PLATFORMS},
        days_to_know={name: float(rng.uniform(1.0, 6.0)) for name in PLATFORMS},
    )


# How campaigns stand against their target, and how often. Right advice needs enough conversions to be knowable: the
# gates are those of the decision rules (15 called for to cut, 30 to raise, in 30 days).
KINDS = {
    "on_target": 0.30,
    "winner_capped": 0.11,
    "winner_uncapped": 0.07,
    "saturated_winner": 0.03,
    "loser": 0.10,
    "hopeless": 0.07,
    "dear_clicks": 0.05,
    "tired": 0.06,
    "weak_adset": 0.05,
    "weak_weekend": 0.05,
    "grey": 0.08,
    "flat_frequency": 0.03,
}


class _Tenant:
    """One tenant of a world on its way: common movements, campaigns, what happens to them, figures."""

    def __init__(
        self, world: World, rng: np.random.Generator, habits: Habits, number: int, size: int, quiet: bool
    ) -> None:
        self.world, self.rng, self.habits, self.size, self.quiet = world, rng, habits, size, quiet
        self.name = f"w{world.seed}-t{number + 1}"
        self.tenant_id = str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))
        self.number = number
        self.currency = str(rng.choice(CURRENCIES))
        self.common = {chain: np.zeros(DAYS) for chain in ("spend", "cpm", "ctr", "cvr", "aov")}
        self.weekday = {
            "spend": rng.normal(0, habits.weekday_strength, 7),
            "cpm": rng.normal(0, habits.weekday_strength / 2, 7),
            "ctr": rng.normal(0, habits.weekday_strength / 3, 7),
            "cvr": rng.normal(0, habits.weekday_strength, 7),
            "aov": np.zeros(7),
        }
        self.weekdays = np.array([world.day(index).weekday() for index in range(DAYS)])
        self.campaigns: list[Campaign] = []
        self.promo = np.zeros(DAYS, np.bool_)

    def build(self) -> None:
        self._move_together()
        accounts = [
            (str(platform), f"{self.name}-{platform}-{n}")
            for platform in self.rng.choice(PLATFORMS, size=int(self.rng.integers(2, 5)), replace=False)
            for n in range(1 + int(self.rng.random() < 0.25))
        ]
        for number in range(self.size):
            platform, account = accounts[int(self.rng.integers(0, len(accounts)))]
            self.campaigns.append(self._campaign(number, platform, account))
        if not self.quiet:
            self._happenings()
        for campaign in self.campaigns:
            self._draw(campaign)
        self.world.campaigns += self.campaigns
        truth = self.world.truth
        for campaign in self.campaigns:
            truth.campaigns[campaign.campaign_id] = (
                campaign.tenant_id,
                campaign.platform,
                campaign.account_id,
            )
            for ad in campaign.ads:
                truth.campaign_of[ad.adset_id] = campaign.campaign_id
            truth.active_days += int(campaign.on[DAYS - SCORED :].sum())

    # -- what moves the whole tenant ---------------------------------------------------------------------

    def _move_together(self) -> None:
        rng = self.rng
        for chain, spread in (("spend", 0.04), ("cpm", 0.05), ("ctr", 0.02), ("cvr", 0.05), ("aov", 0.02)):
            self.common[chain] += _drifting(rng, DAYS, spread, 0.85)
        if self.quiet:
            return
        for index in range(DAYS):
            day = self.world.day(index)
            black_friday = _black_friday(day.year)
            if black_friday - timedelta(days=1) <= day <= black_friday + timedelta(days=3):
                self._common(index, index, "holiday season", spend=0.45, cpm=0.4, cvr=0.5, aov=0.05)
            if (day.month, day.day) in ((12, 24), (12, 25), (12, 26), (1, 1), (7, 4)):
                self._common(index, index, "holiday", spend=-0.3, cpm=-0.2, cvr=-0.3)
        for _ in range(int(rng.poisson(2))):
            first = int(rng.integers(30, DAYS - 4))
            last = first + int(rng.integers(0, 4))
            lift = float(np.log(rng.uniform(1.3, 2.2)))
            self._common(first, last, "promotion", spend=0.15 * lift, cpm=0.1, cvr=lift, aov=-0.12)
        for _ in range(int(rng.poisson(1))):
            first = int(rng.integers(40, DAYS - 8))
            last = first + int(rng.integers(2, 11))
            self._common(first, last, "price shock", cpm=float(np.log(rng.uniform(1.3, 1.7))))
        if rng.random() < 0.35:  # weeks of better sales: what looks like a winner is the season
            first = int(rng.integers(DAYS - SCORED, DAYS - 35))
            last = min(first + int(rng.integers(25, 40)), DAYS - 1)
            self._common(first, last, "season", cvr=float(np.log(rng.uniform(1.25, 1.5))))
            self.promo[first : last + 1] = True

    def _common(self, first: int, last: int, kind: str, **effects: float) -> None:
        for chain, effect in effects.items():
            self.common[chain][first : last + 1] += effect
        self.world.truth.movements.append(
            Movement(self.tenant_id, self.world.day(first), self.world.day(min(last, DAYS - 1)), kind)
        )

    # -- campaigns ---------------------------------------------------------------------------------------

    def _campaign(self, number: int, platform: str, account: str) -> Campaign:
        rng, habits = self.rng, self.habits
        kind = "on_target" if self.quiet else str(rng.choice(list(KINDS), p=_shares(KINDS)))
        conversions = float(np.exp(rng.normal(np.log(habits.conversions_a_day), habits.spread_of_sizes)))
        if rng.random() < 0.06:
            conversions *= 0.02  # campaigns that hardly ever convert
        conversions = min(max(conversions, 0.01), 150.0)
        cvr = float(np.clip(np.exp(rng.normal(np.log(0.03), 0.5)), 0.004, 0.15))
        ctr = float(np.clip(np.exp(rng.normal(np.log(0.012), 0.4)), 0.002, 0.08))
        cpc = float(np.exp(rng.normal(np.log(0.8), 0.4)))
        aov = float(np.exp(rng.normal(np.log(60), 0.5)))
        spend = conversions / cvr * cpc
        ratio = {
            "winner_capped": rng.uniform(1.6, 2.4),
            "winner_uncapped": rng.uniform(1.7, 2.5),
            "saturated_winner": rng.uniform(1.5, 2.0),
            "loser": rng.uniform(0.45, 0.65),
            "hopeless": rng.uniform(0.08, 0.28),
            "dear_clicks": rng.uniform(0.95, 1.1),
            "grey": rng.choice([rng.uniform(0.72, 0.88), rng.uniform(1.15, 1.4)]),
        }.get(kind, rng.uniform(0.92, 1.1))
        capped = kind in ("winner_capped", "saturated_winner") or (
            kind != "winner_uncapped" and rng.random() < 0.45
        )
        campaign = Campaign(
            self.tenant_id, platform, account, self.currency, f"{self.name}-c{number + 1}",
            f"{platform} {kind.split('_')[0][:2]}{number + 1}",
            spend, cpc * ctr * 1000, ctr, cvr, aov, float(rng.uniform(0.3, 1.0)),
            budget=float(np.ceil(spend / (rng.uniform(0.93, 1.0) if capped else rng.uniform(0.4, 0.72)) * 100) / 100),
            is_capped=bool(capped),
            elasticity=0.3 if kind == "saturated_winner" else float(rng.uniform(0.78, 0.92)),
            kind=kind,
            ratio=float(ratio),
        )  # fmt: skip
        roas = aov * cvr / cpc
        if rng.random() < 0.75:
            campaign.target_roas = max(round(roas / campaign.ratio, 3), 0.001)
        elif rng.random() < 0.85:
            campaign.target_cpa = round(cpc / cvr * campaign.ratio, 2)
        campaign.acts = {chain: np.zeros(DAYS) for chain in ("spend", "cpm", "ctr", "cvr", "aov", "track")}
        if rng.random() < 0.12 and not self.quiet and kind in ("on_target", "grey"):
            campaign.start = int(rng.integers(20, DAYS - 20))
            campaign.on[: campaign.start] = False
            ramp = np.minimum(np.arange(DAYS - campaign.start) / 7.0, 1.0)
            campaign.acts["spend"][campaign.start :] += np.log(0.4 + 0.6 * ramp)
            campaign.acts["cvr"][campaign.start :] += np.log(0.7 + 0.3 * ramp)
        self._make_ads(campaign)
        return campaign

    def _make_ads(self, campaign: Campaign) -> None:
        rng = self.rng
        n_sets = 1 if campaign.kind == "tired" else int(rng.integers(1, 4))
        if campaign.kind == "weak_adset":
            n_sets = int(rng.integers(2, 5))
        shares = rng.dirichlet(np.full(n_sets, 8.0))
        for number in range(n_sets):
            adset = f"{campaign.campaign_id}-s{number + 1}"
            start_frequency = float(rng.uniform(1.05, 1.8))
            wobble = np.exp(_drifting(rng, DAYS, 0.05, 0.9))
            frequency = start_frequency * wobble
            if (
                rng.random() < 0.15 and campaign.kind == "on_target"
            ):  # seen more often, clicked as before: no fatigue
                frequency = frequency * (1 + 0.6 * np.clip((np.arange(DAYS) - 40) / 60, 0, 1))
            n_ads = int(rng.integers(1, 4))
            for ad_number, share in enumerate(rng.dirichlet(np.full(n_ads, 5.0))):
                campaign.ads.append(
                    Ad(
                        adset, f"{adset}-a{ad_number + 1}", float(shares[number] * share),
                        np.ones(DAYS) * float(np.exp(rng.normal(0, 0.08))), np.maximum(frequency, 1.0),
                    )
                )  # fmt: skip

    # -- what happens ------------------------------------------------------------------------------------

    def _happenings(self) -> None:
        for campaign in self.campaigns:
            self._change(campaign)
        for campaign in self.campaigns:
            self._situate(campaign)
        self._break_accounts()
        for campaign in self.campaigns:
            self._go_wrong(campaign)

    def _situate(self, c: Campaign) -> None:
        """Give the campaign's kind its effect, and say what advice is right in it."""
        rng = self.rng
        called_for = c.conversions_a_day / c.ratio * 30
        has_target = c.target_roas is not None or c.target_cpa is not None
        start = DAYS - SCORED
        right: tuple[str, ...] = ()
        neutral: tuple[str, ...] = ()
        tempting: tuple[str, ...] = ()
        if c.kind in ("winner_capped", "winner_uncapped", "saturated_winner"):
            right = {
                "winner_capped": ("budget_increase",), "winner_uncapped": ("bid_adjustment",), "saturated_winner": (),
            }[c.kind]  # fmt: skip
            neutral = ("bid_adjustment",) if c.kind != "winner_uncapped" else ()
            tempting = ("budget_increase",) if c.kind != "winner_capped" else ()
            if c.kind == "saturated_winner" or (c.kind == "winner_capped" and rng.random() < 0.3):
                start = self._raised_before(c)  # how it answered tells how much more it can take
            if c.conversions_a_day * 30 < 30:
                right, neutral, tempting = (), (*right, *neutral), ()
            neutral = (*neutral, "resume")
        elif c.kind in ("loser", "hopeless"):
            right = ("budget_decrease",) if c.kind == "loser" else ("pause",)
            neutral = (
                ("pause",) if c.kind == "loser" and c.ratio < 0.5 else ("budget_decrease", "bid_adjustment")
            )
            if called_for < 15:
                right, neutral = (), ("budget_decrease", "pause")
        elif c.kind == "dear_clicks":
            first = int(rng.integers(60, 100))
            start = first + 14
            rise = float(np.log(rng.uniform(1.5, 2.1)))
            c.act("cpm", first, DAYS - 1, rise * np.minimum(np.arange(DAYS - first) / 10.0, 1.0))
            c.busy[first : first + 20] = True
            right, neutral = ("bid_adjustment",), ("budget_decrease", "pause")
            if c.clicks_a_day * 14 < 60 or called_for < 20:
                right, neutral = (), ("bid_adjustment", "budget_decrease", "pause")
        elif c.kind == "tired":
            first = int(rng.integers(45, 90))
            start = first + 30
            fall = np.log(rng.uniform(0.42, 0.62)) * np.clip(np.arange(DAYS - first) / 24.0, 0, 1)
            c.act("ctr", first, DAYS - 1, fall)
            for ad in c.ads:
                ad.frequency[first:] *= 1 + rng.uniform(0.6, 1.2) * np.clip(
                    np.arange(DAYS - first) / 24.0, 0, 1
                )
            c.busy[first:] = True
            right, tempting = ("creative",), ("budget_decrease", "pause")
            if c.clicks_a_day * 14 < 60:
                right, neutral, tempting = (), ("creative", "budget_decrease"), ()
        elif c.kind == "flat_frequency":
            first = int(rng.integers(45, 90))
            start = first + 30
            c.act(
                "ctr",
                first,
                DAYS - 1,
                np.log(rng.uniform(0.55, 0.7)) * np.clip(np.arange(DAYS - first) / 24, 0, 1),
            )
            c.busy[first:] = True
            tempting, neutral = ("creative",), ("budget_decrease", "bid_adjustment")
        elif c.kind == "weak_adset":
            adset = c.ads[-1].adset_id
            weak = [ad for ad in c.ads if ad.adset_id == adset]
            share = sum(ad.share for ad in weak)
            factor = float(rng.uniform(0.12, 0.33))
            for ad in weak:
                ad.quality *= factor
            expected = share * c.conversions_a_day * 60
            right = ("audience",)
            if share < 0.16 or expected < 25:
                right, neutral = (), ("audience",)
        elif c.kind == "weak_weekend":
            factor = float(rng.uniform(0.1, 0.33))
            weekend = self.weekdays >= 5
            c.acts["cvr"] += np.where(weekend, np.log(factor), np.log((7 - 2 * factor) / 5))
            right = ("timing",)
            if c.conversions_a_day * 16 < 25:
                right, neutral = (), ("timing",)
        if c.kind == "grey":
            neutral = ("budget_increase", "budget_decrease", "bid_adjustment", "pause")
        if c.kind == "on_target":
            tempting = ("budget_increase", "budget_decrease", "pause", "bid_adjustment")
        # A budget that was cut earns more per unit, one that was raised less: moving it back is neither right nor
        # wrong.
        moved = float(np.exp(c.acts["spend"][-1]))
        ratio_now = c.ratio * moved ** (c.elasticity - 1)
        if c.kind in ("on_target", "weak_adset", "weak_weekend", "flat_frequency"):
            if ratio_now > 1.14:
                neutral = (*neutral, "budget_increase", "bid_adjustment")
            elif ratio_now < 0.88:
                neutral = (*neutral, "budget_decrease", "bid_adjustment")
            tempting = tuple(one for one in tempting if one not in neutral)
            neutral = (*neutral, "resume")
        if c.kind == "weak_adset":
            neutral = (*neutral, "resume")
        if not has_target:  # advice about money needs a target of its own
            right = tuple(one for one in right if one not in MONEY_TYPES)
        begin = max(start, c.start)
        if begin < DAYS - 1:
            self.world.truth.situations.append(
                Situation(
                    c.tenant_id, c.platform, c.campaign_id, self.world.day(begin), self.world.day(DAYS - 1), c.kind,
                    right, neutral, tempting,
                )
            )  # fmt: skip

    def _raised_before(self, c: Campaign) -> int:
        """A logged raise of the budget before which it spent less; returns the day from which advice is judged."""
        day = int(self.rng.integers(72, 100))
        step = float(np.log(self.rng.uniform(1.45, 1.9)))
        c.act("spend", 0, day - 1, -step)
        c.act("cvr", 0, day - 1, (1 - c.elasticity) * step)
        c.budget_factor[:day] /= np.exp(step)
        c.changes.append((day, "daily_budget", f"{c.budget / np.exp(step):.2f}", f"{c.budget:.2f}"))
        c.busy[day - 3 : day + 8] = True
        return day + 21

    def _change(self, c: Campaign) -> None:
        """Budget changes, pauses, a target's correction: all in the change log."""
        rng = self.rng
        if c.kind in ("on_target", "grey", "loser", "weak_adset") and rng.random() < 0.3:
            day = int(rng.integers(max(c.start + 15, 25), DAYS - 3)) if c.start + 15 < DAYS - 3 else 0
            if day:
                factor = float(rng.choice([rng.uniform(0.45, 0.75), rng.uniform(1.25, 2.2)]))
                old = c.budget
                c.budget_factor[day:] *= factor
                if c.is_capped or factor < 0.8:
                    moved = factor if c.is_capped else max(factor, 0.0)
                    if not c.is_capped:
                        moved = min(1.0, factor * c.budget / c.spend)
                    c.act("spend", day, DAYS - 1, float(np.log(moved)))
                    c.act("cvr", day, DAYS - 1, (c.elasticity - 1) * float(np.log(moved)))
                c.changes.append((day, "daily_budget", f"{old:.2f}", f"{old * factor:.2f}"))
                c.busy[max(day - 3, 0) : day + 8] = True
        if rng.random() < 0.12 and c.kind not in ("winner_capped", "saturated_winner"):
            first = int(rng.integers(max(c.start + 15, 30), DAYS - 10)) if c.start + 15 < DAYS - 10 else 0
            if first:
                last = first + int(rng.integers(2, 12))
                last = min(last, DAYS - 3)
                c.on[first : last + 1] = False
                c.changes.append((first, "status", "active", "paused"))
                c.changes.append((last + 1, "status", "paused", "active"))
                c.busy[first - 3 : last + 6] = True
                if rng.random() < 0.15:
                    c.on[first:] = False
                    c.changes.pop()
                    c.status = "paused"
                    c.busy[first:] = True
        if rng.random() < 0.25:  # new ads, new ids: the campaign goes on
            day = int(rng.integers(30, DAYS - 10))
            for ad in [one for one in c.ads if one.last == DAYS - 1][:1]:
                if c.kind in ("tired",):
                    break
                ad.last = day - 1
                c.ads.append(
                    Ad(
                        ad.adset_id,
                        ad.ad_id + "n",
                        ad.share,
                        ad.quality.copy(),
                        ad.frequency.copy(),
                        first=day,
                    )
                )

    def _break_accounts(self) -> None:
        """A pixel lost in a whole account: conversions stop in all of its campaigns."""
        rng = self.rng
        by_account: dict[str, list[Campaign]] = {}
        for campaign in self.campaigns:
            by_account.setdefault(campaign.account_id, []).append(campaign)
        for account, members in by_account.items():
            if rng.random() > 0.25 or sum(one.conversions_a_day for one in members) < 8:
                continue
            first = int(rng.integers(DAYS - SCORED + 5, DAYS - 6))
            last = first + int(rng.integers(1, 5))
            share = float(rng.choice([0.0, 0.05, 0.1]))
            loss = 0.0
            touched = []
            for one in members:
                if one.on[first : last + 1].all() and first > one.start + 12:
                    one.act("track", first, last, float(np.log(max(share, 1e-4))))
                    one.busy[max(first - 6, 0) : last + 8] = True
                    loss += one.conversions_a_day * one.aov * (1 - share)
                    touched.append(one.campaign_id)
            if len(touched) >= 2:
                self.world.truth.incidents.append(
                    Incident(
                        self.tenant_id, members[0].platform, "account", account, account, self.world.day(first),
                        self.world.day(last), "conversion_drop", "account outage", share, loss, tuple(touched),
                    )
                )  # fmt: skip

    def _go_wrong(self, c: Campaign) -> None:
        rng = self.rng
        for _ in range(int(rng.poisson(self.habits.incident_rate))):
            first = int(rng.integers(DAYS - SCORED + 1, DAYS - 2))
            cause = str(rng.choice(list(CAUSES)))
            kind, chain, effects, longest = CAUSES[cause]
            last = min(first + int(rng.integers(0 if longest <= 5 else 1, longest)), DAYS - 1)
            window = slice(max(first - 9, 0), min(last + 9, DAYS))
            if c.busy[window].any() or not c.on[window].all() or first < c.start + 25:
                continue
            effect = float(rng.choice(effects)) * float(np.exp(rng.normal(0, 0.05)))
            if effect <= 0.001:
                effect = 0.0
            c.busy[window] = True
            log_effect = float(np.log(max(effect, 1e-9)))
            c.act(chain, first, last, max(log_effect, -12.0) if chain == "track" else log_effect)
            worth = c.conversions_a_day * c.aov
            loss = {
                "spend": c.spend * abs(effect - 1), "cpm": c.spend * (1 - 1 / max(effect, 1.0)),
                "ctr": c.spend * (1 - effect),
                "cvr": worth * (1 - effect), "track": worth * (1 - effect), "aov": worth * (1 - effect),
            }[chain]  # fmt: skip
            self.world.truth.incidents.append(
                Incident(
                    self.tenant_id, c.platform, "campaign", c.campaign_id, c.account_id, self.world.day(first),
                    self.world.day(last), kind, cause, effect, loss,
                )
            )  # fmt: skip

    # -- figures -----------------------------------------------------------------------------------------

    def _draw(self, c: Campaign) -> None:
        rng, habits = self.rng, self.habits
        own = {
            "spend": _drifting(rng, DAYS, habits.drift, 0.9),
            "cpm": _drifting(rng, DAYS, habits.drift, 0.9),
            "ctr": _drifting(rng, DAYS, habits.drift * 0.7, 0.93),
            "cvr": _drifting(rng, DAYS, habits.drift, 0.93),
            "aov": _drifting(rng, DAYS, habits.drift * 0.5, 0.9),
        }
        if rng.random() < 0.2:
            own["spend"] += np.linspace(-1, 1, DAYS) * rng.uniform(-0.25, 0.25)
        logs = {}
        for chain, drift in own.items():
            weekday = self.weekday[chain] + rng.normal(0, habits.weekday_strength / 3, 7)
            responsive = rng.uniform(0.6, 1.3)
            logs[chain] = drift + weekday[self.weekdays] + responsive * self.common[chain] + c.acts[chain]
        tails = rng.standard_t(habits.heavy_tails, DAYS) * habits.spend_noise / np.sqrt(1.5)
        if c.is_capped:
            spend = c.spend * np.exp(np.minimum(0.4 * (tails + own["spend"]), 0.08) + c.acts["spend"])
        else:
            spend = c.spend * np.exp(np.clip(logs["spend"] + tails, -8, 8))
            if not (c.acts["spend"] > 0.2).any():
                spend = np.minimum(spend, c.budget * c.budget_factor * 1.25)
        spend = np.where(c.on & (c.acts["spend"] > -7), np.maximum(np.round(spend, 2), 0.01), 0.0)
        price = c.cpm * np.exp(logs["cpm"] + rng.normal(0, habits.price_noise, DAYS))
        impressions = np.where(spend > 0, np.maximum(rng.poisson(spend / price * 1000), 1), 0).astype(
            np.int64
        )
        clicks = np.minimum(
            _counts(rng, impressions * np.clip(c.ctr * np.exp(logs["ctr"]), 0, 0.6), habits.click_phi),
            impressions,
        )
        rate = np.clip(c.cvr * np.exp(logs["cvr"] + c.acts["track"]), 0, 0.9)
        conversions = np.minimum(_counts(rng, clicks * rate, habits.conversion_phi), clicks)
        values = np.where(
            conversions > 0,
            rng.gamma(np.maximum(conversions, 1) / c.order_cv**2, c.aov * c.order_cv**2)
            * np.exp(logs["aov"]),
            0.0,
        )
        self._share_out(c, spend, impressions, clicks, conversions, values)

    def _share_out(
        self,
        c: Campaign,
        spend: Floats,
        impressions: Counts,
        clicks: Counts,
        conversions: Counts,
        values: Floats,
    ) -> None:
        """Give each ad its part of the campaign's day, and each report its part of the conversions."""
        rng = self.rng
        at_once = self.habits.known_at_once[c.platform]
        slow = self.habits.days_to_know[c.platform]
        known = np.array([1 - (1 - at_once) * np.exp(-age / slow) for age in AGES])
        known[-1] = 1.0
        steps = np.diff(known, prepend=0.0)
        steps = steps / steps.sum()
        wobble = [np.exp(_drifting(rng, DAYS, 0.1, 0.9)) for _ in c.ads]
        for day in range(DAYS):
            if spend[day] <= 0:
                continue
            shares = np.array(
                [
                    ad.share * w[day] if ad.first <= day <= ad.last else 0.0
                    for ad, w in zip(c.ads, wobble, strict=True)
                ]
            )
            shares = shares / shares.sum()
            cents = rng.multinomial(round(spend[day] * 100), shares)
            seen = rng.multinomial(impressions[day], shares)
            pressed = rng.multinomial(clicks[day], shares)
            weights = pressed * np.array([ad.quality[day] for ad in c.ads])
            bought = (
                rng.multinomial(conversions[day], weights / weights.sum())
                if weights.sum() > 0
                else np.zeros(len(c.ads), int)
            )
            for place, ad in enumerate(c.ads):
                if seen[place] == 0 and cents[place] == 0:
                    continue
                ad.impressions[day] = seen[place]
                ad.clicks[day] = pressed[place]
                ad.spend[day] = cents[place] / 100
                if bought[place]:
                    arrived = np.cumsum(rng.multinomial(bought[place], steps))
                    ad.conversions[day] = arrived
                    ad.value[day] = np.round(values[day] * arrived / conversions[day], 2)


# cause -> anomaly type, what it acts on, effect sizes, longest duration in days
CAUSES: dict[str, tuple[str, str, tuple[float, ...], int]] = {
    "overspend": ("spend_spike", "spend", (1.5, 2.0, 3.0), 5),
    "underspend": ("spend_drop", "spend", (0.15, 0.3, 0.5), 6),
    "delivery stopped": ("spend_drop", "spend", (0.0,), 5),
    "dearer clicks": ("cost_spike", "cpm", (1.5, 2.0, 3.0), 6),
    "fewer convert": ("cost_spike", "cvr", (0.35, 0.5, 0.65), 9),
    "fewer click": ("ctr_drop", "ctr", (0.35, 0.5, 0.65), 8),
    "tracking lost": ("conversion_drop", "track", (0.0, 0.05, 0.1), 6),
    "smaller orders": ("roas_drop", "aov", (0.3, 0.45, 0.6), 8),
}


def _shares(weights: dict[str, float]) -> Floats:
    values = np.array(list(weights.values()))
    return np.asarray(values / values.sum())


def _drifting(rng: np.random.Generator, days: int, spread: float, memory: float) -> Floats:
    """A slow wandering around zero: AR(1) of this standard deviation."""
    noise = rng.normal(0, spread * np.sqrt(1 - memory**2), days)
    found = np.empty(days)
    level = float(rng.normal(0, spread))
    for index in range(days):
        level = memory * level + noise[index]
        found[index] = level
    return found


def _counts(rng: np.random.Generator, mean: Floats, phi: float) -> Counts:
    """Negative binomial counts with variance mean + phi mean²."""
    if phi < 1e-6:
        return rng.poisson(mean)
    return rng.poisson(mean * rng.gamma(1 / phi, phi, len(mean)))


def _black_friday(year: int) -> date:
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 22)
