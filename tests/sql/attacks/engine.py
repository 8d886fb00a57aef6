"""What an attack is, how it is run, and what counts as a leak.

An attack is a few statements that one actor runs in one transaction, which is always rolled back. Everything the
server says is searched for the foreign tenant's markers: rows, errors with detail, hint and context, notices. A
marker that the attacker's own statement holds is no news in an error's text; in a row it is.

Judges
    marked    a marker came back (always asked)
    refused   the last statement must fail, or touch and return nothing
    forbidden the last statement must fail
    silent    a row of nulls, false and zeros is allowed besides: functions that answer "nothing"
    error     it must not fail, unless for want of a right: it fails only where the foreign row is looked at
    alike     two attacks that differ only in whether the foreign row exists must be answered alike
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from attacks.arena import FOREIGN, MARKERS, OWN_TEXT, Actor, Arena, Relation

COPY_OUT = re.compile(r"^\s*copy\b.*\bto stdout", re.IGNORECASE | re.DOTALL)
COPY_IN = re.compile(r"^\s*copy\b.*\bfrom stdin", re.IGNORECASE | re.DOTALL)
NOTHING = {b"", b"f", b"0", b"{}", b"[]"}


@dataclass(frozen=True)
class Attack:
    """`steps` run one after the other; one that fails does not keep the next from being tried."""

    name: str
    steps: tuple[str, ...]
    judge: str = "marked"
    twin: tuple[str, ...] = ()  # of judge "alike"
    copy_in: bytes = b""


@dataclass(frozen=True)
class Outcome:
    """One leak: who got what, how."""

    attack_class: str
    actor: str
    relation: str
    attack: str
    what: str

    def __str__(self) -> str:
        where = f" on {self.relation}" if self.relation else ""
        return f"{self.attack_class} by {self.actor}{where} ({self.attack}): {self.what}"


PerRelation = Callable[[Arena, Actor, Relation], Iterable[Attack]]
Once = Callable[[Arena, Actor], Iterable[Attack]]
Scenario = Callable[[Arena], Iterable[tuple[str, str, bytes]]]
PER_RELATION: dict[str, list[PerRelation]] = defaultdict(list)
ONCE: dict[str, list[Once]] = defaultdict(list)
SCENARIOS: dict[str, list[Scenario]] = defaultdict(list)


def on_each_relation(attack_class: str) -> Callable[[PerRelation], PerRelation]:
    """Register a generator of attacks for every actor and every relation of the catalogue."""

    def register(make: PerRelation) -> PerRelation:
        PER_RELATION[attack_class].append(make)
        return make

    return register


def once(attack_class: str) -> Callable[[Once], Once]:
    """Register a generator of attacks that aim at no relation in particular."""

    def register(make: Once) -> Once:
        ONCE[attack_class].append(make)
        return make

    return register


def scenario(attack_class: str) -> Callable[[Scenario], Scenario]:
    """Register a course of events over several transactions: yields (relation, what was done, everything said)."""

    def register(play: Scenario) -> Scenario:
        SCENARIOS[attack_class].append(play)
        return play

    return register


# -- running ------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """All that the server said to one step."""

    rows: bytes = b""
    said: bytes = b""
    state: str = ""
    touched: int = 0
    only_nothing: bool = True


class Session:
    """One actor's connection, and what it hears."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.notices: list[bytes] = []
        connection.add_notice_handler(lambda notice: self.notices.append(_said(notice)))

    def ask(self, statement: str, copy_in: bytes = b"") -> Answer:
        """Run a statement, or several in one string, and gather every result, error and notice."""
        self.notices.clear()
        answer = Answer()
        try:
            with self.connection.cursor() as cursor:
                if COPY_OUT.match(statement):
                    with cursor.copy(statement.encode()) as copy:
                        answer.rows = b"".join(bytes(block) for block in copy)
                    answer.touched = answer.rows.count(b"\n")
                    answer.only_nothing = not answer.rows
                elif COPY_IN.match(statement):
                    with cursor.copy(statement.encode()) as copy:
                        copy.write(copy_in)
                    answer.touched = cursor.rowcount
                else:
                    cursor.execute(statement.encode())
                    _gather(cursor, answer)
        except psycopg.Error as problem:
            answer.state = problem.sqlstate or type(problem).__name__
            answer.said = _said(problem.diag) or str(problem).encode()
            answer.touched = 0
        answer.said += b"\n".join(self.notices)
        return answer


