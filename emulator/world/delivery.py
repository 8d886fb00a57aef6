"""The truth of one campaign and day: what each ad delivered and which conversions it will ever be given.

Nothing here knows when a figure becomes known; `reporting.py` does.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from emulator.world.chance import Chance, count_of, normal_of
from emulator.world.entities import AdRun, Directory, Run
from emulator.world.incidents import IncidentPlan
from emulator.world.plans import CREEP_EVERY
from emulator.world.seasons import season_of

LONGEST_DELAY = 30
_FORGET_ABOVE = 12_000


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion of an ad-day: it happens `delay` days after the click. Amounts in micros, `price` in
    minor units.

    `weight` is the share of it that the platform claims (google splits credit); 0 where tracking was broken.
    """

    delay: int
    weight: int
    price: int
    view_through: bool
    has_order: bool
    chance: float


@dataclass(frozen=True, slots=True)
class AdTruth:
    """Final figures of one ad and day; `spend` in micros of the account's currency."""

    ad: AdRun
    ordinal: int
    spend: int
    impressions: int
    clicks: int
    link_clicks: int
    reach: int | None
    settled: tuple[float, float]
    credit_age: int
    credit: float
    conversions: tuple[Conversion, ...]


def _curve(at_once: float, scale: float, shape: float, longest: int) -> list[float]:
    """Share of all conversions known at age 0, 1, … `longest` days."""
    raw = [1.0 - (1.0 - at_once) * math.exp(-((age / scale) ** shape)) for age in range(longest + 1)]
    return [share / raw[-1] for share in raw]


MATURITY: dict[str, list[float]] = {
    "meta": _curve(0.60, 4.0, 0.8, 28),
    "tiktok": _curve(0.68, 3.0, 0.8, 28),
    "google": _curve(0.52, 5.5, 0.8, 30),
    "pinterest": _curve(0.44, 6.0, 0.85, 30),
}
_SETTLED_FIRST = {"meta": 0.985, "tiktok": 0.955, "google": 0.985, "pinterest": 0.97}
_ALL_CLICKS = {"meta": 0.27, "tiktok": 0.0, "google": 0.0, "pinterest": 0.34}
_VIEW_THROUGH = {"meta": 0.14, "tiktok": 0.10, "google": 0.0, "pinterest": 0.18}
_MICRO = 1_000_000


