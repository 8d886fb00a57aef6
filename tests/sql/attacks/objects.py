"""Objects that run with somebody else's rights or beside the policies: views, children, functions, triggers, rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attacks.arena import Actor, Arena, Relation
from attacks.engine import Attack, foreign_literal, literal, on_each_relation, once
from attacks.reading import judge

OURS = ("ads", "ads_internal", "audit", "history", "ops", "tenancy", "public", "staging", "intermediate")


@on_each_relation("views")
def views(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    if relation.kind == "S":
        return
    name = relation.full
    for place in ("pg_temp", "ads", "public", "audit"):
        yield Attack(f"view in {place}", (
            f"create view {place}.attack as select * from {name}", f"select * from {place}.attack",
        ), "marked" if place == "pg_temp" and actor.may_create else "forbidden")  # fmt: skip
    if actor.may_create:
        for kind in ("view", "materialized view", "table"):
            yield Attack(f"own {kind}", (
                f"create {kind} attack as select * from {name}", "select * from attack",
            ), judge(relation))  # fmt: skip
        yield Attack("own view that lets nothing by", (
            f"create view attack with (security_barrier = false, security_invoker = false) as select * from {name}",
            "select * from attack",
        ), judge(relation))  # fmt: skip
        yield Attack("refreshed as somebody else", (
            f"create materialized view attack as select * from {name}; refresh materialized view attack", "table attack",
        ), judge(relation))  # fmt: skip


@on_each_relation("partitions")
def children(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    if relation.kind not in ("r", "p"):
        return
    name = relation.full
    yield Attack("a child of mine", (f"create temporary table attack () inherits ({name})",), "forbidden")
    yield Attack("a partition of mine", (
        f"create table attack partition of {name} for values from ('2030-01-01') to ('2031-01-01')",
    ), "forbidden")  # fmt: skip
    yield Attack("become my parent", (f"alter table {name} no inherit pg_class",), "forbidden")
    if relation.kind == "p":
        yield Attack("detach", (f"alter table {name} detach partition ads.left_partition",), "forbidden")
    if relation.name == "left_partition":
        yield Attack("the child beside its parent", (f"select * from {name}",), "forbidden")
    if actor.may_create:
        yield Attack("as mine, with its indexes", (
            f"create table attack (like {name} including all)", "select * from attack",
        ))  # fmt: skip


@on_each_relation("triggers, rules and policies")
def hooks(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    name = relation.full
    function = "create function attack() returns trigger language plpgsql as 'begin raise notice ''%'', new; return null; end';"
    function = function if actor.may_create else ""
    for step in (
        f"{function} create trigger attack before insert on {name} for each row execute function attack()",
        f"create rule attack as on update to {name} do instead nothing",
        f"create policy attack on {name} for select using (true)",
        f"create index attack on {name} ((t::text))",
        f"create statistics attack on tenant_id, tenant_id from {name}",
        f"alter table {name} add column attack text",
        f"alter table {name} disable trigger all",
        f"alter table {name} rename to attack",
        f"alter table {name} set schema public",
        f"drop table {name}",
        f"truncate {name}",
        f"comment on table {name} is 'attack'",
        f"security label on table {name} is 'attack'",
        f"cluster {name}",
        f"create publication attack for table {name}",
    ):
        yield Attack(step.split("(")[0][-60:], (step,), "forbidden")
    # Without a grant option that is a warning, not an error: what counts is what it did.
    yield Attack("grant to public", (
        f"grant all on {name} to public", f"select has_table_privilege('public', {literal(name)}, 'select')",
    ), "silent")  # fmt: skip
    if relation.is_open and relation.kind != "S" and relation.name != "left_partition":
        yield Attack("revoke from everybody", (
            f"revoke all on {name} from aegis_reader, aegis_transformer cascade",
            f"select not has_table_privilege('aegis_reader', {literal(name)}, 'select')",
        ), "silent")  # fmt: skip


# -- functions ------------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "text": ("'meta'", literal("campaign")),
    "integer": ("7",),
    "bigint": ("7",),
    "date": ("'2026-01-05'",),
    "regclass": ("'ads.metrics_daily'",),
    "boolean": ("true",),
    "text[]": ("'{meta}'",),
    "jsonb": ("'{}'",),
    "uuid[]": (f"'{{{foreign_literal()[1:-1]}}}'",),
}


def functions(arena: Arena) -> list[tuple[str, str, list[str], str]]:
    """(schema, name, argument types, kind of result) of every function outside of the system's schemas."""
    with arena.admin() as admin:
        rows: list[Any] = admin.execute(
            """
            select n.nspname, p.proname,
                array(select format_type(t, null) from unnest(p.proargtypes) with ordinality as a (t, i) order by i),
                p.prorettype::regtype::text
            from pg_proc as p inner join pg_namespace as n on p.pronamespace = n.oid
            where n.nspname not in ('pg_catalog', 'information_schema') and p.prokind = 'f'
            order by 1, 2
            """
        ).fetchall()
    return rows


