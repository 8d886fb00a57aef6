"""The campaigns, ad sets, ads and creatives of one account as they stand at the end of a day, in Meta's words.

What the world does not say is derived from ids, always the same: creatives, pixels, times of day. Meta knows no
"ended" campaign: it stays ACTIVE with a `stop_time` in the past, until someone archives it (here a month later);
an ad that was replaced is paused, and archived after three months.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from emulator.world import Account, Campaign, World
from emulator.world.entities import ORIGIN, AdRun, Run

CAMPAIGN_ARCHIVED_AFTER = 30
AD_ARCHIVED_AFTER = 90
HIDDEN = ("ARCHIVED", "DELETED")
AD_STATUSES = (
    "ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "ADSET_PAUSED", "CAMPAIGN_PAUSED", "PENDING_REVIEW", "DISAPPROVED",
    "PREAPPROVED", "PENDING_BILLING_INFO", "IN_PROCESS", "WITH_ISSUES",
)  # fmt: skip

# Currencies without minor units: an amount of 1500 is 1500, not 15.00.
_NO_MINOR_UNITS = {"CLP", "COP", "CRC", "HUF", "ISK", "IDR", "JPY", "KRW", "PYG", "TWD", "VND"}


def minor_units(currency: str) -> int:
    """Minor units per major unit: 1 or 100."""
    return 1 if currency in _NO_MINOR_UNITS else 100


def share_of(*key: object) -> float:
    """A number in [0, 1) that belongs to the key."""
    return (
        int.from_bytes(hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=6).digest(), "big")
        / 2**48
    )


def number_of(*key: object, digits: int = 15) -> str:
    """An id-like number that belongs to the key."""
    low = 10 ** (digits - 1)
    return str(low + int(share_of("number", *key) * 9 * low))


@dataclass(frozen=True)
class CampaignNode:
    """One campaign."""

    id: str
    record: Campaign
    run: Run
    status: str
    effective_status: str

    @property
    def has_adset_budgets(self) -> bool:
        """Lead campaigns set their budgets on the ad sets, all others on the campaign."""
        return self.run.plan.is_lead


@dataclass(frozen=True)
class AdSetNode:
    """One ad set."""

    id: str
    name: str
    index: int
    campaign: CampaignNode
    status: str
    effective_status: str


@dataclass(frozen=True)
class AdNode:
    """One ad; its creative is one to one with it."""

    id: str
    name: str
    ad: AdRun
    adset: AdSetNode
    status: str
    effective_status: str

    @property
    def creative(self) -> CreativeNode:
        """The ad's creative."""
        return CreativeNode("12024" + self.id[5:], self)


@dataclass(frozen=True)
class CreativeNode:
    """One creative."""

    id: str
    ad: AdNode