class Delivery:
    """Truth by campaign and day, remembered for a while."""

    def __init__(self, chance: Chance, directory: Directory, incidents: IncidentPlan) -> None:
        self._chance = chance
        self._directory = directory
        self._incidents = incidents
        self._days: dict[tuple[str, int], tuple[AdTruth, ...]] = {}
        self._constants: dict[str, tuple[float, ...]] = {}

    def campaign_day(self, run: Run, ordinal: int) -> tuple[AdTruth, ...]:
        """What the campaign's ads (or asset groups) delivered; empty on a day without delivery."""
        found = self._days.get((run.key, ordinal))
        if found is None:
            if len(self._days) > _FORGET_ABOVE:
                self._days.clear()
            found = self._campaign_day(run, ordinal)
            self._days[(run.key, ordinal)] = found
        return found

    def _campaign_day(self, run: Run, ordinal: int) -> tuple[AdTruth, ...]:
        if ordinal < run.start or self._directory.status(run, ordinal) != "active":
            return ()
        plan, tenant, chance = run.plan, run.tenant, self._chance
        u = chance.uniforms(6, f"campaign|{run.key}|{ordinal}")
        if u[5] < plan.zero_share:
            return ()
        season = season_of(tenant.tenant.country, tenant.tenant.industry, ordinal)
        mood = chance.drift(ordinal, 21, f"mood|{tenant.tenant.key}")
        auction = chance.drift(ordinal, 26, f"auction|{tenant.tenant.key}|{run.account.platform}")
        age = ordinal - run.start

        spend = float(self._directory.state(run, ordinal).daily_budget)
        if plan.limited:
            spend *= min(1.08, 0.97 + 0.025 * normal_of(u[0]))
        else:
            wish = season.demand * math.exp(
                0.05 * mood + 0.07 * chance.drift(ordinal, 30, f"demand|{run.key}") + 0.065 * normal_of(u[0])
            )
            spend *= min(1.2, plan.pace * wish)
        cpm = plan.cpm * season.cpm * math.exp(0.06 * auction + 0.05 * normal_of(u[1]))
        ctr = plan.ctr * math.exp(0.05 * chance.drift(ordinal, 35, f"ctr|{run.key}") + 0.03 * normal_of(u[2]))
        cvr = (
            plan.cvr
            * season.cvr
            * math.exp(
                0.06 * mood + 0.06 * chance.drift(ordinal, 40, f"cvr|{run.key}") + 0.07 * normal_of(u[3])
            )
        )
        aov = plan.aov * season.aov
        if plan.weekend_cvr != 1.0:
            # The week's mean stays what the plan says.
            weekend = ordinal % 7 in (6, 0)
            cvr *= (plan.weekend_cvr if weekend else 1.0) * 7.0 / (5.0 + 2.0 * plan.weekend_cvr)
        if plan.creep != 1.0:
            cpm *= 1.0 + (plan.creep - 1.0) * ((age + plan.creep_phase) % CREEP_EVERY) / CREEP_EVERY
        if age < 14:
            # The learning phase: slow start, poor and restless conversion.
            spend *= min(1.0, 0.45 + 0.14 * age)
            cvr *= 0.60 + 0.40 * age / 14.0
            cpm *= 1.15 - 0.15 * age / 14.0

        for planted in self._incidents.on(tenant, ordinal):
            if planted.run is not None and planted.run.key != run.key:
                continue
            kind, factor = planted.kind.name, planted.kind.factor
            if kind in ("spend_spike", "spend_drop"):
                spend *= factor
            elif kind == "cost_spike" or planted.kind.metric == "cpm":
                cpm *= factor
            elif kind == "ctr_drop":
                ctr *= factor
            elif kind == "roas_drop":
                aov *= factor
            elif kind == "conversion_drop":
                cvr *= factor
            elif kind == "common_movement":
                cvr *= factor
                aov *= 0.92
                spend *= 1.0 if plan.limited else 1.25

        ads = self._directory.ads_delivering(run, ordinal)
        weights = [self._weight(ad, ordinal) for ad in ads]
        total = sum(weights)
        found = []
        for ad, weight in zip(ads, weights, strict=True):
            truth = self._ad_day(run, ad, ordinal, spend * weight / total, cpm, ctr, cvr, aov)
            if truth is not None:
                found.append(truth)
        return tuple(found)

    def _weight(self, ad: AdRun, ordinal: int) -> float:
        part = ad.set_run.run.plan.sets[ad.set_run.index].weight
        drift = self._chance.drift(ordinal, 18, f"share|{ad.set_run.adset_id}|{ad.index}")
        per_set = max(1, ad.set_run.run.plan.sets[ad.set_run.index].ads)
        return part / per_set * math.exp(0.35 * drift)

    def _ad_constants(self, ad: AdRun) -> tuple[float, ...]:
        """Per ad: factors of CTR, CVR and CPM, frequency when fresh."""
        found = self._constants.get(ad.key)
        if found is None:
            if len(self._constants) > _FORGET_ABOVE:
                self._constants.clear()
            u = self._chance.uniforms(4, f"ad|{ad.key}")
            spread = 0.04 if ad.set_run.run.plan.fatigue else 0.11
            found = (
                math.exp(spread * normal_of(u[0])),
                math.exp(0.08 * normal_of(u[1])),
                math.exp(0.06 * normal_of(u[2])),
                1.12 + 0.30 * u[3],
            )
            self._constants[ad.key] = found
        return found

    def _ad_day(
        self, run: Run, ad: AdRun, ordinal: int, spend: float, cpm: float, ctr: float, cvr: float, aov: float
    ) -> AdTruth | None:
        plan, platform, chance = run.plan, run.account.platform, self._chance
        u = chance.uniforms(12, f"delivery|{ad.key}|{ordinal}")
        ad_ctr, ad_cvr, ad_cpm, frequency = self._ad_constants(ad)
        ctr *= ad_ctr
        if plan.fatigue:
            worn = max(0, ordinal - ad.first - 12)
            ctr *= math.exp(-0.0115 * worn)
            frequency += 0.034 * worn
        minor = 100 if run.account.minor_units else 1
        step = 10_000 if minor == 100 and platform != "google" else 1 if platform == "google" else _MICRO
        spend_micros = round(spend * math.exp(0.10 * normal_of(u[0])) * _MICRO / step) * step
        cpm *= ad_cpm * math.exp(0.04 * normal_of(u[1]))
        impressions = int(spend_micros / _MICRO / cpm * 1000.0)
        if impressions <= 0 or spend_micros <= 0:
            return None
        mean_clicks = impressions * min(0.6, ctr)
        link_clicks = min(count_of(mean_clicks * math.exp(0.05 * normal_of(u[2])), u[3]), impressions)
        extra = count_of(link_clicks * _ALL_CLICKS[platform], u[4])
        clicks = min(impressions, link_clicks + extra)
        reach = None
        if platform != "google":
            reach = max(
                1, min(impressions, round(impressions / (frequency * math.exp(0.03 * normal_of(u[5])))))
            )
        set_cvr = plan.sets[ad.set_run.index].cvr
        mean = mean_clicks * cvr * ad_cvr * set_cvr / _mean_set_cvr(run)
        if platform == "google":
            mean /= 0.867  # credit is split: the mean weight of a google conversion
        count = count_of(mean * math.exp(0.10 * normal_of(u[6])), u[7])
        low = 1.0 - (1.0 - _SETTLED_FIRST[platform]) * 2.0
        credit_age = 3 + int(u[10] / 0.04 * 7) if platform == "google" and u[10] < 0.04 else 0
        return AdTruth(
            ad=ad,
            ordinal=ordinal,
            spend=spend_micros,
            impressions=impressions,
            clicks=clicks,
            link_clicks=link_clicks,
            reach=reach,
            settled=(low + (1.0 - low) * u[8], 0.996 + 0.004 * u[9] if u[9] < 0.5 else 1.0),
            credit_age=credit_age,
            credit=0.005 + 0.02 * u[11] if credit_age else 0.0,
            conversions=self._conversions(run, ad, ordinal, count, aov) if count else (),
        )

    def _conversions(
        self, run: Run, ad: AdRun, ordinal: int, count: int, aov: float
    ) -> tuple[Conversion, ...]:
        platform = run.account.platform
        curve = MATURITY[platform]
        minor = 100 if run.account.minor_units else 1
        lead = run.plan.is_lead
        u = self._chance.uniforms(6 * count, f"conversions|{ad.key}|{ordinal}")
        lost_click = self._incidents.is_outage(run, ordinal)
        found = []
        for start in range(0, 6 * count, 6):
            delay = min(bisect_left(curve, u[start]), len(curve) - 1)
            view_through = u[start + 1] < _VIEW_THROUGH[platform]
            # An order that happens while tracking is broken, or whose click was not tracked, is never claimed.
            lost = lost_click or (delay > 0 and self._incidents.is_outage(run, ordinal + delay))
            weight = _MICRO
            if platform == "google" and u[start + 2] > 0.7:
                weight = 500_000 if u[start + 2] < 0.9 else 670_000
            price = (
                0 if lead else max(1, round(aov * minor * math.exp(0.45 * normal_of(u[start + 3]) - 0.101)))
            )
            has_order = not lead and u[start + 4] < (0.35 if view_through else 0.86)
            found.append(
                Conversion(delay, 0 if lost else weight, price, view_through, has_order, u[start + 5])
            )
        return tuple(sorted(found, key=lambda each: (each.delay, each.chance)))


def _mean_set_cvr(run: Run) -> float:
    """Mean conversion factor of the ad sets, so that the campaign as a whole keeps its planned result."""
    total = sum(each.weight for each in run.plan.sets)
    return sum(each.weight * each.cvr for each in run.plan.sets) / total
