"""Deleting tenants: every row of theirs from every schema, and the logins that only they had.

Policy: history and the audit trail of a tenant go with it. What stays is one row of ops.tenant_deletions, which holds
the hash of the tenant's id, the number of rows, the time and who did it. Backups are files of the operator's and keep
what they held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database
    from aegis.tenants import Tenant

Progress = Callable[[str], None]


@dataclass
class Erased:
    """`rows` deleted, `logins` dropped (those of nobody else), `traces`: relation → rows that still name the tenant."""

    rows: int
    logins: list[str] = field(default_factory=list)
    traces: dict[str, int] = field(default_factory=dict)


def delete_tenant(database: Database, tenant: Tenant, progress: Progress = lambda _: None) -> Erased:
    """Delete a tenant and prove it by a search of all tables.

    Waits for a daily run to end: its build would write again.

    Raises  AegisError for a demo tenant (`aegis demo remove` knows the demo's rates too)
    """
    from flows.tasks import one_run_at_a_time

    if tenant.is_demo:
        raise AegisError(
            f"{tenant.name} belongs to the demo.", "`aegis demo remove` deletes the demo as a whole."
        )
    tenant_id = str(tenant.tenant_id)
    with one_run_at_a_time(database.connections(), progress), database.connect("owner") as connection:
        logins = logins_only_of(connection, [tenant_id])
        needles = _needles(connection, tenant_id, logins)
        progress("Deleting rows")
        row = connection.execute("select tenancy.delete_tenants(array[%s::uuid])", (tenant_id,)).fetchone()
        rows = int(row[0]) if row else 0
        connection.execute(
            "insert into ops.tenant_deletions (tenant_hash, deleted_rows) values (%s, %s)",
            (hashlib.sha256(tenant_id.encode()).hexdigest(), rows),
        )
    for login in logins:
        drop_login(database, login)
    progress("Searching all tables for what is left")
    with database.connect("admin", autocommit=True) as admin:
        traces = find_traces(admin, needles)
    return Erased(rows, logins, traces)


def logins_only_of(connection: psycopg.Connection[Any], tenant_ids: Iterable[str]) -> list[str]:
    """Logins bound to these tenants and to no other."""
    rows = connection.execute(
        """
        select b.role_name
        from tenancy.role_tenants as b
        inner join pg_roles as r on r.oid = b.role_oid and r.rolname = b.role_name
        group by b.role_name
        having bool_and(b.tenant_id::text = any(%s))
        """,
        (list(tenant_ids),),
    )
    return [row[0] for row in rows]


def drop_login(database: Database, login: str) -> None:
    """A login bound to nobody else; what it owns (an analyst's schema) goes with it."""
    import psycopg
    from psycopg import sql

    from aegis.server import locked

    name = sql.Identifier(login)
    with locked(database.settings):
        with database.connect("admin") as admin:
            superuser = admin.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
            if not (superuser and superuser[0]):
                admin.execute(sql.SQL("grant {} to current_user with inherit true, set true").format(name))
            admin.execute(sql.SQL("drop owned by {} cascade").format(name))
        try:
            with database.connect("admin") as admin:
                admin.execute(sql.SQL("drop role {}").format(name))
        except psycopg.errors.DependentObjectsStillExist:
            return  # another database of this server knows it; here it is bound to nobody
        if database.server is not None:
            database.server.keep_password(login, None)


def _needles(connection: psycopg.Connection[Any], tenant_id: str, logins: list[str]) -> list[str]:
    """What names the tenant and nobody else: its id in both spellings, its logins, account ids of its own."""
    accounts = connection.execute(
        """
        select a.account_id from tenancy.ad_accounts as a
        group by a.account_id
        having bool_and(a.tenant_id = %s::uuid) and length(a.account_id) >= 8
        """,
        (tenant_id,),
    )
    return [tenant_id, tenant_id.replace("-", ""), *logins, *(row[0] for row in accounts)]


def find_traces(admin: psycopg.Connection[Any], needles: list[str]) -> dict[str, int]:
    """Relation → number of rows whose text holds one of the needles, over all tables of all schemas but the system's.

    Each is read as its owner, whose policy on protected tables is `true`: an administrator need not be a superuser.
    """
    from psycopg import sql

    tables = admin.execute(
        """
        select n.nspname, c.relname, r.rolname
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        inner join pg_roles as r on r.oid = c.relowner
        where c.relkind in ('r', 'm') and c.relpersistence <> 't'
            and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_toast%'
            and n.nspname not like 'pg\\_temp%'
        order by 1, 2
        """
    ).fetchall()
    found: dict[str, int] = {}
    for schema, table, owner in tables:
        with admin.transaction():
            admin.execute(sql.SQL("set local role {}").format(sql.Identifier(owner)))
            row = admin.execute(
                sql.SQL(
                    "select count(*) from {} as t "
                    "where exists (select from unnest(%s::text[]) as n where strpos(t::text, n) > 0)"
                ).format(sql.Identifier(schema, table)),
                (needles,),
            ).fetchone()
        if row and row[0]:
            found[f"{schema}.{table}"] = row[0]
    return found
