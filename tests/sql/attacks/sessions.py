"""One pooled connection of the application that serves the foreign tenant first and the attacker's afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from attacks.arena import Arena, with_database
from attacks.engine import Session, scenario

ENDS = ("commit", "rollback", "fail")


@scenario("pooled connections")
def in_turn(arena: Arena) -> Iterator[tuple[str, str, bytes]]:
    """Prepared statements, cursors, settings and plans of the one transaction, tried in the next."""
    app = arena.actor("app without context")
    for relation in arena.relations:
        if relation.kind not in ("r", "p") or not _granted(arena, relation.full):
            continue
        for end in ENDS:
            for mode in ("auto", "force_generic_plan"):
                for turn in ("none", "own"):
                    url = with_database(app.url, arena.database)
                    with contextlib.closing(_pooled(arena, url)) as connection:
                        session = Session(connection)
                        said = _serve(session, arena, relation.full, end, mode, turn)
                    yield relation.full, f"{end}, {mode}, then {turn}", said


def _granted(arena: Arena, relation: str) -> bool:
    with arena.admin() as admin:
        row = admin.execute("select has_table_privilege('aegis_app', %s, 'select')", (relation,)).fetchone()
        return bool(row and row[0])


_POOL: dict[str, psycopg.Connection[object]] = {}


class _Kept:
    """A connection that goes back to the pool instead of being closed."""

    def __init__(self, connection: psycopg.Connection[object]) -> None:
        self.connection = connection

    def __getattr__(self, name: str) -> object:
        return getattr(self.connection, name)

    def close(self) -> None:
        self.connection.rollback()


def _pooled(arena: Arena, url: str) -> _Kept:
    if arena.database not in _POOL:
        _POOL[arena.database] = psycopg.connect(url)
    return _Kept(_POOL[arena.database])


def _serve(session: Session, arena: Arena, relation: str, end: str, mode: str, turn: str) -> bytes:
    connection = session.connection
    connection.execute(f"set plan_cache_mode = {mode}".encode())
    connection.commit()
    connection.execute(f"set local saas.tenant_id = '{arena.foreign}'".encode())
    connection.execute("set local saas.user_id = 'foreign-secret-7f3a'")
    served = session.ask(f"prepare kept as select * from {relation}; execute kept; execute kept")
    assert arena.foreign.encode() in served.rows, (
        f"{relation} shows the application nothing: the scenario proves nothing"
    )
    session.ask(f"declare c cursor for select * from {relation}; fetch 1 from c")
    if end == "fail":
        session.ask("select 1 / 0")
    if end == "commit":
        connection.commit()
    else:
        connection.rollback()
    heard = b""
    if turn == "own":
        connection.execute(f"set local saas.tenant_id = '{arena.own}'".encode())
    for step in (
        "execute kept", "fetch all from c", f"select * from {relation}", "select current_setting('saas.tenant_id', true)",
        "select current_setting('saas.user_id', true)", "select tenancy.acting_person()", "execute kept",
        "select * from pg_cursors", "select name, generic_plans, custom_plans from pg_prepared_statements",
    ):  # fmt: skip
        connection.execute("savepoint step")
        answer = session.ask(step)
        heard += answer.rows + answer.said
        if answer.state:
            connection.execute("rollback to savepoint step")
    connection.rollback()
    connection.execute("deallocate all")
    connection.execute("reset plan_cache_mode")
    connection.commit()
    return heard


def close_pool(arena: Arena) -> None:
    connection = _POOL.pop(arena.database, None)
    if connection is not None:
        connection.close()
