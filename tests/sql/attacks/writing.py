"""Writing into another tenant, taking its rows over, or giving one's own away; hand rows included."""

from __future__ import annotations

import json
from collections.abc import Iterator

from attacks.arena import OWN_TEXT, Actor, Arena, Relation
from attacks.engine import Attack, foreign_literal, literal, on_each_relation

_INSERTABLE: dict[tuple[str, str, str], list[str]] = {}


def insertable(arena: Arena, actor: Actor, relation: Relation) -> list[str]:
    """Columns that the actor may give; tenant_id alone where there are none."""
    key = (arena.database, actor.url, relation.full)
    if key not in _INSERTABLE:
        with arena.admin() as admin:
            _INSERTABLE.update({
                (arena.database, actor.url, f'"{schema}"."{table}"'): columns
                for schema, table, columns in admin.execute(
                    """
                    select n.nspname, c.relname, array_agg(a.attname::text order by a.attnum)
                    from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
                    inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                    where n.nspname = any(array['ads', 'audit'])
                        and has_column_privilege(%s::name, c.oid, a.attnum, 'insert')
                    group by 1, 2
                    """,
                    (_role(arena, actor),),
                ).fetchall()
            })  # fmt: skip
        _INSERTABLE.setdefault(key, ["tenant_id"])
    return _INSERTABLE[key]


def _role(arena: Arena, actor: Actor) -> str:
    return arena.logins()[actor.name]


def foreign_insert(arena: Arena, actor: Actor, relation: Relation, **changed: object) -> str:
    """Insert the foreign row once more, in the columns that the actor may give."""
    row = arena.foreign_rows.get(relation.full, {"tenant_id": arena.foreign}) | changed
    columns = [name for name in insertable(arena, actor, relation) if name in row]
    listed = ", ".join(f'"{name}"' for name in columns)
    source = literal(json.dumps({name: row[name] for name in columns}))
    return f"insert into {relation.full} ({listed}) select {listed} from jsonb_populate_record(null::{relation.full}, {source})"


@on_each_relation("writing")
def write(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    if not relation.has_tenant or relation.kind not in ("r", "p", "v"):
        return
    name, foreign = relation.full, foreign_literal()
    given = insertable(arena, actor, relation)
    value = next(
        (one for one in given if one in ("spend", "budget", "max_cpa", "min_days", "status")), "tenant_id"
    )
    insert = foreign_insert(arena, actor, relation)
    fresh = foreign_insert(arena, actor, relation, **_other_key(relation))
    yield Attack("insert", (fresh,), "refused")
    yield Attack("insert and return", (f"{fresh} returning *",), "refused")
    yield Attack("insert in silence", (f"{insert} on conflict do nothing",), "refused")
    yield Attack(
        "insert by a common table", (f"with a as ({fresh} returning 1) select count(*) from a",), "silent"
    )
    yield Attack(
        "copy in", (f"copy {name} (tenant_id) from stdin",), "refused", copy_in=f"{arena.foreign}\n".encode()
    )
    yield Attack(
        "update", (f'update {name} set "{value}" = "{value}" where tenant_id::text = {foreign}',), "refused"
    )
    yield Attack("update and return", (f'update {name} set "{value}" = "{value}" returning *',))
    yield Attack("update from itself", (
        f'update {name} as a set "{value}" = b."{value}" from {name} as b where b.tenant_id::text = {foreign} returning b.*',
    ), "refused")  # fmt: skip
    yield Attack("delete", (f"delete from {name} where tenant_id::text = {foreign}",), "refused")
    yield Attack("delete and return", (f"delete from {name} returning *",))
    yield Attack("give away", (f"update {name} set tenant_id = {foreign}",), "refused")
    yield Attack("merge", (
        f"merge into {name} as t using (select {foreign} as id) as s on t.tenant_id::text = s.id "
        "when matched then delete when not matched then do nothing",
    ), "refused")  # fmt: skip
    if relation.schema == "ads" and relation.name in ("optimization_recommendations", "anomalies"):
        yield Attack(
            "decide", (f"update {name} set status = 'resolved' where tenant_id::text = {foreign}",), "refused"
        )
        yield Attack("decide without a condition", (f"update {name} set status = 'resolved' returning *",))


def _other_key(relation: Relation) -> dict[str, object]:
    """A key that no row has, so that nothing but the policy stands in the way."""
    return {
        name: {"text": "other-key", "date": "2026-01-02", "uuid": "0ddba11e-0000-4000-8000-000000000001"}[
            kind
        ]
        for name, kind in relation.columns
        if kind in ("text", "date", "uuid")
        and name in ("platform_id", "campaign_id", "day", "id", "name", "period_start")
    }


@on_each_relation("writing")
def own_rows_with_foreign_names(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    """An own row that names the foreign tenant's entities is filled from them, or not."""
    if relation.full == '"ads"."metrics_daily"' and actor.sees_own:
        entity = literal(json.dumps(arena.foreign_rows['"ads"."entities"']))
        yield Attack("a hand row of a foreign entity", (
            "insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend)"
            f" select {literal(arena.own)}, e.platform, e.level, e.platform_id, '2026-01-08', 1"
            f" from jsonb_populate_record(null::ads.entities, {entity}) as e returning account_id, currency",
        ))  # fmt: skip
        yield Attack("own figures", (f"select * from ads.metrics_daily where account_id = '{OWN_TEXT}'",))
