"""Compare findings with the truth of a world.

Alarms    A finding's rows of one entity and type, no more than three days apart, are one alarm. It hits an incident
          when the type is the incident's and one of its days lies within the incident or the two days after it. Alarms
          of an account hit its campaigns' incidents, and the other way round where the incident is the account's.
          What hits nothing is a false alarm, unless it is the tenant's and the tenant did move.
Advice    Rows of one entity and type no more than seven days apart are one advice. It is right when the situation of
          its campaign on its first day names the type as right, wrong when it is neither right nor neutral.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from evaluation.truth import ANOMALY_TYPES, Incident, Situation, Truth

ALARM_GAP, ADVICE_GAP, TOLERANCE = 3, 7, 2
SEVERITIES = {"low": 1, "medium": 2, "high": 3, "critical": 4}


@dataclass(frozen=True)
class Finding:
    """One row of anomalies.csv or recommendations.csv."""

    tenant_id: str
    platform: str
    level: str
    entity_id: str
    day: date
    type: str
    severity: str = ""
    confidence: float | None = None


@dataclass(frozen=True)
class Episode:
    """Findings of one entity and type on neighbouring days."""

    first: Finding
    last_day: date
    severity: int
    confidence: float | None


@dataclass
class Counted:
    """Hits and misses of one type."""

    true: int = 0
    found: int = 0
    alarms: int = 0
    false: int = 0

    @property
    def precision(self) -> float:
        return (self.alarms - self.false) / self.alarms if self.alarms else 0.0

    @property
    def recall(self) -> float:
        return self.found / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def add(self, other: Counted) -> None:
        self.true += other.true
        self.found += other.found
        self.alarms += other.alarms
        self.false += other.false


@dataclass
class AlarmScore:
    """How alarms fared in one world. `pairs` are (severity, true loss) of the hits."""

    by_type: dict[str, Counted] = field(default_factory=lambda: {name: Counted() for name in ANOMALY_TYPES})
    campaign_months: float = 0.0
    wrong_type: int = 0
    delays: list[int] = field(default_factory=list)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    missed: list[Incident] = field(default_factory=list)
    false: list[Episode] = field(default_factory=list)

    @property
    def total(self) -> Counted:
        found = Counted()
        for one in self.by_type.values():
            found.add(one)
        return found

    @property
    def false_alarms_a_month(self) -> float:
        return self.total.false / self.campaign_months if self.campaign_months else 0.0

    @property
    def delay(self) -> float:
        return sum(self.delays) / len(self.delays) if self.delays else math.nan

    @property
    def severity_correlation(self) -> float:
        return rank_correlation(self.pairs)


@dataclass
class AdviceScore:
    """How advice fared in one world. `stated` are (confidence, was right) of every advice that was right or wrong."""

    by_type: dict[str, Counted] = field(default_factory=lambda: defaultdict(Counted))
    traps: int = 0
    sprung: int = 0
    stated: list[tuple[float, bool]] = field(default_factory=list)
    missed: list[tuple[Situation, str]] = field(default_factory=list)
    wrong: list[tuple[Episode, Situation]] = field(default_factory=list)

    @property
    def total(self) -> Counted:
        found = Counted()
        for one in self.by_type.values():
            found.add(one)
        return found

    @property
    def trap_rate(self) -> float:
        return self.sprung / self.traps if self.traps else 0.0


def read_findings(path: Path) -> list[Finding]:
    """The rows of an exported file; a column `confidence` is read where there is one."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Finding(
                row["tenant_id"], row["platform"], row["level"], row["entity_id"], date.fromisoformat(row["day"]),
                row["type"], row.get("severity") or "", float(row["confidence"]) if row.get("confidence") else None,
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def episodes(findings: Iterable[Finding], gap: int) -> list[Episode]:
    """Runs of findings of one entity and type, each with its highest severity and its first confidence."""
    by_key: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for one in findings:
        by_key[(one.tenant_id, one.platform, one.level, one.entity_id, one.type)].append(one)
    found: list[Episode] = []
    for rows in by_key.values():
        rows.sort(key=lambda row: row.day)
        run = [rows[0]]
        for row in [*rows[1:], None]:
            if row is not None and (row.day - run[-1].day).days <= gap:
                run.append(row)
                continue
            severity = max(SEVERITIES.get(one.severity, 0) for one in run)
            found.append(Episode(run[0], run[-1].day, severity, run[0].confidence))
            if row is not None:
                run = [row]
    return found


