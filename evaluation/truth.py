"""What is true of a world: its incidents and the advice that is right or wrong, by the generator's parameters."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

ANOMALY_TYPES = ("spend_spike", "spend_drop", "cost_spike", "ctr_drop", "roas_drop", "conversion_drop")


@dataclass(frozen=True)
class Incident:
    """One thing that went wrong. `members` are the campaigns of an account's incident; loss is per day, in USD."""

    tenant_id: str
    platform: str
    level: str
    entity_id: str
    account_id: str
    first_day: date
    last_day: date
    type: str
    cause: str
    effect: float
    loss_per_day: float
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """A campaign in a state that lasts. `right` types are good advice in it, `neutral` neither good nor bad; every
    other type is wrong. A trap is a state that a naive rule gives the types in `tempting` for."""

    tenant_id: str
    platform: str
    campaign_id: str
    first_day: date
    last_day: date
    kind: str
    right: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    tempting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Movement:
    """What moved a whole tenant: no campaign's incident."""

    tenant_id: str
    first_day: date
    last_day: date
    kind: str


@dataclass
class Truth:
    """All labels of one world, with the campaigns they speak of: campaign id -> (tenant, platform, account)."""

    first_scored: date
    last_scored: date
    campaigns: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    campaign_of: dict[str, str] = field(default_factory=dict)
    active_days: int = 0
    incidents: list[Incident] = field(default_factory=list)
    situations: list[Situation] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Two CSV files a person can read beside the world's own."""
        with (folder / "truth_incidents.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(
                ["tenant_id", "platform", "level", "entity_id", "first_day", "last_day", "type", "cause", "effect",
                 "loss_per_day"]
            )  # fmt: skip
            for one in self.incidents:
                rows.writerow(
                    [one.tenant_id, one.platform, one.level, one.entity_id, one.first_day, one.last_day, one.type,
                     one.cause, f"{one.effect:.3f}", f"{one.loss_per_day:.2f}"]
                )  # fmt: skip
        with (folder / "truth_actions.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(
                [
                    "tenant_id",
                    "platform",
                    "entity_id",
                    "first_day",
                    "last_day",
                    "kind",
                    "right",
                    "neutral",
                    "tempting",
                ]
            )
            for state in self.situations:
                rows.writerow(
                    [state.tenant_id, state.platform, state.campaign_id, state.first_day, state.last_day, state.kind,
                     " ".join(state.right), " ".join(state.neutral), " ".join(state.tempting)]
                )  # fmt: skip
