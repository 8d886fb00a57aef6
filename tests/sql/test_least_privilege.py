"""Exactly what each role may, and that nothing works as a superuser once a database is deployed."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from actors import World

from aegis.privileges import document, render
from aegis.settings import project_root
from aegis.validate import expected_file

ROOT = project_root()
# Role to schema to rights, membership included: u usage, c create | of any of its tables: r select, a insert (of some
# columns), w update (of some columns), d delete, t truncate, T trigger or references | x execute a function.
# A schema that is not named is closed: no usage, so whatever lies in it is out of reach.
# `raw_*` are the landing schemas of the platforms, all alike.
MAY: dict[str, dict[str, str]] = {
    "aegis_owner": {
        "ads": "u",
        "audit": "ucrawdtTx",
        "history": "ucrawdtT",
        "ops": "ucrawdtTx",
        "public": "ucrawdtT",
        "tenancy": "ucrawdtTx",
    },
    "aegis_loader": {
        "history": "ur",
        "ops": "uraw",
        "raw_*": "ucrawdtT",
        "raw_manual": "ucrawdtT",
        "tenancy": "urawx",
    },
    "aegis_transformer": {
        "ads": "ucrawdtTx",
        "ads_internal": "ucrawdtTx",
        "audit": "ux",
        "history": "urawd",
        "intermediate": "uc",
        "ops": "urawdx",
        "public": "ur",
        "raw_*": "ur",
        "raw_manual": "ura",
        "staging": "uc",
        "tenancy": "urwx",  # the conversion event of an account, at its first load
    },
    "aegis_app": {"ads": "urawdx", "audit": "ur", "tenancy": "ux"},
    "aegis_reader": {"ads": "urx", "audit": "ur", "tenancy": "ux"},
    "aegis_buyer": {"ads": "urawdx", "audit": "ur", "tenancy": "ux"},
    "aegis_analyst": {"ads": "urx", "audit": "ur", "tenancy": "ux"},
    "public": {},
}
# Who connects as the administrator, and why it cannot be less.
ADMINISTRATORS = {
    "aegis/backup.py: _address": "hands the address to pg_dump and pg_restore",
    "aegis/backup.py: _run": "hands the password to pg_dump and pg_restore",
    "aegis/backup.py: backup": "reads every table past row security",
    "aegis/backup.py: restore": "makes roles and fills an empty database",
    "aegis/deploy.py: ensure_deployed": "looks whether anything was deployed",
    "aegis/erase.py: delete_tenant": "searches every table for what is left of a tenant",
    "aegis/erase.py: drop_login": "drops a role",
    "aegis/database.py: check": "asks an external server for its version and encoding",
    "aegis/database.py: dsn": "prints the administrator's own URL",
    "aegis/database.py: ensure_tenant_login": "makes a role",
    "aegis/database.py: url": "is the way to it",
    "aegis/deploy.py: deploy": "makes roles, schemas and event triggers",
    "aegis/doctor.py: examine": "reads settings and roles",
    "aegis/logins.py: _administrator": "makes, changes and drops roles",
    "aegis/logins.py: revoke_login": "ends the sessions of a role",
    "aegis/validate.py: main": "makes a throw-away database",
    "aegis/validate.py: validate": "reads every table's definition",
    "aegis/validate.py: write_expected": "reads every table's definition",
}


def found(connection: psycopg.Connection[Any], role: str, schema: str) -> str:
    """The role's rights in the schema, in the letters of MAY."""
    row = connection.execute(
        """
        with

        relations as (
            select c.oid from pg_class as c
            where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
        )

        select
            has_schema_privilege(%(role)s, %(schema)s, 'usage'),
            has_schema_privilege(%(role)s, %(schema)s, 'create'),
            bool_or(has_any_column_privilege(%(role)s, oid, 'select')),
            bool_or(has_any_column_privilege(%(role)s, oid, 'insert')),
            bool_or(has_any_column_privilege(%(role)s, oid, 'update')),
            bool_or(has_table_privilege(%(role)s, oid, 'delete')),
            bool_or(has_table_privilege(%(role)s, oid, 'truncate')),
            bool_or(has_table_privilege(%(role)s, oid, 'trigger') or has_any_column_privilege(%(role)s, oid, 'references')),
            exists (
                select from pg_proc as p
                where p.pronamespace = %(schema)s::regnamespace and has_function_privilege(%(role)s, p.oid, 'execute')
            )
        from relations
        """,
        {"role": role, "schema": schema},
    ).fetchone()
    assert row is not None
    return "".join(letter for letter, has in zip("ucrawdtTx", row, strict=True) if has)


@pytest.mark.parametrize("role", MAY)
def test_exactly_what_each_role_may(world: World, role: str) -> None:
    with world.service("admin") as admin:
        schemas = admin.execute(
            "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema$|aegis_t_)' order by 1"
        ).fetchall()
        rights: dict[str, set[str]] = {}
        for (schema,) in schemas:
            name = "raw_*" if schema.startswith("raw_") and schema != "raw_manual" else schema
            rights.setdefault(name, set()).add(found(admin, role, schema))
        assert {name: sorted(may) for name, may in rights.items() if may != {""}} == {
            name: [may] for name, may in MAY[role].items()
        }


def test_readers_may_read_every_table_of_ads_and_the_trail_whole(world: World) -> None:
    with world.service("admin") as admin:
        rows = admin.execute(
            """
            select c.oid::regclass::text from pg_class as c
            where c.relnamespace in ('ads'::regnamespace, 'audit'::regnamespace) and c.relkind in ('r', 'p')
                and not (has_table_privilege('aegis_reader', c.oid, 'select') and has_table_privilege('aegis_app', c.oid, 'select'))
            """
        ).fetchall()
        assert rows == []


