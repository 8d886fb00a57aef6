"""The world in which isolation is attacked: two tenants with a row in every table of ads, and fixed actors.

`world` is made once per module and server version; tests change nothing that outlives their transaction.
Actors are real logins, made as `aegis dsn` makes them (member of one group role, bound in tenancy.role_tenants).
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from aegis.database import with_user

EVERYBODY = "00000000-0000-0000-0000-000000000000"
SHARED = {"platform_configs", "performance_benchmarks"}
CLOSED_SCHEMAS = ("raw_manual", "staging", "intermediate", "history", "ops", "ads_internal", "tenancy")
PEOPLE = ("reader", "buyer", "analyst")

# What a generic row cannot guess: values of enumerations.
VALUES: dict[str, Any] = {
    "platform": "meta",
    "level": "campaign",
    "currency": "EUR",
    "day": "2026-01-05",
    "data_status": "final",
    "source": "file",
    "state": "final",
    "recommendation_type": "pause",
    "priority": "high",
    "status": "pending",
    "confidence": 0.5,
    "action": '{"field": "status", "from": "active", "to": "paused"}',
    "evidence": "{}",
    "anomaly_type": "spend_spike",
    "severity": "high",
    "last_day": "2026-01-05",
    "test_type": "creative",
    "variants": "[]",
    "period_type": "day",
    "quality": "primary",
    "event": "purchase",
    "period_end": "2026-01-31",
    "period_start": "2026-01-01",
    "window_days": 7,
    "spend": 10,
    "platform_id": "c1",
    "campaign_id": "c1",
    "account_id": "acc",
    "expires_at": "2099-01-01",
    "model": "linear",
}
STATUS = {"anomalies": "active", "ab_tests": "draft", "entities": "active"}
BY_TYPE = {
    "uuid": "11111111-1111-1111-1111-111111111111",
    "date": "2026-01-05",
    "text": "x",
    "integer": 1,
    "bigint": 1,
    "numeric": 1,
    "boolean": True,
    "jsonb": "{}",
    "timestamp with time zone": "2026-01-05 00:00+00",
}


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Every table of schema ads, as the catalogue says: a new one is attacked without being listed here."""
    rows = connection.execute(
        "select relname from pg_class where relnamespace = 'ads'::regnamespace and relkind in ('r', 'p') order by 1"
    ).fetchall()
    return [row[0] for row in rows]


def insert_row(connection: psycopg.Connection[Any], table: str, tenant: str, **more: Any) -> None:
    """One plausible row of that tenant: every column that must have a value, and those named."""
    columns = connection.execute(
        """
        select column_name, data_type from information_schema.columns
        where table_schema = 'ads' and table_name = %s
            and ((is_nullable = 'NO' and column_default is null) or column_name = any(%s))
        """,
        (table, [*more, "period_start", *(("spend",) if table == "metrics_daily" else ())]),
    ).fetchall()
    row: dict[str, Any] = {}
    for name, kind in columns:
        row[name] = VALUES.get(name, BY_TYPE.get(kind))
        if name == "status":
            row[name] = STATUS.get(table, row[name])
    row |= more | {"tenant_id": tenant}
    connection.execute(
        sql.SQL("insert into ads.{} ({}) values ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        ),
        list(row.values()),
    )


@dataclass
class World:
    """Two tenants, north and south, and ways to connect as anybody."""

    warehouse: Any
    north: str
    south: str
    outsider: str  # URL of a login that is a reader and bound to no tenant
    stranger: str  # URL of a login without any group role

    @contextlib.contextmanager
    def login(self, tenant: str, kind: str = "reader") -> Iterator[psycopg.Connection[Any]]:
        """A login of that tenant; everything is rolled back."""
        with self.at(self.warehouse.tenant_url(tenant, kind)) as connection:
            yield connection

    @contextlib.contextmanager
    def app(self, tenant: str | None = None, person: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """The application, acting for a tenant where one is given; everything is rolled back."""
        with self.at(self.warehouse.url("app")) as connection:
            if tenant is not None:
                connection.execute(sql.SQL("set local saas.tenant_id = {}").format(sql.Literal(tenant)))
            if person is not None:
                connection.execute(sql.SQL("set local saas.user_id = {}").format(sql.Literal(person)))
            yield connection

    @contextlib.contextmanager
    def service(self, role: str) -> Iterator[psycopg.Connection[Any]]:
        with self.at(self.warehouse.url(role)) as connection:
            yield connection

    @contextlib.contextmanager
    def at(self, url: str) -> Iterator[psycopg.Connection[Any]]:
        connection = psycopg.connect(url, connect_timeout=10)
        try:
            yield connection
        finally:
            connection.rollback()
            connection.close()


def make_login(warehouse: Any, groups: tuple[str, ...]) -> str:
    """URL of a new login in those group roles, bound to nothing."""
    name = f"x_{secrets.token_hex(4)}"
    with warehouse.connect("admin", autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} login password 'test'").format(sql.Identifier(name)))
        for group in groups:
            admin.execute(
                sql.SQL("grant {} to {} with inherit true, set false").format(
                    sql.Identifier(group), sql.Identifier(name)
                )
            )
    return with_user(warehouse.url("admin"), name, "test")


def make_world(warehouse: Any) -> World:
    north, south = warehouse.add_tenant("north"), warehouse.add_tenant("south", currency="USD")
    with warehouse.connect("transformer") as connection:
        for table in tables(connection):
            for tenant in (north, south):
                insert_row(connection, table, tenant)
        insert_row(connection, "performance_benchmarks", EVERYBODY)
    return World(
        warehouse,
        north,
        south,
        outsider=make_login(warehouse, ("aegis_reader",)),
        stranger=make_login(warehouse, ()),
    )


@pytest.fixture(scope="module", params=[18, 16], ids=["pg18", "pg16"])
def world(request: pytest.FixtureRequest, new_warehouse: Callable[..., Any]) -> World:
    return make_world(new_warehouse(version=request.param))


@pytest.fixture(scope="module")
def world18(new_warehouse: Callable[..., Any]) -> World:
    """For questions that do not depend on the server's version."""
    return make_world(new_warehouse(version=18))


@contextlib.contextmanager
def refused(connection: psycopg.Connection[Any], state: str, *words: str) -> Iterator[None]:
    """The block must fail with that SQLSTATE, its message and hint must hold the words; the transaction goes on."""
    with pytest.raises(psycopg.Error) as caught, connection.transaction():
        yield
    assert caught.value.sqlstate == state, f"{caught.value.sqlstate}: {caught.value}"
    said = f"{caught.value.diag.message_primary} {caught.value.diag.message_hint}"
    for word in words:
        assert word in said, said