def _gather(cursor: psycopg.Cursor[Any], answer: Answer) -> None:
    more = True
    while more:
        result = cursor.pgresult
        if result is not None:
            parts = []
            for row in range(result.ntuples):
                for column in range(result.nfields):
                    value = result.get_value(row, column)
                    if value is not None:
                        parts.append(value)
            answer.rows += b"\x1f".join(parts) + b"\n"
            answer.touched = result.command_tuples or 0
            answer.only_nothing = all(part in NOTHING for part in parts)
        more = bool(cursor.nextset())


def _said(diag: psycopg.errors.Diagnostic) -> bytes:
    parts = (diag.message_primary, diag.message_detail, diag.message_hint, diag.context, diag.internal_query)
    return "\n".join(part for part in parts if part).encode()


@dataclass
class Report:
    """What was tried, and what leaked."""

    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    aimed: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    seen_own: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    told_own: set[str] = field(
        default_factory=set
    )  # classes whose attacks brought the attacker's own values to light
    leaks: list[Outcome] = field(default_factory=list)

    def summary(self, version: int) -> str:
        """One line per class: how many attacks of how many actors on how many relations."""
        classes = sorted({one for one, _ in self.tried})
        relations = {name for aimed in self.aimed.values() for name in aimed}
        lines = [
            f"PostgreSQL {version}: {sum(self.tried.values()):,} attacks, {len(classes)} classes × "
            f"{len({who for _, who in self.tried})} actors × {len(relations)} relations, {len(self.leaks)} leaks"
        ]
        for one in classes:
            actors = [who for name, who in self.tried if name == one]
            aimed = {name for who in actors for name in self.aimed[one, who]}
            count = sum(self.tried[one, who] for who in actors)
            lines.append(
                f"  {one:<34} {count:>6,} attacks  {len(actors):>2} actors  {len(aimed):>3} relations"
            )
        return "\n".join(lines)


def run(
    arena: Arena,
    only: Callable[[str, Actor | None, Relation | None], bool] = lambda *_: True,
    stop: bool = False,
    sample: int = 0,
) -> Report:
    """Run the registered attacks. `only` selects by class, actor and relation; `stop` ends at the first leak.

    `sample` other than 0 seeds a choice: of each class, actor and relation the first attack and a few others, more of
    them where the relation is open to somebody. Every actor attacks every relation; which variants are tried turns with
    the seed.
    """
    report = Report()
    for leak in _leaks(arena, only, report, sample):
        report.leaks.append(leak)
        if stop:
            break
    return report


def _chosen(
    name: str, attacks: Iterable[Attack], seed: int, actor: Actor, relation: Relation | None
) -> list[Attack]:
    """All without a seed. Of what is closed to everybody, an actor who sees nothing anyway tries every other class."""
    listed = list(attacks)
    if not seed or not listed:
        return listed
    rest = random.Random(f"{seed} {name} {actor.name} {relation.full if relation else ''} {listed[0].name}")
    if relation is None:
        return rest.sample(listed, min(60, len(listed)))
    if not relation.is_open:
        is_skipped = not actor.sees_own and name != "reading" and rest.random() < 0.5
        return [] if is_skipped else listed[:1]
    further = (4 if relation.has_tenant else 1) if actor.sees_own else 1
    return [listed[0], *rest.sample(listed[1:], min(further, len(listed) - 1))]