def test_no_role_of_ours_is_more_than_a_role(world: World) -> None:
    with world.service("admin") as admin:
        rows = admin.execute(
            """
            select rolname from pg_roles
            where rolname ~ '^aegis_' and rolname <> session_user
                and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication)
            """
        ).fetchall()
        assert rows == []


def test_nothing_of_ours_belongs_to_a_superuser(world: World) -> None:
    """Whatever runs with its owner's rights, or is rebuilt by its owner, runs as a role without any."""
    with world.service("admin") as admin:
        rows = admin.execute(
            """
            select o.what from (
                select c.oid::regclass::text, c.relowner, n.nspname from pg_class as c
                inner join pg_namespace as n on c.relnamespace = n.oid
                union all
                select p.oid::regprocedure::text, p.proowner, n.nspname from pg_proc as p
                inner join pg_namespace as n on p.pronamespace = n.oid
                union all
                select n.nspname::text, n.nspowner, n.nspname from pg_namespace as n
                union all
                select t.typname::text, t.typowner, n.nspname from pg_type as t inner join pg_namespace as n on t.typnamespace = n.oid
            ) as o (what, owner, schema)
            inner join pg_roles as r on o.owner = r.oid
            where r.rolsuper and o.schema !~ '^(pg_|information_schema)' and o.what <> 'public'
            order by 1
            """
        ).fetchall()
        # An event trigger's function runs as whoever issues the command: only its maker may be able to replace it.
        assert [row[0] for row in rows] == ["refuse_drop_owned()", "secure_new_table()"]


def test_only_these_connect_as_the_administrator() -> None:
    """The daily run, imports, syncs, decisions and the commands about tenants are not among them."""
    calls = set()
    for path in sorted(Path(ROOT, "aegis").rglob("*.py")) + sorted(Path(ROOT, "flows").rglob("*.py")) + sorted(
        Path(ROOT, "dlt_pipelines").rglob("*.py")
    ):  # fmt: skip
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and (
                        (
                            node.func.attr in ("connect", "url")
                            and not node.args
                            and _is_database(node.func.value)
                        )
                        or (
                            node.func.attr in ("connect", "url")
                            and any(
                                isinstance(one, ast.Constant) and one.value == "admin" for one in node.args
                            )
                        )
                        or node.func.attr == "admin_url"
                    )
                ):
                    calls.add(f"{path.relative_to(ROOT)}: {function.name}")
    known = {
        one for one in calls if not one.startswith("aegis/server.py")
    }  # the server starts and asks itself
    assert known - {"aegis/database.py: _password_works"} <= set(ADMINISTRATORS), known - set(ADMINISTRATORS)


def _is_database(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "database") or (
        isinstance(node, ast.Attribute) and node.attr == "database"
    )


def test_the_document_is_what_is_deployed() -> None:
    """expected.json itself is compared with fresh deployments on 16 and 18 (tests/aegis/test_validate.py)."""
    expected = json.loads(expected_file(ROOT).read_text(encoding="utf-8"))
    assert document(ROOT).read_text(encoding="utf-8") == render(expected), (
        "run python -m aegis.validate --write-expected"
    )


def test_pipelines_and_flows_are_never_given_the_administrator(world18: World) -> None:
    connections = world18.warehouse.database.connections()
    for url in (connections.loader, connections.transformer, connections.owner):
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "select rolsuper, rolcreaterole from pg_roles where rolname = current_user"
            ).fetchone()
            assert row == (False, False)


@pytest.mark.parametrize("version", [18, 16])
def test_where_the_administrator_is_no_superuser_the_event_triggers_are_reported_absent(
    new_warehouse: Callable[..., Any], version: int
) -> None:
    """And what they guard against is found by validate and mended by the next deployment."""
    import secrets

    from actors import refused

    from aegis.database import Database, with_user
    from aegis.deploy import deploy
    from aegis.settings import Settings
    from aegis.validate import validate

    warehouse = new_warehouse(version=version, deployed=False)
    boss = f"boss_{secrets.token_hex(4)}"
    with warehouse.connect("admin", autocommit=True) as admin:
        admin.execute(f"create role {boss} login createrole password 'test'".encode())
        admin.execute(f"alter database {warehouse.name} owner to {boss}".encode())
    settings = Settings(
        root=ROOT,
        data_dir=warehouse.settings.data_dir,
        database_url=with_user(warehouse.url(), boss, "test"),
        role_prefix=warehouse.settings.role_prefix,
    )
    warehouse.settings, warehouse.database = settings, Database(settings)
    report = deploy(warehouse.database)
    step = next(step for step in report.steps if step.phase == "event trigger")
    assert step.status == "skipped" and "absent" in step.message and "drop its policies" in step.message

    reader, tenant = f"{settings.role_prefix}reader", warehouse.add_tenant("north")
    with psycopg.connect(warehouse.tenant_url(tenant)) as connection:
        connection.execute(f"drop owned by {reader}".encode())
    said = [str(problem) for problem in validate(warehouse.database).problems]
    assert any("entities_reader_select" in one for one in said) and any(
        "changes_reader_select" in one for one in said
    )
    deploy(warehouse.database)
    assert validate(warehouse.database).problems == []

    deploy(Database(Settings(root=ROOT, data_dir=settings.data_dir, role_prefix=settings.role_prefix,
                             database_url=warehouse.cluster.admin_url(warehouse.name))))  # fmt: skip
    with psycopg.connect(warehouse.tenant_url(tenant)) as connection:
        for role in (reader, "current_user"):
            with refused(
                connection, "42501", "DROP OWNED is for administrators", "Drop what is yours by name"
            ):
                connection.execute(f"drop owned by {role}".encode())
