"""The demo from loading to removal: through the imports of real files, apart from real tenants, and without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from psycopg import sql

from aegis import demo
from aegis.database import dsn
from dlt_pipelines.common.errors import AegisError
from dlt_pipelines.registry import with_api
from emulator.world import World

AS_OF = date(2026, 3, 19)
WORLD = World(seed=demo.SEED)


@pytest.fixture(scope="module")
def loaded(new_warehouse: Callable[..., Any]) -> Iterator[Any]:
    """A warehouse with the demo as of AS_OF, for tests that only look."""
    warehouse = new_warehouse()
    demo.load(warehouse.database, AS_OF)
    yield warehouse


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of three weeks, for tests whose question its length has nothing to do with."""
    monkeypatch.setattr(demo, "HISTORY_DAYS", 21)
    monkeypatch.setattr(demo, "VERSION_DAYS", 8)
    monkeypatch.setattr(demo, "READ_DAYS", 6)


def everywhere(warehouse: Any, texts: list[str]) -> dict[str, int]:
    """Tables that hold one of these texts anywhere in a row, and how many rows do."""
    found = {}
    with warehouse.connect("admin") as connection:
        tables = connection.execute(
            """
            select n.nspname, c.relname
            from pg_class as c
            inner join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
            """
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("select count(*) from {} as t where t::text ~ %s").format(
                sql.Identifier(schema, table)
            )
            row = connection.execute(query, ("|".join(texts),)).fetchone()
            assert row is not None
            if row[0]:
                found[f"{schema}.{table}"] = row[0]
    return found


def test_its_tenants_are_the_worlds(loaded: Any) -> None:
    rows = loaded.rows(
        "select tenant_id::text, name, currency, timezone, industry, is_demo from tenancy.tenants where is_demo"
    )
    assert sorted(rows) == sorted(
        (one.tenant_id, one.name, one.currency, one.timezone, one.industry, True) for one in WORLD.tenants
    )


def test_its_history_is_imported_like_a_real_file(loaded: Any) -> None:
    first = AS_OF - timedelta(days=demo.HISTORY_DAYS - 1)
    accounts = len(WORLD.accounts())
    by_api = sum(account.platform in with_api() for account in WORLD.accounts())
    assert by_api
    assert loaded.rows("select source, count(*), min(day), max(day) from ops.coverage group by source") == [
        ("api", by_api * demo.READ_DAYS, AS_OF - timedelta(days=demo.READ_DAYS - 1), AS_OF),
        (
            "file",
            accounts * demo.HISTORY_DAYS,
            first,
            AS_OF,
        ),  # a history covers its whole period, rows or none
    ]
    log = loaded.rows(
        "select kind, status, rows_failed, rows_imported > 0 from ops.import_log where kind <> 'api' order by import_id"
    )
    assert log == [("rates", "completed", 0, True), ("history", "completed", 0, True)]
    names = loaded.rows(
        "select name from tenancy.ad_accounts where account_id = %s", (WORLD.accounts()[0].account_id,)
    )
    assert names == [(WORLD.accounts()[0].name,)]


def test_its_newest_days_have_versions(loaded: Any) -> None:
    """Conversions that arrived late stand there with the day they became known: a maturity curve can be learned."""
    rows = loaded.rows(
        """
        select count(*) filter (where n = 1) > 0, count(*) filter (where n > 1) > 500, min(known_on)
        from (
            select count(*) as n, min(known_on) as known_on
            from raw_manual.performance
            group by tenant_id, platform, platform_id, day
        ) as keys
        """
    )
    assert rows[0][:2] == (True, True)
    assert rows[0][2] == AS_OF - timedelta(days=demo.VERSION_DAYS - 1)


def test_its_people_set_targets_and_budgets(loaded: Any) -> None:
    targets = loaded.rows(
        "select tenant_id::text, count(*) from ads.platform_configs where target_roas is not null group by tenant_id",
        role="transformer",
    )
    assert {tenant for tenant, _ in targets} >= {one.tenant_id for one in WORLD.tenants}
    budgets = loaded.rows(
        """
        select b.tenant_id::text, count(*), min(b.period_start), min(b.period_end), bool_and(b.budget > 0)
        from ads.budget_allocation as b
        group by b.tenant_id
        """,
        role="transformer",
    )
    assert {row[1:] for row in budgets} == {(2, date(2026, 3, 1), date(2026, 3, 31), True)} and len(
        budgets
    ) == 3


def test_its_calendar_stands_where_it_was_loaded(loaded: Any) -> None:
    found = demo.state(loaded.database)
    assert found.is_loaded and found.real == [] and found.as_of == AS_OF
    assert (found.first_day, found.newest_day) == (AS_OF - timedelta(days=demo.HISTORY_DAYS - 1), AS_OF)


def test_it_is_loaded_once(loaded: Any) -> None:
    with pytest.raises(AegisError, match="loaded already, as of 2026-03-19") as refused:
        demo.load(loaded.database, AS_OF)
    assert "demo advance" in refused.value.hint and "demo remove" in refused.value.hint


def test_it_is_not_loaded_beside_real_tenants(warehouse: Any) -> None:
    warehouse.add_tenant("Real Shoes")
    done = warehouse.run_cli("demo", "load")

    assert done.returncode == 1 and "Real Shoes" in done.stderr and "AEGIS_DATA_DIR" in done.stderr
    assert demo.state(warehouse.database).tenants == []


@pytest.mark.usefixtures("short")
def test_a_load_that_broke_off_is_finished_by_the_next(
    warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(demo, "_configure", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            demo.load(warehouse.database, AS_OF)
    broken = demo.state(warehouse.database)
    assert broken.tenants and not broken.is_loaded
    assert warehouse.run_cli("demo", "status").returncode == 1

    demo.load(warehouse.database, AS_OF)
    assert demo.state(warehouse.database).is_loaded
    raw = warehouse.rows("select count(distinct load_id) from raw_manual.performance")
    assert raw == [(1,)], "the import that was complete is not repeated"


@pytest.mark.usefixtures("short")
def test_advancing_brings_one_day_and_no_clock(warehouse: Any) -> None:
    """The demo may run ahead of the calendar: it ends on yesterday, and the next day can be had at once."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    demo.load(warehouse.database, tomorrow - timedelta(days=1))

    moved = demo.advance(warehouse.database)

    assert moved.as_of == tomorrow and moved.rows > 0
    found = demo.state(warehouse.database)
    assert found.as_of == found.newest_day == tomorrow
    assert warehouse.rows("select count(*) from ops.quarantine") == [(0,)]
    accounts = warehouse.rows(
        "select count(distinct (platform, account_id)) from ops.coverage where day = %s", (tomorrow,)
    )
    assert accounts == [(len(WORLD.accounts()),)]


def test_advancing_what_is_not_loaded_says_so(warehouse: Any) -> None:
    done = warehouse.run_cli("demo", "advance")
    assert (
        done.returncode == 1 and "The demo is not loaded" in done.stderr and "aegis demo load" in done.stderr
    )


@pytest.mark.usefixtures("short")
def test_removal_leaves_no_trace_and_spares_real_tenants(warehouse: Any) -> None:
    demo.load(warehouse.database, AS_OF)
    demo.advance(warehouse.database)
    mine = WORLD.tenants[0].tenant_id
    _, reader = dsn(warehouse.database, "reader", mine)
    _, analyst = dsn(warehouse.database, "analyst", mine)
    real = warehouse.add_tenant("Real")
    with warehouse.connect("owner") as connection:
        connection.execute("update tenancy.tenants set industry = 'x' where tenant_id = %s", (mine,))
        connection.execute(
            "insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows) "
            "values ('l', %s, 'meta', 'a', '2026-01-01', 'file', 1)",
            (real,),
        )
        connection.execute(
            "insert into ops.import_log (load_id, kind, source_name, status) values ('l', 'history', 'mine.csv', 'completed')"
        )
    _hand_rows_and_marts(warehouse, mine, real)
    ids = [one.tenant_id for one in WORLD.tenants]
    assert len(everywhere(warehouse, ids)) > 10

    done = warehouse.run_cli("demo", "remove", check=True)

    assert "Removed the demo" in done.stdout
    names = [one.name for one in WORLD.tenants] + [account.account_id for account in WORLD.accounts()]
    assert everywhere(warehouse, [*ids, *names, demo.FILES]) == {}
    assert warehouse.rows("select count(*) from history.currency_rates") == [(0,)]
    assert warehouse.rows("select count(*) from raw_manual.currency_rates") == [(0,)]
    logins = [login.name for login in (reader, analyst) if login]
    assert warehouse.rows("select rolname from pg_roles where rolname = any(%s)", (logins,)) == []
    assert warehouse.rows("select nspname from pg_namespace where nspname = any(%s)", (logins,)) == []

    kept = everywhere(warehouse, [real])
    assert kept["tenancy.tenants"] == kept["ads.metrics_daily"] == kept["raw_manual.hand_rows"] == 1
    assert kept["ops.coverage"] == kept["audit.changes"] == 2
    assert warehouse.rows("select source_name from ops.import_log") == [("mine.csv",)]


def _hand_rows_and_marts(warehouse: Any, mine: str, real: str) -> None:
    """A row a person entered for either tenant, which goes to raw_manual, coverage and the audit trail as well."""
    for tenant in (mine, real):
        with warehouse.connect("app") as connection:
            connection.execute("select set_config('saas.tenant_id', %s, true)", (tenant,))
            connection.execute(
                """
                insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend)
                values (%s, 'meta', 'campaign', 'c', '2026-03-01', 12)
                """,
                (tenant,),
            )
    with warehouse.connect("transformer") as connection:
        connection.execute(
            "create table intermediate.later_model as select tenant_id, 1 as x from tenancy.tenants where is_demo"
        )


@pytest.mark.usefixtures("short")
def test_the_audit_trail_stays_append_only_for_everybody_else(warehouse: Any) -> None:
    demo.load(warehouse.database, AS_OF)
    real = warehouse.add_tenant("Real")
    demo.remove(warehouse.database)

    with pytest.raises(Exception, match="append only"), warehouse.connect("owner") as connection:
        connection.execute("delete from audit.changes where tenant_id = %s", (real,))


@pytest.mark.parametrize("role", ["app", "loader", "transformer"])
def test_only_the_owner_can_remove_it(warehouse: Any, role: str) -> None:
    with pytest.raises(Exception, match="permission denied"), warehouse.connect(role) as connection:
        connection.execute("select tenancy.remove_demo('x')")


def test_there_may_be_nothing_to_remove(warehouse: Any) -> None:
    assert "no demo to remove" in warehouse.run_cli("demo", "remove", check=True).stdout
    assert "not loaded" in warehouse.run_cli("demo", "status", check=True).stdout