@once("definer functions")
def call(arena: Arena, actor: Actor) -> Iterator[Attack]:
    """Every function we deploy, asked about the foreign tenant."""
    for schema, name, types, result in functions(arena):
        given, texts = [], 0
        for kind in types:
            if kind == "uuid":
                given.append(f"{foreign_literal()}::uuid")
            elif kind == "text":
                given.append(ARGUMENTS["text"][min(texts, 1)])
                texts += 1
            else:
                given.append(ARGUMENTS.get(kind, ("null",))[0] + (f"::{kind}" if kind != "trigger" else ""))
        call_ = f'"{schema}"."{name}"({", ".join(given)})'
        about_foreign = "uuid" in types
        if result in ("trigger", "event_trigger"):
            yield Attack(f"{schema}.{name}()", (f"select {call_}",), "forbidden")
        else:
            yield Attack(
                f"{schema}.{name}", (f"select * from {call_}",), "silent" if about_foreign else "marked"
            )
            yield Attack(
                f"{schema}.{name} in a column", (f"select {call_}",), "silent" if about_foreign else "marked"
            )
            if about_foreign and not actor.may_choose:
                yield Attack(f"{schema}.{name} with the setting", (
                    f"set local saas.tenant_id = {foreign_literal()}", f"select * from {call_}",
                ), "silent")  # fmt: skip
        for verb in (
            "alter function {} security definer",
            "alter function {} owner to current_user",
            "drop function {}",
        ):
            signature = f'"{schema}"."{name}"({", ".join(types)})'
            yield Attack(verb.format(f"{schema}.{name}"), (verb.format(signature),), "forbidden")


@once("definer functions")
def make(arena: Arena, actor: Actor) -> Iterator[Attack]:
    for schema in OURS:
        yield Attack(
            f"a function in {schema}",
            (f"create function {schema}.attack() returns int language sql as 'select 1'",),
            "forbidden",
        )
        yield Attack(f"a table in {schema}", (f"create table {schema}.attack ()",), "forbidden")
        yield Attack(f"a cast through {schema}", (f"create type {schema}.attack as (a int)",), "forbidden")
    yield Attack("a schema", ("create schema attack",), "forbidden")
    yield Attack("an extension", ("create extension plperlu",), "forbidden")
    yield Attack(
        "an untrusted language",
        ("create function pg_temp.attack() returns int language c as '/x', 'x'",),
        "forbidden",
    )
    yield Attack(
        "an event trigger",
        ("create event trigger attack on ddl_command_end execute function tenancy.protect()",),
        "forbidden",
    )
    yield Attack(
        "default privileges",
        ("alter default privileges for role aegis_transformer grant select on tables to public",),
        "forbidden",
    )


@on_each_relation("definer functions")
def own_definer(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    """A function of the analyst's own, with its owner's rights: the acting role stays the session's."""
    if actor.may_create and relation.kind != "S":
        yield Attack("own definer function", (
            f"create function attack() returns setof text language sql security definer as "
            f"$$ select t::text from {relation.full} as t $$",
            "select * from attack()",
        ))  # fmt: skip
