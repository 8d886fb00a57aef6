"""The server's files, programs and network: none of it is anybody's but the administrator's."""

from __future__ import annotations

from collections.abc import Iterator

from attacks.arena import Actor, Arena, Relation
from attacks.engine import Attack, on_each_relation, once

STEPS = (
    "select pg_read_file('postgresql.conf')",
    "select pg_read_file('/etc/passwd')",
    "select pg_read_binary_file('global/pg_control')",
    "select pg_stat_file('.')",
    "select pg_ls_dir('.')",
    "select pg_ls_dir('/')",
    "select pg_ls_logdir()",
    "select pg_ls_waldir()",
    "select pg_ls_tmpdir()",
    "select pg_current_logfile()",
    "select lo_import('/etc/passwd')",
    "select pg_reload_conf()",
    "select pg_rotate_logfile()",
    "select pg_switch_wal()",
    "select pg_create_restore_point('attack')",
    "select pg_create_logical_replication_slot('attack', 'pgoutput')",
    "select pg_export_snapshot() from pg_authid",
    "create temporary table attack (a text); copy attack from '/etc/passwd'",
    "copy (select 1) to '/tmp/attack'",
    "copy (select 1) to program 'id'",
    "create extension dblink",
    "create extension postgres_fdw",
    "create server attack foreign data wrapper x",
    "create foreign data wrapper attack",
    "create tablespace attack location '/tmp'",
    "create database attack",
    "create subscription attack connection 'host=127.0.0.1' publication p",
    "load 'plpgsql.so.1'",
    "alter system set log_statement = 'all'",
    "vacuum full pg_authid",
    "checkpoint",
)


@once("server files")
def files(arena: Arena, actor: Actor) -> Iterator[Attack]:
    for step in STEPS:
        # A transaction would refuse some of these by itself: the right is what is asked, so look at the state.
        yield Attack(step, (step,), "forbidden")


@on_each_relation("server files")
def physical(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    """The table's own file, read as bytes."""
    if relation.kind in ("r", "m"):
        yield Attack(
            "its file", (f"select pg_read_binary_file(pg_relation_filepath('{relation.full}'))",), "forbidden"
        )
        yield Attack("to a file", (f"copy {relation.full} to '/tmp/attack'",), "forbidden")
        yield Attack("to a program", (f"copy {relation.full} to program 'cat'",), "forbidden")
