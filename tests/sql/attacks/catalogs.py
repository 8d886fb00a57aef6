"""Everything the server tells about itself: system catalogs and views, statistics, comments, large objects."""

from __future__ import annotations

from collections.abc import Iterator

from attacks.arena import FOREIGN_TEXT, Actor, Arena, Relation
from attacks.engine import Attack, on_each_relation, once


@once("catalogs")
def system_views(arena: Arena, actor: Actor) -> Iterator[Attack]:
    """Every relation of the system's own schemas, read whole and searched for markers."""
    with arena.admin() as admin:
        names = admin.execute(
            """
            select c.oid::regclass::text from pg_class as c
            where c.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) and c.relkind in ('r', 'v')
            order by 1
            """
        ).fetchall()
        toast = admin.execute(
            "select t.oid::regclass::text from pg_class as c inner join pg_class as t on c.reltoastrelid = t.oid"
            " where c.relnamespace = any(array['ads', 'audit', 'history', 'raw_manual']::regnamespace[])"
        ).fetchall()
    for (name,) in names:
        yield Attack(name, (f"select * from {name}",))
    for (name,) in toast:
        yield Attack(f"toast of {name}", (f"select * from {name}",), "forbidden")
    for name in ("pg_statistic", "pg_authid", "pg_user_mapping", "pg_largeobject", "pg_statistic_ext_data",
                 "pg_subscription", "pg_hba_file_rules", "pg_file_settings", "pg_backend_memory_contexts"):  # fmt: skip
        yield Attack(f"{name} whole", (f"select * from pg_catalog.{name}",), "forbidden")


@on_each_relation("statistics")
def statistics(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    """Most common values and histograms hold rows; who is under a policy must not see them."""
    where = f"schemaname = '{relation.schema}' and tablename = '{relation.name}'"
    yield Attack("pg_stats", (f"select * from pg_stats where {where}",))
    yield Attack("pg_stats_ext", (f"select * from pg_stats_ext where {where}",))
    yield Attack("pg_stats_ext_exprs", (f"select * from pg_stats_ext_exprs where {where}",))
    yield Attack(
        "comments",
        (
            f"select obj_description('{relation.full}'::regclass), col_description('{relation.full}'::regclass, 1)",
        ),
    )
    if relation.kind in ("r", "p", "m"):
        yield Attack("analyze", (f"analyze verbose {relation.full}", f"select * from pg_stats where {where}"))


@once("large objects")
def large_objects(arena: Arena, actor: Actor) -> Iterator[Attack]:
    oid = arena.large_object
    for step in (
        f"select lo_get({oid})",
        f"select loread(lo_open({oid}, 262144), 1000)",
        f"select lo_put({oid}, 0, 'x')",
        f"select lo_unlink({oid})",
        f"select lo_export({oid}, '/tmp/attack')",
        f"alter large object {oid} owner to current_user",
        f"grant select on large object {oid} to current_user",
        "select data from pg_largeobject",
    ):
        yield Attack(step, (step,), "forbidden")
    yield Attack(
        "with old rights", ("set local lo_compat_privileges = on", f"select lo_get({oid})"), "forbidden"
    )


@once("catalogs")
def definitions(arena: Arena, actor: Actor) -> Iterator[Attack]:
    """Sources of functions, policies and views are readable to all; none may hold a tenant's figure or a secret."""
    yield Attack("function sources", ("select prosrc, proconfig from pg_proc",))
    yield Attack("policies", ("select * from pg_policies",))
    yield Attack("settings of roles", ("select setconfig from pg_db_role_setting",))
    yield Attack(
        "names of roles",
        (f"select rolname from pg_roles where rolname like '%{FOREIGN_TEXT[:7]}%'",),
        "refused",
    )
