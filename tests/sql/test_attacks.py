"""The attack suite: attack class × actor × relation, from the catalogue. See attacks/__init__.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks import Arena, make_arena, run
from attacks.engine import ONCE, PER_RELATION, SCENARIOS
from attacks.sessions import close_pool

BROKEN = sorted((Path(__file__).resolve().parents[1] / "broken" / "isolation").glob("*.sql"))


@pytest.fixture(scope="module")
def arenas(new_warehouse: Callable[..., Any]) -> Iterator[Callable[[int], Arena]]:
    made: dict[int, Arena] = {}

    def make(version: int) -> Arena:
        if version not in made:
            made[version] = make_arena(new_warehouse(version=version))
        return made[version]

    yield make
    for one in made.values():
        close_pool(one)
        for connection in one.kept.values():
            connection.close()


@pytest.mark.parametrize(
    "sample", [pytest.param(True, id="sample"), pytest.param(False, marks=pytest.mark.long, id="all")]
)
@pytest.mark.parametrize("version", [18, 16])
def test_no_attack_finds_a_row_of_another_tenant(
    arenas: Callable[[int], Arena], version: int, sample: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    arena = arenas(version)
    report = run(arena, sample=version if sample else 0)
    with capsys.disabled():
        print(f"\n{report.summary(version)}")
    assert not report.leaks, "\n".join(map(str, report.leaks[:40]))

    # It is not for want of trying: every class, every actor and every relation had its attacks,
    assert {name for name, _ in report.tried} == {*PER_RELATION, *ONCE, *SCENARIOS}
    for actor in arena.actors:
        aimed = {
            relation for (_, who), names in report.aimed.items() if who == actor.name for relation in names
        }
        assert aimed == {one.full for one in arena.relations}
    # and the same statements do show the attacker's own rows.
    for actor in arena.actors:
        if actor.sees_own:
            missing = {
                one.full
                for one in arena.relations
                if one.is_open and one.kind in ("r", "p") and not one.name.startswith("left_partition")
            } - report.seen_own[actor.name]
            assert not missing, f"{actor.name} was never shown its own rows of {missing}"
        else:
            assert not report.seen_own[actor.name], actor.name
    assert report.told_own >= {
        "context", "copy", "cursors and prepared statements", "definer functions", "errors and casts",
        "leaky functions and operators", "reading", "row security", "shadowed names", "views", "writing",
    }, "a class whose attacks never show anything proves nothing"  # fmt: skip


# -- the suite itself: planted defects --------------------------------------------------------------------------------


def said(text: str, key: str) -> str | None:
    found = re.search(rf"^-- {key}: (.*)$", text, re.MULTILINE)
    return found.group(1) if found else None


@pytest.mark.parametrize("path", BROKEN, ids=[path.stem for path in BROKEN])
def test_a_planted_defect_is_found(arenas: Callable[[int], Arena], path: Path) -> None:
    """On a copy of the arena. `relation` and `class` only narrow where to look first, so that this stays quick."""
    arena = arenas(18).copy()
    logins = arena.logins()
    text = path.read_text(encoding="utf-8")
    for word, actor in {
        "READER": "reader",
        "BUYER": "buyer",
        "ANALYST": "analyst",
        "APP": "app without context",
    }.items():
        text = re.sub(rf"\b{word}\b", f'"{logins[actor]}"', text)
    text = re.sub(r"\bTHIS\b", f'"{arena.database}"', text)
    plant, _, undo = text.partition("-- undo")
    relation, attack_class = said(text, "relation"), said(text, "class")
    try:
        before = {one.full for one in arena.relations}
        with arena.admin() as admin:
            admin.execute(plant.encode())
        arena.look_again()
        new = {one.full for one in arena.relations} - before

        def only(name: str, actor: object, aimed: object) -> bool:
            if attack_class is not None and name != attack_class:
                return False
            if relation is not None or new:
                return aimed is not None and getattr(aimed, "full", "") in {relation, *new}
            return True

        report = run(arena, only, stop=True)
        assert report.leaks, f"{sum(report.tried.values())} attacks, none of which found it"
    finally:
        with arena.admin() as admin:
            if undo.strip():
                admin.execute(undo.encode())
        close_pool(arena)
        arena.drop()
