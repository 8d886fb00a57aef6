"""What an evaluation found, as the tables of the terminal and of docs/evaluation.md."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from evaluation.score import AdviceScore, AlarmScore, Counted, bins, brier
from evaluation.truth import ANOMALY_TYPES

Row = tuple[str, ...]


@dataclass
class Contender:
    """Aegis or a baseline: its scores, one a world."""

    name: str
    alarms: list[AlarmScore] = field(default_factory=list)
    advice: list[AdviceScore] = field(default_factory=list)


def alarm_table(contenders: Iterable[Contender]) -> list[Row]:
    """Means over worlds; in brackets the worst world."""
    rows: list[Row] = [
        ("anomalies", "F1 (worst)", "precision", "recall", "false alarms a campaign-month (worst)", "days of delay",
         "severity to loss"),
    ]  # fmt: skip
    for one in contenders:
        if not one.alarms:
            continue
        totals = [score.total for score in one.alarms]
        months = [score.false_alarms_a_month for score in one.alarms]
        rows.append(
            (
                one.name,
                f"{_mean(total.f1 for total in totals):.2f} ({min(total.f1 for total in totals):.2f})",
                f"{_mean(total.precision for total in totals):.2f}",
                f"{_mean(total.recall for total in totals):.2f}",
                f"{_mean(months):.3f} ({max(months):.3f})",
                _number(_mean(score.delay for score in one.alarms)),
                _number(_mean(score.severity_correlation for score in one.alarms)),
            )
        )
    return rows


def type_table(contenders: Iterable[Contender]) -> list[Row]:
    """F1 per anomaly type over all worlds together, with precision and recall."""
    rows: list[Row] = [("F1 (precision / recall)", *ANOMALY_TYPES)]
    for one in contenders:
        if not one.alarms:
            continue
        cells = []
        for name in ANOMALY_TYPES:
            counted = _sum(score.by_type[name] for score in one.alarms)
            cells.append(f"{counted.f1:.2f} ({counted.precision:.2f} / {counted.recall:.2f})")
        rows.append((one.name, *cells))
    return rows


def advice_table(contenders: Iterable[Contender]) -> list[Row]:
    """Means over worlds; in brackets the worst world."""
    rows: list[Row] = [
        ("recommendations", "F1 (worst)", "precision", "recall", "trap rate (worst)", "Brier",
         "Brier of the base rate"),
    ]  # fmt: skip
    for one in contenders:
        if not one.advice:
            continue
        totals = [score.total for score in one.advice]
        traps = [score.trap_rate for score in one.advice]
        said, base = brier([pair for score in one.advice for pair in score.stated])
        rows.append(
            (
                one.name,
                f"{_mean(total.f1 for total in totals):.2f} ({min(total.f1 for total in totals):.2f})",
                f"{_mean(total.precision for total in totals):.2f}",
                f"{_mean(total.recall for total in totals):.2f}",
                f"{_mean(traps):.3f} ({max(traps):.3f})",
                _number(said),
                _number(base),
            )
        )
    return rows


def advice_type_table(contender: Contender) -> list[Row]:
    """Per type of advice over all worlds together."""
    by_type: dict[str, Counted] = defaultdict(Counted)
    for score in contender.advice:
        for name, counted in score.by_type.items():
            by_type[name].add(counted)
    rows: list[Row] = [("advice", "situations", "found", "given", "wrong", "F1")]
    for name, counted in sorted(by_type.items()):
        rows.append(
            (
                name,
                str(counted.true),
                str(counted.found),
                str(counted.alarms),
                str(counted.false),
                f"{counted.f1:.2f}",
            )
        )
    return rows


def calibration_table(contender: Contender) -> list[Row]:
    """How often advice of a stated confidence was right."""
    stated = [pair for score in contender.advice for pair in score.stated]
    return [
        ("stated confidence", "given", "right"),
        *(
            (f"{low:.0%} to {low + 0.1:.0%}", str(number), f"{share:.0%}")
            for low, number, share in bins(stated)
        ),
    ]


def aligned(rows: Sequence[Row]) -> str:
    """For the terminal."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(rows: Sequence[Row]) -> str:
    """For docs/evaluation.md."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _sum(many: Iterable[Counted]) -> Counted:
    found = Counted()
    for one in many:
        found.add(one)
    return found


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"