class Catalog:
    """Everything in one account as of one day."""

    def __init__(self, world: World, account: Account, as_of: date) -> None:
        self.world = world
        self.account = account
        self.as_of = as_of
        self.zone = ZoneInfo(account.timezone)
        ordinal = as_of.toordinal()
        self.campaigns: dict[str, CampaignNode] = {}
        self.adsets: dict[str, AdSetNode] = {}
        self.ads: dict[str, AdNode] = {}
        for run in world.runs_between(ORIGIN, as_of):
            if run.account.account_id != account.account_id:
                continue
            campaign = self._campaign(run, ordinal)
            self.campaigns[campaign.id] = campaign
            sets = {}
            for each in world.directory.sets(run):
                statuses = _below(campaign, "ACTIVE")
                adset = AdSetNode(each.adset_id, each.name, each.index, campaign, *statuses)
                sets[each.index] = self.adsets[adset.id] = adset
            for ad in world.directory.ads_created(run, ordinal):
                node = self._ad(ad, sets[ad.set_run.index], ordinal)
                self.ads[node.id] = node

    @cached_property
    def creatives(self) -> dict[str, CreativeNode]:
        """Creatives by id."""
        return {creative.id: creative for creative in (ad.creative for ad in self.ads.values())}

    def _campaign(self, run: Run, ordinal: int) -> CampaignNode:
        record = self.world.campaign_record(run, self.as_of)
        if record.status == "removed":
            status = "DELETED"
        elif run.end is not None and ordinal >= run.end + CAMPAIGN_ARCHIVED_AFTER:
            status = "ARCHIVED"
        else:
            status = "PAUSED" if record.status == "paused" else "ACTIVE"
        return CampaignNode(run.campaign_id, record, run, status, status)

    def _ad(self, ad: AdRun, adset: AdSetNode, ordinal: int) -> AdNode:
        own = "ACTIVE"
        if ad.removed is not None and ad.removed <= ordinal:
            own = "DELETED"
        elif ad.end is not None and ad.end <= ordinal and ad.end != adset.campaign.run.end:
            own = "ARCHIVED" if ordinal >= ad.end + AD_ARCHIVED_AFTER else "PAUSED"
        return AdNode(ad.ad_id or "", ad.name or "", ad, adset, *_below(adset.campaign, own))

    # times

    def moment(self, day: date, *key: object) -> datetime:
        """A time of that day that belongs to the key, within office hours, in the account's time zone."""
        return self._at(day, 8 * 3600 + int(share_of("time", *key) * 10 * 3600))

    def midnight(self, day: date) -> datetime:
        """The beginning of a day in the account's time zone."""
        return self._at(day, 0)

    def _at(self, day: date, seconds: int) -> datetime:
        return datetime.combine(day, time(), self.zone) + timedelta(seconds=seconds)

    def created(self, node: CampaignNode | AdSetNode | AdNode) -> datetime:
        """When it was made."""
        if isinstance(node, AdNode):
            return self.moment(date.fromordinal(node.ad.first), node.id)
        run = node.run if isinstance(node, CampaignNode) else node.campaign.run
        return self.moment(date.fromordinal(run.start), node.id)

    def updated(self, node: CampaignNode | AdSetNode | AdNode) -> datetime:
        """When it last changed itself; a parent's change does not count."""
        if isinstance(node, AdNode):
            ends = (
                node.ad.end,
                None if node.ad.end is None else node.ad.end + AD_ARCHIVED_AFTER,
                node.ad.removed,
            )
            days = [day for day in ends if day is not None and day <= self.as_of.toordinal()]
            return self.moment(date.fromordinal(max([node.ad.first, *days])), node.id)
        campaign = node if isinstance(node, CampaignNode) else node.campaign
        run, ordinal = campaign.run, self.as_of.toordinal()
        if run.end is not None and ordinal >= run.end + CAMPAIGN_ARCHIVED_AFTER:
            return self.moment(date.fromordinal(run.end + CAMPAIGN_ARCHIVED_AFTER), node.id)
        if isinstance(node, AdSetNode) and not campaign.has_adset_budgets:
            return self.created(node)
        return self.moment(self.last_change(campaign), node.id)

    def last_change(self, campaign: CampaignNode) -> date:
        """The last day on which a field of the campaign changed (its start if none did)."""
        run, directory = campaign.run, self.world.directory
        for ordinal in range(self.as_of.toordinal(), run.start, -1):
            if directory.state(run, ordinal) != directory.state(run, ordinal - 1):
                return date.fromordinal(ordinal)
        return date.fromordinal(run.start)

    def last_significant_edit(self, campaign: CampaignNode) -> date:
        """The start, or the last change of the budget by a fifth or more: learning begins anew then."""
        run, directory = campaign.run, self.world.directory
        for ordinal in range(self.as_of.toordinal(), run.start, -1):
            now, before = (
                directory.state(run, ordinal).daily_budget,
                directory.state(run, ordinal - 1).daily_budget,
            )
            if before and abs(now / before - 1) >= 0.2:
                return date.fromordinal(ordinal)
        return date.fromordinal(run.start)

    def learning(self, adset: AdSetNode) -> dict[str, object] | None:
        """Learning stage: 50 conversions after the last significant edit end it, a week without them limits it."""
        if adset.effective_status != "ACTIVE":
            return None
        edited = self.last_significant_edit(adset.campaign)
        conversions, day = 0, edited
        while day <= self.as_of and conversions < 50 and (day - edited).days < 28:
            conversions += sum(
                int(row.conversions)
                for row in self.world.ads_known_on(self.account, day, self.as_of)
                if row.adset_id == adset.id
            )
            day += timedelta(days=1)
        if conversions >= 50:
            status = "SUCCESS"
        else:
            status = "LEARNING" if (self.as_of - edited).days < 7 else "FAIL"
        return {
            "attribution_windows": ["1d_view", "7d_click"],
            "conversions": min(conversions, 50),
            "last_sig_edit_ts": int(self.moment(edited, adset.id).timestamp()),
            "status": status,
        }


def _below(campaign: CampaignNode, own: str) -> tuple[str, str]:
    """Own and effective status under a campaign."""
    if campaign.status in HIDDEN:
        gone = own if own == "DELETED" else campaign.status
        return gone, gone
    if own == "ACTIVE" and campaign.status == "PAUSED":
        return own, "CAMPAIGN_PAUSED"
    return own, own
