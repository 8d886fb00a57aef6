"""BI tools and notebooks with a reader's login: clients that nobody here wrote find the marts and nothing else.

Superset connects through SQLAlchemy and psycopg2 (simple protocol), notebooks through pandas, others through psycopg 3
(extended protocol, binary, pipelines) or ADBC. Each asks the catalogues in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from actors import EVERYBODY, SHARED, World, make_world, tables
from sqlalchemy.engine import Engine

CLOSED = ("raw_manual", "raw_meta", "staging", "intermediate", "history", "ops", "ads_internal", "tenancy")


@pytest.fixture(scope="module")
def world(new_warehouse: Callable[..., Any]) -> World:
    return make_world(new_warehouse(version=18))


@pytest.fixture(scope="module")
def address(world: World) -> str:
    return str(world.warehouse.tenant_url(world.north, "reader"))


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(request: pytest.FixtureRequest, address: str) -> Iterator[Engine]:
    made = sa.create_engine(address.replace("postgresql://", f"postgresql+{request.param}://"))
    yield made
    made.dispose()


def allowed(world: World, table: str) -> set[str]:
    return {world.north, EVERYBODY} if table in SHARED else {world.north}


def test_sqlalchemy_reflects_the_contract_and_reads_one_tenants_rows(world: World, engine: Engine) -> None:
    with world.service("admin") as admin:
        expected = set(tables(admin))
    inspector = sa.inspect(engine)
    assert set(inspector.get_table_names(schema="ads")) == expected
    assert inspector.get_view_names(schema="ads") == []
    assert inspector.get_pk_constraint("metrics_daily", schema="ads")["constrained_columns"] == [
        "tenant_id", "platform", "level", "platform_id", "day",
    ]  # fmt: skip
    metadata = sa.MetaData(schema="ads")
    metadata.reflect(engine)
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            found = {str(row[0]) for row in connection.execute(sa.select(table.c.tenant_id))}
            assert found == allowed(world, table.name), table.name


def test_what_is_listed_elsewhere_cannot_be_read(world: World, engine: Engine) -> None:
    inspector = sa.inspect(engine)
    listed = [
        (schema, table)
        for schema in CLOSED
        for table in (*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema))
    ]
    assert len(listed) > 20
    for schema, table in listed:
        with (
            engine.connect() as connection,
            pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
        ):
            connection.execute(sa.text(f'select * from "{schema}"."{table}"'))


def test_the_information_schema_names_only_what_may_be_read(address: str) -> None:
    with psycopg.connect(address) as connection:
        schemas = connection.execute(
            """
            select distinct table_schema from information_schema.columns
            where table_schema not in ('pg_catalog', 'information_schema')
            union
            select distinct table_schema from information_schema.tables
            where table_schema not in ('pg_catalog', 'information_schema')
            """
        ).fetchall()
    assert {row[0] for row in schemas} == {"ads", "audit"}


def test_statistics_and_sessions_of_others_are_closed(world: World, address: str) -> None:
    """What tools ask for row counts and sizes: sampled values of a protected table are in pg_stats, so it must be empty."""
    with world.service("admin") as admin:
        admin.execute("analyze")
        admin.commit()
    with psycopg.connect(address) as connection:
        stats = connection.execute("select count(*) from pg_stats where schemaname = 'ads'").fetchone()
        assert stats == (0,)
        queries = connection.execute(
            "select query from pg_stat_activity where usename <> current_user and query not in ('', '<insufficient privilege>')"
        ).fetchall()
        assert queries == []


def test_a_notebook_reads_one_tenant(world: World, engine: Engine) -> None:
    frame = pd.read_sql("select * from ads.metrics_daily", engine)
    assert set(frame["tenant_id"].astype(str)) == {world.north}
    frame = pd.read_sql_table("anomalies", engine, schema="ads")
    assert set(frame["tenant_id"].astype(str)) == {world.north}


def test_both_protocols_and_pipelines(world: World, address: str) -> None:
    query = "select tenant_id::text from ads.entities"
    with psycopg2.connect(address) as simple, simple.cursor() as cursor:
        cursor.execute(
            "select 1; " + query
        )  # several statements at once: only the simple protocol takes them
        assert cursor.fetchall() == [(world.north,)]
    with psycopg.connect(address, prepare_threshold=0) as connection:
        for _ in range(7):  # past the fifth, where a generic plan may take over
            rows = connection.execute(query + " where platform = %s", ("meta",), binary=True).fetchall()
            assert rows == [(world.north,)]
        with connection.pipeline():
            cursors = [connection.execute(query) for _ in range(3)]
        assert [cursor.fetchall() for cursor in cursors] == [[(world.north,)]] * 3
        with connection.cursor(name="extract") as server_side:
            server_side.execute(query)
            assert server_side.fetchall() == [(world.north,)]
        with connection.cursor().copy("copy (select tenant_id::text from ads.entities) to stdout") as copy:
            assert b"".join(copy).decode().split() == [world.north]


def test_adbc_reads_one_tenant_and_its_catalogue(world: World, address: str) -> None:
    with adbc.connect(address) as connection:
        with connection.cursor() as cursor:
            cursor.execute("select tenant_id::text as tenant_id from ads.metrics_daily")
            assert set(cursor.fetch_arrow_table()["tenant_id"].to_pylist()) == {world.north}
        objects = connection.adbc_get_objects(
            depth="tables", db_schema_filter="ads", catalog_filter=world.warehouse.name
        ).read_all()
        named = {
            table["table_name"]
            for catalog in objects["catalog_db_schemas"].to_pylist()
            for schema in catalog or []
            for table in schema["db_schema_tables"] or []
            if table["table_type"] == "table"
        }
        assert "metrics_daily" in named


def test_explain_shows_estimates_but_no_foreign_value(world: World, address: str) -> None:
    """Row estimates come from statistics over all tenants and can't be hidden (docs/bi.md says so); values can."""
    with psycopg.connect(address) as connection:
        plan = "\n".join(
            row[0]
            for row in connection.execute(
                "explain (analyze, verbose, buffers) select * from ads.metrics_daily where spend > 0"
            )
        )
    assert "rows=" in plan and world.south not in plan


def test_every_column_is_described(world: World) -> None:
    """Those of derived tables by the build (tests/dbt_project), those that people write by a migration."""
    with world.service("admin") as admin:
        silent = admin.execute(
            """
            select c.relname, a.attname
            from pg_class as c
            inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
            where c.relnamespace = 'ads'::regnamespace
                and c.relname in ('budget_allocation', 'ab_tests', 'platform_configs')
                and col_description(c.oid, a.attnum) is null
            """
        ).fetchall()
    assert silent == []
