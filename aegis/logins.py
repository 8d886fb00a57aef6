"""Logins of people and tools: made, listed, given a new password, revoked.

A login is a role of the cluster in exactly one of reader, buyer and analyst, bound in tenancy.role_tenants to the
tenants it sees. These stand beside those that `aegis dsn` makes by itself, and are listed and revoked in the same way.

Each step is one transaction: what is refused has changed nothing. Needs a superuser or CREATEROLE.
Raises    AegisError in one sentence: a name that cannot be or is taken, an unknown login, a missing right.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aegis.settings import TENANT_ROLES
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database
    from aegis.tenants import Tenant

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Login:
    """One login and the tenants it is bound to. `state`: active, revoked (may not connect), dropped (role is gone)."""

    name: str
    kind: str
    tenants: tuple[str, ...]
    granted_at: datetime
    granted_by: str
    state: str


def add_login(
    database: Database,
    tenants: Sequence[Tenant],
    name: str,
    kind: str = "reader",
    password: str | None = None,
) -> str:
    """Make a login for these tenants; returns its password, which is kept nowhere."""
    from psycopg import sql

    from aegis.database import _ensure_member, _ensure_own_schema, _ensure_parameters, _scram

    if kind not in TENANT_ROLES:
        raise AegisError(f"There is no role {kind!r} for a login.", f"Roles: {', '.join(TENANT_ROLES)}.")
    _check_name(database, name)
    password = _password(password)
    with _administrator(database, f"make the login {name}") as admin:
        if admin.execute("select 1 from pg_roles where rolname = %s", (name,)).fetchone():
            raise AegisError(
                f"There already is a login or role {name}. Nothing was changed.",
                "Choose another name; `aegis tenant login list` shows those of tenants.",
            )
        if kind == "analyst" and admin.execute("select to_regnamespace(%s)", (name,)).fetchone() != (None,):
            raise AegisError(
                f"An analyst's schema is called like its login, and a schema {name} is there. Nothing was changed.",
                "Choose another name.",
            )
        identifier = sql.Identifier(name)
        admin.execute(sql.SQL("create role {} login").format(identifier))
        admin.execute(
            sql.SQL("alter role {} password {}").format(
                identifier, sql.Literal(_scram(admin, name, password))
            )
        )
        _ensure_member(admin, database.role(kind), name)
        # As `aegis dsn` does: a policy over an array misestimates, and small queries would flip to parallel plans.
        _ensure_parameters(admin, name, {"max_parallel_workers_per_gather": "0", "jit": "off"})
        if kind == "analyst":
            _ensure_own_schema(admin, name)
        for tenant in dict.fromkeys(one.tenant_id for one in tenants):
            admin.execute(
                """
                insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind)
                select oid, rolname, %s, %s from pg_roles where rolname = %s
                """,
                (tenant, kind, name),
            )
    return password


def list_logins(connection: psycopg.Connection[Any], tenant: Tenant | None = None) -> list[Login]:
    """All logins that are or were bound, those of one tenant where it is given; by name. Owner or administrator."""
    rows = connection.execute(
        """
        select
            coalesce(r.rolname, b.role_name), b.kind, array_agg(t.name order by lower(t.name)), min(b.granted_at),
            min(b.granted_by),
            case when r.oid is null then 'dropped' when not r.rolcanlogin then 'revoked' else 'active' end
        from tenancy.role_tenants as b
        inner join tenancy.tenants as t on b.tenant_id = t.tenant_id
        left join pg_roles as r on b.role_oid = r.oid
        group by b.role_oid, coalesce(r.rolname, b.role_name), b.kind, r.oid, r.rolcanlogin
        having %(tenant)s::uuid is null or bool_or(b.tenant_id = %(tenant)s::uuid)
        order by 1
        """,
        {"tenant": tenant.tenant_id if tenant else None},
    ).fetchall()
    return [Login(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]


def rotate_login(database: Database, name: str, password: str | None = None) -> str:
    """Give a bound login a new password; the old one ends at once, open sessions go on. Returns the new one."""
    from psycopg import sql

    from aegis.database import _scram

    password = _password(password)
    with _administrator(database, f"change the password of {name}") as admin:
        _bound(admin, name)
        admin.execute(
            sql.SQL("alter role {} password {}").format(
                sql.Identifier(name), sql.Literal(_scram(admin, name, password))
            )
        )
        # What `aegis dsn` prints comes from there: the old one would be printed for good.
        if database.server is not None and database.server.passwords().get(name) is not None:
            database.server.keep_password(name, password)
    return password


def revoke_login(database: Database, name: str) -> tuple[int, bool]:
    """End a login: unbound first, so that open sessions see nothing from their next statement on, then closed, then
    dropped unless it owns something. Returns (sessions ended, whether the role is gone)."""
    import psycopg
    from psycopg import sql

    identifier = sql.Identifier(name)
    with _administrator(database, f"revoke the login {name}") as admin:
        _bound(admin, name)
        admin.execute(
            """
            delete from tenancy.role_tenants
            where role_oid in (select r.oid from pg_roles as r where r.rolname = %(name)s)
                or (role_name = %(name)s and role_oid not in (select r.oid from pg_roles as r))
            """,
            {"name": name},
        )
        if not admin.execute("select 1 from pg_roles where rolname = %s", (name,)).fetchone():
            return 0, True
        admin.execute(sql.SQL("alter role {} nologin password null").format(identifier))
    ended = 0
    # Who may not end sessions has unbound them already: they see nothing from their next statement on.
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), database.connect("admin") as admin:
        row = admin.execute(
            "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where usename = %s", (name,)
        ).fetchone()
        ended = row[0] if row else 0
    with _administrator(database, f"drop the login {name}") as admin:
        is_gone = True
        try:
            with admin.transaction():
                _drop_empty_schema(admin, name)
                admin.execute(sql.SQL("drop role {}").format(identifier))
        except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege):
            is_gone = False
    if database.server is not None and database.server.passwords().get(name) is not None:
        database.server.keep_password(name, None)
    return ended, is_gone


def _drop_empty_schema(admin: psycopg.Connection[Any], name: str) -> None:
    """An analyst's schema goes with it, unless there is work in it: without cascade the drop fails then."""
    from psycopg import sql

    owned = admin.execute(
        "select 1 from pg_namespace where nspname = %s and nspowner = to_regrole(%s)", (name, f'"{name}"')
    ).fetchone()
    if owned:
        admin.execute(sql.SQL("drop schema {}").format(sql.Identifier(name)))


