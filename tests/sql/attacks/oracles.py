"""Answers that differ only because a foreign row exists: unique violations, foreign keys, exclusion, conflict clauses."""

from __future__ import annotations

import json
from collections.abc import Iterator

from attacks.arena import Actor, Arena, Relation
from attacks.engine import Attack, literal, on_each_relation
from attacks.writing import _other_key, foreign_insert, insertable


@on_each_relation("oracles")
def conflicts(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    if relation.full not in arena.foreign_rows:
        return
    there = foreign_insert(arena, actor, relation)
    not_there = foreign_insert(arena, actor, relation, **_other_key(relation))
    for clause in ("", " on conflict do nothing", " returning tenant_id is null"):
        yield Attack(f"a key that is there{clause}", (there + clause,), "alike", (not_there + clause,))


@on_each_relation("oracles")
def own_with_foreign_keys(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    """The attacker's own tenant, the foreign row's other keys: no index may span tenants."""
    if relation.full not in arena.foreign_rows:
        return
    own = {"tenant_id": arena.own}
    changed = {
        name: value
        for name, value in _other_key(relation).items()
        if name in ("id", "platform_id", "campaign_id", "name")
    }
    if not changed:
        return
    yield Attack(
        "own row with foreign keys",
        (
            foreign_insert(
                arena, actor, relation, **own | {"day": "2026-01-10", "period_start": "2026-01-02"}
            ),
        ),
        "alike",
        (
            foreign_insert(
                arena, actor, relation, **own | {"day": "2026-01-10", "period_start": "2026-01-02"} | changed
            ),
        ),
    )


@on_each_relation("oracles")
def updates(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    row = arena.foreign_rows.get(relation.full)
    if row is None:
        return
    for name in insertable(arena, actor, relation):
        if name in ("platform_id", "campaign_id", "id", "name", "account_id") and row.get(name) is not None:
            yield Attack(f"take over the {name}", (
                f'update {relation.full} set "{name}" = {literal(str(row[name]))}',
            ), "alike", (f'update {relation.full} set "{name}" = {literal(_unlike(row[name]))}',))  # fmt: skip


def _unlike(value: object) -> str:
    text = json.dumps(value).strip('"')
    return "0ddba11e-0000-4000-8000-000000000001" if len(text) == 36 and text.count("-") == 4 else "other-key"