def score_alarms(truth: Truth, findings: Sequence[Finding]) -> AlarmScore:
    """Match alarms with incidents by type, entity and time."""
    score = AlarmScore(campaign_months=truth.active_days / 30)
    scored = [one for one in findings if truth.first_scored <= one.day <= truth.last_scored]
    alarms = [one for one in episodes(scored, ALARM_GAP) if one.first.type in ANOMALY_TYPES]
    hits: dict[int, list[Episode]] = defaultdict(list)
    for alarm in alarms:
        if alarm.first.level == "tenant":
            continue
        counted = score.by_type[alarm.first.type]
        places = [n for n, one in enumerate(truth.incidents) if _touches(truth, one, alarm)]
        same = [n for n in places if truth.incidents[n].type == alarm.first.type]
        for place in same:
            hits[place].append(alarm)
        own = [n for n in same if _is_own(truth.incidents[n], alarm)]
        if own or not same:
            counted.alarms += 1
        if not same:
            counted.false += 1
            score.wrong_type += bool(places)
            score.false.append(alarm)
    for place, incident in enumerate(truth.incidents):
        counted = score.by_type[incident.type]
        counted.true += 1
        if hits[place]:
            counted.found += 1
            score.delays.append(max((min(one.first.day for one in hits[place]) - incident.first_day).days, 0))
            score.pairs.append((float(max(one.severity for one in hits[place])), incident.loss_per_day))
        else:
            score.missed.append(incident)
    return score


def _touches(truth: Truth, incident: Incident, alarm: Episode) -> bool:
    row = alarm.first
    if row.tenant_id != incident.tenant_id or row.platform != incident.platform:
        return False
    if row.day > incident.last_day + timedelta(days=TOLERANCE) or alarm.last_day < incident.first_day:
        return False
    if row.level == "account":
        return row.entity_id == incident.account_id
    campaign = truth.campaign_of.get(row.entity_id, row.entity_id)
    return campaign == incident.entity_id or campaign in incident.members


def _is_own(incident: Incident, alarm: Episode) -> bool:
    return alarm.first.level == incident.level or alarm.first.entity_id in incident.members


def score_advice(truth: Truth, findings: Sequence[Finding]) -> AdviceScore:
    """Match advice with the situations of its campaign."""
    score = AdviceScore()
    states: dict[str, list[Situation]] = defaultdict(list)
    for state in truth.situations:
        states[state.campaign_id].append(state)
    scored = [one for one in findings if truth.first_scored <= one.day <= truth.last_scored]
    given: set[tuple[str, str]] = set()
    for advice in episodes(scored, ADVICE_GAP):
        row = advice.first
        campaign = truth.campaign_of.get(row.entity_id, row.entity_id)
        # What holds while the advice stands; a situation that begins in between is given its time.
        held = [
            one for one in states.get(campaign, [])
            if one.first_day <= advice.last_day and row.day <= one.last_day
        ]  # fmt: skip
        given.add((campaign, row.type))
        if not held:
            continue
        state = held[0]
        counted = score.by_type[row.type]
        if row.type in state.right:
            counted.alarms += 1
        elif row.type in state.neutral or row.day < state.first_day:
            continue
        else:
            counted.alarms += 1
            counted.false += 1
            score.wrong.append((advice, state))
        if advice.confidence is not None:
            score.stated.append((advice.confidence, row.type in state.right))
    for state in truth.situations:
        if (state.last_day - state.first_day).days < 14:
            continue
        for name in state.right:
            counted = score.by_type[name]
            counted.true += 1
            if (state.campaign_id, name) in given:
                counted.found += 1
            else:
                score.missed.append((state, name))
        if state.tempting:
            score.traps += 1
            score.sprung += any((state.campaign_id, name) in given for name in state.tempting)
    return score


def brier(stated: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """Brier score of the stated confidences, and that of always stating the base rate."""
    if not stated:
        return math.nan, math.nan
    base = sum(right for _, right in stated) / len(stated)
    said = sum((confidence - right) ** 2 for confidence, right in stated) / len(stated)
    return said, base * (1 - base)


def bins(stated: Sequence[tuple[float, bool]]) -> list[tuple[float, int, float]]:
    """(lower end, number, share right) of ten bins of confidence, empty ones left out."""
    found = []
    for tenth in range(10):
        inside = [right for confidence, right in stated if min(int(confidence * 10), 9) == tenth]
        if inside:
            found.append((tenth / 10, len(inside), sum(inside) / len(inside)))
    return found


def of_world(truth: Truth, findings: Iterable[Finding]) -> list[Finding]:
    """Those of the world's tenants: several worlds may lie in one database."""
    tenants = {tenant for tenant, _, _ in truth.campaigns.values()}
    return [one for one in findings if one.tenant_id in tenants]


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's, with mean ranks for ties."""
    if len(pairs) < 3:
        return math.nan
    left, right = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    mean = (len(pairs) + 1) / 2
    top = sum((a - mean) * (b - mean) for a, b in zip(left, right, strict=True))
    spread = math.sqrt(sum((a - mean) ** 2 for a in left) * sum((b - mean) ** 2 for b in right))
    return top / spread if spread else math.nan


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda place: values[place])
    ranks = [0.0] * len(values)
    place = 0
    while place < len(order):
        end = place
        while end + 1 < len(order) and values[order[end + 1]] == values[order[place]]:
            end += 1
        for one in order[place : end + 1]:
            ranks[one] = (place + end) / 2 + 1
        place = end + 1
    return ranks
