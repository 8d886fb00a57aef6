"""Names put where ours are looked up: temporary tables, an own schema first in search_path, own operators and casts."""

from __future__ import annotations

from collections.abc import Iterator

from attacks.arena import Actor, Arena, Relation
from attacks.engine import Attack, foreign_literal, on_each_relation, once
from attacks.reading import judge

# What policies, triggers and context functions call, replaced by answers that would open everything.
FAKES = (
    "create temporary table role_tenants as select r.oid as role_oid, r.rolname as role_name, {foreign}::uuid as tenant_id,"
    " 'reader'::text as kind from pg_catalog.pg_roles as r",
    "create temporary table tenants as select {foreign}::uuid as tenant_id, 'x'::text as name, 'EUR'::text as currency",
    "create temporary table pg_roles as select * from pg_catalog.pg_roles",
    "create function visible_tenants() returns uuid[] language sql as $$ select array[{foreign}::uuid] $$",
    "create function current_setting(text, boolean) returns text language sql as $$ select {foreign} $$",
    "create function current_setting(text) returns text language sql as $$ select {foreign} $$",
    "create function pg_has_role(name, text, text) returns boolean language sql as 'select true'",
    "create function nullif(text, text) returns text language sql as $$ select {foreign} $$",
    "create function yes(uuid, uuid) returns boolean language sql immutable as 'select true'",
    "create operator = (leftarg = uuid, rightarg = uuid, function = yes)",
    "create function yes_any(uuid, uuid[]) returns boolean language sql immutable as 'select true'",
    # A definer function can only be deceived by what it may read.
    "grant all on all tables in schema pg_temp to public",
    "grant all on role_tenants, tenants, pg_roles to public",
    "do $$ begin execute format('grant all on schema %I to public', current_schema()); end $$",
    "create function to_jsonb(record) returns jsonb language sql as $$ select '{{}}'::jsonb $$",
)
PATHS = (
    "select pg_catalog.set_config('search_path', 'pg_temp, ' || current_schema() || ', pg_catalog', true)",
    "set local search_path = ''",
    "set local search_path = pg_temp, ads, tenancy, pg_catalog",
)


@on_each_relation("shadowed names")
def shadowed(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    if relation.kind == "S":
        return
    if actor.may_create:
        # Each a step of its own: one that is refused must not take the others with it.
        fakes = [fake.format(foreign=foreign_literal()) for fake in FAKES]
        yield Attack(
            "everything faked", (*fakes, PATHS[0], f"select * from {relation.full}"), judge(relation)
        )
    for path in PATHS[1:]:
        yield Attack(path, (path, f"select * from {relation.full}"), judge(relation))


@once("shadowed names")
def functions_with_fakes(arena: Arena, actor: Actor) -> Iterator[Attack]:
    """Definer functions resolve their names by themselves, whatever the caller's path says."""
    calls = (
        f"select * from ads.analyze_campaign_performance({foreign_literal()}, 'foreign', 'meta', 7)",
        f"select ads.compute_baselines({foreign_literal()}, 'meta', 'campaign', 7)",
        f"select tenancy.currency_of({foreign_literal()})",
        f"select tenancy.require_tenant({foreign_literal()})",
        "select tenancy.visible_tenants()",
    )
    for call in calls:
        for path in PATHS:
            if actor.may_create:
                fakes = tuple(fake.format(foreign=foreign_literal()) for fake in FAKES)
                yield Attack(
                    f"{call} with fakes and {path[:30]}",
                    (*fakes, path, call),
                    "marked" if call.endswith("tenants()") else "silent",
                )
            elif not actor.may_choose:
                yield Attack(
                    f"{call} with {path[:30]}",
                    (path, call),
                    "marked" if call.endswith("tenants()") else "silent",
                )
