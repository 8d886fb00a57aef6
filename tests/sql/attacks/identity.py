"""Being somebody else: the tenant setting, the person's name, roles, sessions, row_security, other people's sessions."""

from __future__ import annotations

from collections.abc import Iterator

from attacks.arena import Actor, Arena, Relation
from attacks.engine import Attack, foreign_literal, on_each_relation, once
from attacks.reading import judge

SETTINGS = (
    "set local saas.tenant_id = {foreign}",
    "set saas.tenant_id = {foreign}",
    "do $$ begin perform set_config('saas.tenant_id', {foreign}, false); end $$",
    "reset saas.tenant_id",
    "set local saas.tenant_id = ''",
    "set local saas.tenant_id = '{{{plain}}}'",
    "set local saas.tenant_id = '00000000-0000-0000-0000-000000000000'",
    "set local saas.tenant_id = 'null'' or true --'",
    'set local "SAAS.tenant_id" = {foreign}',
    "reset all",
    "set local saas.user_id = 'aegis_transformer'",
    "set local session_replication_role = replica",
    "set local role = 'none'",
    "alter role current_user set saas.tenant_id = {foreign}",
)
# Once a login may do one of these, row security is over.
ESCAPES = (
    "set local row_security = off",
    "alter role current_user bypassrls",
    "alter role current_user superuser",
    "alter table {name} disable row level security",
    "alter table {name} no force row level security",
    "alter table {name} owner to current_user",
    "grant all on {name} to current_user",
    "create policy attack on {name} using (true)",
)
ROLES = (
    "aegis_owner", "aegis_loader", "aegis_transformer", "aegis_app", "aegis_reader", "aegis_buyer", "aegis_analyst",
    "pg_read_all_data", "pg_write_all_data", "pg_monitor", "pg_read_server_files", "pg_database_owner", "pg_maintain",
)  # fmt: skip


@on_each_relation("context")
def context(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    for setting in SETTINGS:
        text = setting.format(foreign=foreign_literal(), plain=arena.foreign)
        if actor.may_choose and (arena.foreign in text or "reset" in text):
            continue  # the application may choose this one
        if actor.name == "narrowed login" and "tenant_id" in text:
            continue  # bound to both: the setting only narrows, for as long as it is set
        yield Attack(text, (text, f"select * from {relation.full}"), judge(relation))


@on_each_relation("row security")
def escapes(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    if relation.kind == "S":
        return
    for escape in ESCAPES:
        text = escape.format(name=relation.full)
        yield Attack(text, (text, f"select * from {relation.full}"), judge(relation))


def roles(arena: Arena) -> list[str]:
    with arena.admin() as admin:
        rows = admin.execute(
            "select distinct role_name from tenancy.role_tenants where tenant_id = %s"
            " union select rolname from pg_roles where rolsuper",
            (arena.foreign,),
        ).fetchall()
        known = {row[0] for row in admin.execute("select rolname from pg_roles").fetchall()}
    return [one for one in (*ROLES, *(row[0] for row in rows)) if one in known]


@once("roles")
def become(arena: Arena, actor: Actor) -> Iterator[Attack]:
    """Becoming a role that is not the actor's own must fail, whatever it could read then."""
    own = arena.logins()[actor.name]
    for role in roles(arena):
        if role == own or (role == "aegis_app" and actor.name.startswith("app")):
            continue
        yield Attack(f"set role {role}", (f'set local role "{role}"',), "forbidden")
        yield Attack(f"be {role}", (f'set session authorization "{role}"',), "forbidden")
        yield Attack(f"be granted {role}", (f'grant "{role}" to current_user',), "forbidden")
        yield Attack(f"make a login in {role}", (f'create role attack login in role "{role}"',), "forbidden")
        yield Attack(f"own what is {role}'s", (
            f'reassign owned by "{role}" to current_user',
            "select count(*) from pg_class where relowner = current_user::regrole and relnamespace = 'ads'::regnamespace",
        ), "silent")  # fmt: skip
        yield Attack(f"drop what is {role}'s", (
            f'drop owned by "{role}" cascade',
            # rights and policies that were given to a role count as its own here
            "select count(*) = 0 from pg_policy where 'aegis_reader'::regrole = any(polroles)",
        ), "silent")  # fmt: skip
        yield Attack(f"take the rights of {role}", (
            f'drop owned by "{role}" cascade', "select not has_table_privilege('aegis_reader', 'ads.metrics_daily', 'select')",
        ), "silent")  # fmt: skip
        yield Attack(f"take {role}'s password", (f"alter role \"{role}\" password 'x'",), "forbidden")


@once("roles")
def other_sessions(arena: Arena, actor: Actor) -> Iterator[Attack]:
    others = "from pg_stat_activity where usename <> session_user"
    yield Attack(
        "what others run",
        ("select query from pg_stat_activity where usename <> session_user and query !~ 'privilege'",),
        "silent",
    )
    yield Attack(
        "where others come from", (f"select client_addr {others} and client_addr is not null",), "silent"
    )
    for function in ("pg_cancel_backend", "pg_terminate_backend"):
        yield Attack(f"{function} of a foreign login", (
            f"select {function}(pid) {others} and usename in "
            "(select rolname from pg_roles where rolname like '%analyst')",
        ), "silent")  # fmt: skip
    for setting in ("log_statement = 'all'", "lo_compat_privileges = on", "session_preload_libraries = 'x'",
                    "allow_system_table_mods = on", "zero_damaged_pages = on",
                    "session_replication_role = replica"):  # fmt: skip
        yield Attack(f"set {setting}", (f"set {setting}",), "forbidden")


@on_each_relation("roles")
def as_another(arena: Arena, actor: Actor, relation: Relation) -> Iterator[Attack]:
    for role in ("aegis_transformer", "aegis_owner", "aegis_loader", "pg_read_all_data"):
        yield Attack(
            f"as {role}", (f"set local role {role}", f"select * from {relation.full}"), judge(relation)
        )
    if not actor.name.startswith("app"):
        yield Attack("as the application", (
            f"set local role aegis_app; set local saas.tenant_id = {foreign_literal()}", f"select * from {relation.full}",
        ), judge(relation))  # fmt: skip
