"""Functions, operators and casts that tell or stumble over what they are given before the policy has filtered it."""

from __future__ import annotations

from collections.abc import Iterator

from attacks.arena import Actor, Arena, Relation
from attacks.engine import Attack, foreign_literal, on_each_relation
from attacks.reading import judge

TELL = (
    "create function tell(anyelement) returns boolean language plpgsql cost 0.0000001 as "
    "'begin raise notice ''%'', $1; return true; end'"
)
TELL_TEXT = (
    "create function tell_both(text, text) returns boolean language plpgsql cost 0.0000001 as "
    "'begin raise notice ''% %'', $1, $2; return false; end'"
)


@on_each_relation("leaky functions and operators")
def told(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    if not actor.may_create or relation.kind == "S":
        return
    name = relation.full
    yield Attack(
        "a cheap function of the row", (TELL, f"select count(*) from {name} as t where tell(t::text)")
    )
    # Where nothing may be read at all the right is refused before a function is called: one column is enough.
    for column, kind in relation.columns if relation.is_open else relation.columns[:1]:
        yield Attack(
            f"a cheap function of {column}", (TELL, f'select count(*) from {name} where tell("{column}")')
        )
        if kind == "text":
            # The planner asks an operator's estimator, and that the operator itself, about values in the statistics.
            yield Attack(f"an operator with an estimator on {column}", (
                f"{TELL_TEXT}; create operator ==> (leftarg = text, rightarg = text, function = tell_both, "
                "restrict = eqsel, join = eqjoinsel, commutator = ==>, hashes, merges)",
                f"explain select * from {name} where \"{column}\" ==> 'x'",
                f"select * from {name} where \"{column}\" ==> 'x'",
                f'select * from {name} as a join {name} as b on a."{column}" ==> b."{column}"',
            ))  # fmt: skip
    yield Attack("a domain that tells", (
        f"{TELL}; create domain told as text check (tell(value))", f"select (t::text)::told from {name} as t",
    ))  # fmt: skip
    yield Attack("an aggregate that tells", (
        "create function tell_sum(text, text) returns text language plpgsql as "
        "'begin raise notice ''%'', $2; return $2; end'; create aggregate told (text) (sfunc = tell_sum, stype = text)",
        f"select told(t::text) from {name} as t",
    ))  # fmt: skip
    yield Attack("declared leakproof", (
        TELL, "alter function tell(anyelement) leakproof", f"select count(*) from {name} as t where tell(t::text)",
    ))  # fmt: skip


@on_each_relation("errors and casts")
def stumbled(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    """Built-in functions that fail: on the foreign row only, or with its value in the message."""
    if relation.kind == "S":
        return
    name = relation.full
    for column in relation.columns_of("text")[: 8 if relation.is_open else 1]:
        for kind in ("integer", "date", "uuid", "jsonb", "inet", "regclass", "xml", "numeric"):
            yield Attack(
                f"{column} as {kind}", (f'select count(*) from {name} where "{column}"::{kind} is not null',)
            )
        yield Attack(
            f"{column} as a pattern", (f"select count(*) from {name} where 'x' ~ ('(' || \"{column}\")",)
        )
        yield Attack(
            f"{column} as a format",
            (f'select count(*) from {name} where to_number("{column}", "{column}") > 0',),
        )
    if not relation.has_tenant:
        return
    yield Attack("fails on the foreign row", (
        f"select 1 / (case when tenant_id::text = {foreign_literal()} then 0 else 1 end) from {name}",
    ), "error")  # fmt: skip
    yield Attack("fails on the foreign row, in where", (
        f"select count(*) from {name} where 1 / (case when tenant_id::text = {foreign_literal()} then 0 else 1 end) = 1",
    ), "error")  # fmt: skip
    yield Attack("overflows on the foreign row", (
        f"select count(*) from {name} where repeat('9', case when tenant_id::text = {foreign_literal()} then 2000000000 "
        "else 1 end) is not null",
    ), "error")  # fmt: skip
    yield Attack("order by an error", (
        f"select count(*) from {name} group by 1 / (case when tenant_id::text = {foreign_literal()} then 0 else 1 end)",
    ), "error")  # fmt: skip
    yield Attack("a subselect for each row", (
        f"select (select max(b.tenant_id::text) from {name} as b where b.tenant_id <> a.tenant_id) from {name} as a",
    ), judge(relation))  # fmt: skip
