"""Plain reading, in every form a select, a copy or a cursor takes; plans; statements prepared under another setting."""

from __future__ import annotations

from collections.abc import Iterator

from attacks.arena import Actor, Arena, Relation
from attacks.engine import Attack, foreign_literal, on_each_relation


def judge(relation: Relation) -> str:
    """Of relations that nobody was granted any answer is a leak."""
    return "marked" if relation.is_open else "forbidden"


@on_each_relation("reading")
def select(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    name = relation.full
    yield Attack("select", (f"select * from {name}",), judge(relation))
    yield Attack("table", (f"table {name}",), judge(relation))
    yield Attack("whole row as text", (f"select t::text from only {name} as t",), judge(relation))
    yield Attack("whole row as json", (f"select jsonb_agg(t) from {name} as t",), judge(relation))
    if relation.kind == "S" or not relation.has_tenant:
        return
    yield Attack("count of the foreign rows", (
        f"select count(*) from {name} where tenant_id::text = {foreign_literal()}",
    ), "silent")  # fmt: skip
    yield Attack("exists", (
        f"select exists (select from {name} where tenant_id::text = {foreign_literal()})",
    ), "silent")  # fmt: skip
    yield Attack("join with itself", (
        f"select b.* from {name} as a full join {name} as b on a.tenant_id <> b.tenant_id",
    ), judge(relation))  # fmt: skip
    yield Attack("recursion", (
        f"with recursive r as (select t.* from {name} as t union select t.* from {name} as t, r) select * from r",
    ), judge(relation))  # fmt: skip
    if relation.kind in ("r", "p"):
        yield Attack("sample", (f"select * from {name} tablesample system (100)",), judge(relation))
        yield Attack("for share", (f"select * from {name} for key share",), judge(relation))
        yield Attack(
            "by row address",
            (f"select * from {name} where ctid in ('(0,1)', '(0,2)', '(0,3)')",),
            judge(relation),
        )
        yield Attack(
            "hidden columns",
            (f"select ctid, xmin, tableoid::regclass, tenant_id from {name}",),
            judge(relation),
        )


@on_each_relation("copy")
def copy(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    name = relation.full
    yield Attack("copy the table", (f"copy {name} to stdout",), judge(relation))
    yield Attack(
        "copy a query", (f"copy (select * from {name}) to stdout with (format csv, header)",), judge(relation)
    )
    yield Attack(
        "copy binary",
        (f"copy (select t::text from {name} as t) to stdout with (format binary)",),
        judge(relation),
    )
    yield Attack(
        "as pg_dump does", ("set local row_security = off", f"copy {name} to stdout"), judge(relation)
    )


@on_each_relation("cursors and prepared statements")
def cursors(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    name = relation.full
    yield Attack("cursor", (
        f"declare c scroll cursor for select * from {name}", "fetch all from c", "move absolute 0 in c; fetch all from c",
    ), judge(relation) if not relation.is_open else "marked")  # fmt: skip
    yield Attack("cursor that survives", (
        f"declare h cursor with hold for select * from {name}", "fetch all from h", "close h",
    ))  # fmt: skip
    for mode in ("force_generic_plan", "force_custom_plan"):
        steps = [
            f"set local plan_cache_mode = {mode}",
            f"prepare p as select * from {name}",
            *("execute p",) * 2,
        ]
        if not actor.may_choose:
            steps += [
                f"set local saas.tenant_id = {foreign_literal()}",
                "execute p",
                "reset saas.tenant_id",
                "execute p",
            ]
        yield Attack(f"prepared, {mode}", (*steps, "deallocate all"))


@on_each_relation("explain")
def explain(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    """Estimated and filtered row counts cannot be hidden; values can."""
    if relation.kind == "S":
        return
    name = relation.full
    yield Attack("plan", (f"explain (verbose, format json) select * from {name}",))
    yield Attack(
        "plan with figures",
        (f"explain (analyze, verbose, buffers, timing off) select * from {name}",),
        judge(relation),
    )
    columns = relation.columns_of("text", "numeric", "bigint")[: 6 if relation.is_open else 1]
    for column in columns:
        yield Attack(f"plan sorted by {column}", (
            f'explain (analyze, verbose, timing off) select "{column}", count(*) from {name} group by 1 order by 1',
        ))  # fmt: skip
