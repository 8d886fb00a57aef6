"""Build labelled worlds, replay them, compare what was found with what is true: `python -m evaluation`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation import naive
from evaluation.files import write_world
from evaluation.replay import replay
from evaluation.report import (
    Contender,
    Row,
    advice_table,
    advice_type_table,
    alarm_table,
    aligned,
    calibration_table,
    markdown,
    type_table,
)
from evaluation.score import score_advice, score_alarms
from evaluation.world import SCORED, World, judge_last, make_world

# Nothing is tuned on the scored ones.
SEEDS = {"dev": tuple(range(101, 113)), "scored": tuple(range(901, 906))}
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "evaluation.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = _parser().parse_args(arguments)
    seeds = options.seed or list(SEEDS[options.seeds][: options.worlds])
    if options.write_worlds:
        for seed in seeds:
            print(f"{seed}: {write_world(make_world(seed), options.write_worlds / str(seed))['ads'].parent}")
        return 0
    if options.flat:
        return _flat(seeds[0], options.flat)
    aegis, thirty, z = Contender("Aegis"), Contender("±30 % against 7 days"), Contender("z-score of 14 days")
    week = Contender("ROAS of a week")
    for world, alarms, advice in replay([_world(seed, options.days) for seed in seeds], _say):
        truth = world.truth
        aegis.alarms.append(score_alarms(truth, alarms))
        aegis.advice.append(score_advice(truth, advice))
        thirty.alarms.append(score_alarms(truth, naive.thirty_percent(world)))
        z.alarms.append(score_alarms(truth, naive.z_score(world)))
        week.advice.append(score_advice(truth, naive.week_roas(world)))
    tables: list[list[Row]] = [
        alarm_table([aegis, thirty, z]),
        type_table([aegis, thirty, z]),
        advice_table([aegis, week]),
        advice_type_table(aegis),
        calibration_table(aegis),
    ]
    print(f"\nWorlds {', '.join(str(seed) for seed in seeds)} ({options.seeds}), {options.days} days each")
    for table in tables:
        print(f"\n{aligned(table)}")
    if options.document:
        _document(options.seeds, seeds, tables)
        print(f"\nWrote {DOCUMENT.name}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--seeds", choices=list(SEEDS), default="scored", help="development or scored worlds")
    parser.add_argument("--worlds", type=int, default=None, help="only the first so many of them")
    parser.add_argument(
        "--days", type=int, default=SCORED, help="judge only the last so many days of each world"
    )
    parser.add_argument("--seed", type=int, action="append", help="this world instead; may be repeated")
    parser.add_argument("--document", action="store_true", help="write the tables into docs/evaluation.md")
    parser.add_argument(
        "--flat", type=int, metavar="CAMPAIGNS", help="instead: false alarms where nothing happens at all"
    )
    parser.add_argument(
        "--write-worlds", type=Path, metavar="DIR", help="write the worlds' files and truth there, and stop"
    )
    return parser


def _world(seed: int, days: int) -> World:
    world = make_world(seed)
    judge_last(world, min(days, SCORED))
    return world


def _flat(seed: int, campaigns: int) -> int:
    """Noise, drifts and weekdays only: every alarm of the last four weeks is false."""
    world = make_world(seed, campaigns, quiet=True)
    judge_last(world, 28)
    for _, alarms, _ in replay([world], _say):
        score = score_alarms(world.truth, alarms)
        print(
            f"{len(world.campaigns)} campaigns where nothing happens, 28 days judged: {score.total.false} alarms, "
            f"{score.false_alarms_a_month:.4f} a campaign-month"
        )
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _document(kind: str, seeds: Sequence[int], tables: Sequence[Sequence[Row]]) -> None:
    figures = "\n\n".join(
        [
            f"Worlds {', '.join(str(seed) for seed in seeds)} ({kind} seeds):",
            *(markdown(table) for table in tables),
        ]
    )
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(
        re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{figures}\n{END}", text, flags=re.DOTALL),
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main())
