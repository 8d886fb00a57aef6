"""Replay worlds as an outsider would: import the files into an empty database, `aegis backtest`, read its two files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench.harness import Scratch, scratch
from evaluation.files import write_world
from evaluation.score import Finding, of_world, read_findings
from evaluation.world import World

# Confidence is no column of the exported files; it lies beside them in the replay's table.
STATED = """
    select distinct on (tenant_id, level, platform_id, recommendation_type, replay_day)
        tenant_id::text, level, platform_id, recommendation_type, replay_day, confidence::float8
    from ads_internal.backtest_recommendations
    where status in ('pending', 'approved')
    order by tenant_id, level, platform_id, recommendation_type, replay_day, raised_on
"""


def replay(
    worlds: Sequence[World], say: Callable[[str], None]
) -> Iterator[tuple[World, list[Finding], list[Finding]]]:
    """Per world its alarms and its advice over the scored days, each world in a deployment of its own."""
    for world in worlds:
        with scratch() as place:
            say(f"world {world.seed}: importing {len(world.campaigns)} campaigns")
            files = write_world(world, place.folder / "world")
            place.aegis("deploy")
            place.aegis(
                "import", "history", "--create-tenants",
                *[text for name, path in files.items() for text in (f"--{name}", str(path))],
            )  # fmt: skip
            place.aegis("optimize")
            first, last = world.truth.first_scored, world.truth.last_scored
            say(f"world {world.seed}: replaying {(last - first).days + 1} days")
            export = place.folder / "export"
            seconds = place.aegis(
                "backtest", "--from", str(first), "--to", str(last), "--export", str(export)
            )
            say(f"world {world.seed}: replayed in {seconds:.0f} s")
            alarms = of_world(world.truth, read_findings(export / "anomalies.csv"))
            advice = of_world(world.truth, read_findings(export / "recommendations.csv"))
            yield world, alarms, _with_confidence(place, advice)


def _with_confidence(place: Scratch, advice: list[Finding]) -> list[Finding]:
    with _environment(place):
        from aegis.database import open_database

        database = open_database(say=lambda _: None)
        with database.connect("transformer") as connection:
            stated = {tuple(row[:5]): row[5] for row in connection.execute(STATED)}
    return [
        replace(one, confidence=stated.get((one.tenant_id, one.level, one.entity_id, one.type, one.day)))
        for one in advice
    ]


@contextmanager
def _environment(place: Scratch) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(place.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