def _leaks(arena: Arena, only: Callable[..., bool], report: Report, sample: int) -> Iterator[Outcome]:
    before = arena.fingerprint()
    for actor in arena.actors:
        with arena.session(actor) as connection:
            session = Session(connection)
            connection.execute("set statement_timeout = '20s'")
            connection.commit()
            for name, makers in ONCE.items():
                if only(name, actor, None):
                    for make in makers:
                        for attack in _chosen(name, make(arena, actor), sample, actor, None):
                            report.tried[name, actor.name] += 1
                            for what in _run(session, actor, attack, report, "", name):
                                yield Outcome(name, actor.name, "", attack.name, what)
            for relation in arena.relations:
                for name, relation_makers in PER_RELATION.items():
                    if only(name, actor, relation):
                        for make_one in relation_makers:
                            for attack in _chosen(
                                name, make_one(arena, actor, relation), sample, actor, relation
                            ):
                                report.tried[name, actor.name] += 1
                                report.aimed[name, actor.name].add(relation.full)
                                for what in _run(session, actor, attack, report, relation.full, name):
                                    yield Outcome(name, actor.name, relation.full, attack.name, what)
    for name, plays in SCENARIOS.items():
        if only(name, None, None):
            for play in plays:
                for relation_name, done, said in play(arena):
                    who = "app, pooled"
                    report.tried[name, who] += 1
                    report.aimed[name, who].add(relation_name)
                    found = [marker.decode() for marker in MARKERS if marker in said]
                    if found:
                        yield Outcome(name, who, relation_name, done, f"showed {found[0]}")
    after = arena.fingerprint()
    for relation_name in sorted(before):
        if after.get(relation_name) != before[relation_name]:
            yield Outcome(
                "writing", "somebody", relation_name, "afterwards", "its rows are not those from before"
            )


def _run(
    session: Session, actor: Actor, attack: Attack, report: Report, relation: str, name: str
) -> Iterator[str]:
    answers = _play(session, actor, attack.steps, attack.copy_in)
    text = "\n".join(attack.steps).encode()
    for answer in answers:
        for marker in MARKERS:
            if marker in answer.rows:
                yield f"a row held {marker.decode()}"
            elif marker in answer.said and marker not in text:
                yield f"a message held {marker.decode()}: {answer.said.decode(errors='replace')[:200]}"
        if OWN_TEXT.encode() in answer.rows + answer.said and OWN_TEXT.encode() not in text:
            report.told_own.add(name)
        if relation and OWN_TEXT.encode() in answer.rows:
            report.seen_own[actor.name].add(relation)
    last = answers[-1]
    if attack.judge == "refused" and not last.state and last.touched > 0:
        yield f"was allowed and touched {last.touched} rows"
    elif attack.judge == "forbidden" and not last.state:
        yield "was allowed"
    elif attack.judge == "silent" and not last.state and not last.only_nothing:
        yield f"answered {last.rows.decode(errors='replace').strip()[:100]}"
    elif attack.judge == "error" and last.state not in ("", "42501"):
        yield f"failed with {last.state}: the foreign row was looked at"
    elif attack.judge == "alike":
        other = _play(session, actor, attack.twin, attack.copy_in)[-1]
        if _shape(last) != _shape(other):
            yield f"an existing key is answered by {_shape(last)}, another by {_shape(other)}"


def _shape(answer: Answer) -> tuple[str, int, str]:
    """An answer without the values that the attacker gave."""
    said = re.sub(rb"\([^()]*\)=\([^()]*\)|[0-9a-f]{8}-[0-9a-f-]{27}|other-key", b"?", answer.said)
    return answer.state, answer.touched, said.decode(errors="replace")


def _play(session: Session, actor: Actor, steps: tuple[str, ...], copy_in: bytes) -> list[Answer]:
    connection = session.connection
    answers = []
    try:
        if actor.prologue:
            connection.execute(actor.prologue.encode())
        for place, step in enumerate(steps):
            saved = len(steps) > 1
            if saved:
                connection.execute(b"savepoint step")
            answers.append(session.ask(step, copy_in if place == len(steps) - 1 else b""))
            if answers[-1].state and saved:
                connection.execute(b"rollback to savepoint step")
    except psycopg.Error as problem:  # the transaction itself is over: what was said still counts
        answers.append(Answer(said=_said(problem.diag), state=problem.sqlstate or type(problem).__name__))
    finally:
        connection.rollback()
        if connection.pgconn.transaction_status != 0:
            connection.rollback()
    return answers or [Answer()]


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def foreign_literal() -> str:
    return literal(FOREIGN)