def _bound(admin: psycopg.Connection[Any], name: str) -> None:
    found = admin.execute(
        """
        select 1 from tenancy.role_tenants as b
        left join pg_roles as r on b.role_oid = r.oid
        where coalesce(r.rolname, b.role_name) = %s
        """,
        (name,),
    ).fetchone()
    if found is None:
        raise AegisError(
            f"There is no login {name!r} of a tenant. Nothing was changed.",
            "`aegis tenant login list` shows those there are.",
        )


def _check_name(database: Database, name: str) -> None:
    if not NAME.fullmatch(name):
        raise AegisError(
            f"{name!r} cannot be the name of a login. Nothing was changed.",
            "Use small letters, digits and _, at most 63, beginning with a letter: tools quote such names rightly.",
        )
    if name.startswith(("pg_", database.settings.role_prefix)) or name in ("public", "none", "postgres"):
        raise AegisError(
            f"Names like {name} are kept for the server and for Aegis' own roles. Nothing was changed.",
            "Choose another, for instance bi_northwind.",
        )


def _password(given: str | None) -> str:
    if given is None:
        return secrets.token_urlsafe(24)
    if len(given) < 12 or not given.isprintable():
        raise AegisError(
            "A password has at least 12 printable characters. Nothing was changed.",
            "Leave it out for a random one.",
        )
    return given


@contextlib.contextmanager
def _administrator(database: Database, purpose: str) -> Iterator[psycopg.Connection[Any]]:
    """An administrator's transaction, one at a time in the whole database."""
    import psycopg

    with database.connect("admin") as admin:
        admin.execute("select pg_advisory_xact_lock(hashtextextended('aegis tenant logins', 0))")
        try:
            yield admin
        except psycopg.errors.InsufficientPrivilege as problem:
            raise AegisError(
                f"This user may not {purpose}: {problem.diag.message_primary}. Nothing was changed.",
                "Use an administrator with CREATEROLE in AEGIS_DATABASE_URL.",
            ) from problem
        except psycopg.errors.DuplicateObject as problem:
            raise AegisError(
                f"There already is a role of that name: {problem.diag.message_primary}. Nothing was changed.",
                "Choose another name.",
            ) from problem
