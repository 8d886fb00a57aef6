"""`aegis run` as `make run` calls it: an empty database, then the same again, then beside a tenant of one's own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from aegis import demo
from aegis.summary import read_summary
from emulator.world import World

MOVING = {"updated_at", "computed_at"}


@dataclass
class Morning:
    """A warehouse after two runs, what they said, and what stood in `ads` after each."""

    warehouse: Any
    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]
    after_first: dict[str, Any]
    after_second: dict[str, Any]

    @property
    def page(self) -> Path:
        return Path(self.warehouse.settings.data_dir) / "summary.html"


def contents(warehouse: Any) -> dict[str, Any]:
    """Rows and a checksum of every table of ads, without the columns that say when a row was written."""
    found = {}
    with warehouse.connect("transformer") as connection:
        columns = connection.execute(
            """
            select table_name, array_agg(column_name::text order by column_name)
            from information_schema.columns
            where table_schema = 'ads'
            group by table_name
            """
        ).fetchall()
        for table, names in columns:
            row = sql.SQL(", ").join(sql.Identifier(name) for name in names if name not in MOVING)
            query = sql.SQL(
                "select count(*), md5(string_agg(t::text, e'\\n' order by t::text)) from (select {} from ads.{}) as t"
            ).format(row, sql.Identifier(table))
            found[table] = connection.execute(query).fetchone()
    return found


@pytest.fixture(scope="module")
def morning(new_warehouse: Callable[..., Any]) -> Iterator[Morning]:
    warehouse = new_warehouse(deployed=False, prefix="aegis_")
    first = warehouse.run_cli("run", timeout=600, check=True)
    after_first = contents(warehouse)
    second = warehouse.run_cli("run", timeout=600, check=True)
    yield Morning(warehouse, first, second, after_first, contents(warehouse))


def test_the_first_run_says_what_it_does_and_what_comes_next(morning: Morning) -> None:
    told = re.findall(r"^\[(\d)/5\] (.+?) +[\d.]+ s  (.+)$", morning.first.stderr, re.MULTILINE)
    assert [(number, title) for number, title, _ in told] == [
        ("1", "Database"), ("2", "Schema"), ("3", "Tenants"), ("4", "Daily run"), ("5", "Summary")
    ]  # fmt: skip
    assert (
        "migrations applied" in told[1][2]
        and "loaded 3 demo tenants" in told[2][2]
        and told[3][2] == "3 done"
    )
    for tenant in World(seed=demo.SEED).tenants:
        assert f"{tenant.name}  as of " in morning.first.stdout
    for command in ("summary.html", "recommendations list", "anomalies list", "psql", "demo advance"):
        assert command in morning.first.stdout.split("What you can do next:")[1]
    assert morning.page.read_text(encoding="utf-8").count('<section class="tenant"') == 3


# Lines of the README's picture whose wording no day changes; figures, days and names in them may differ.
FRAME = (
    r"\[\d/5\] (Database|Schema|Tenants|Daily run|Summary) ", r"\S.* {2}as of .* {2}demo ─+$",
    r".* against the 7 days before +Spend +ROAS", r"All platforms ", r"Meta +\S+ ", r"What is wrong \(\d+\) {2}by ",
    r"What to change \(\d+\) {2}by ", r" +\S+ {2}\S.* id [0-9a-f]{8}$", r"About the data$", r"done {5}\S.* {2}as of ",
    r"Done in \d+ s\. What you can do next:$", r" {2}.*(summary\.html|recommendations list|anomalies list) {2}",
)  # fmt: skip


def test_the_readmes_picture_has_the_shape_of_what_is_printed(morning: Morning) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    picture = readme.split("<!-- run-output -->")[1].split("<!-- /run-output -->")[0].splitlines()
    printed = [line.rstrip() for line in (morning.first.stderr + morning.first.stdout).splitlines()]
    for pattern in FRAME:
        shown = [line for line in picture if re.match(pattern, line.rstrip())]
        assert shown, f"the README no longer shows: {pattern}"
        assert any(re.match(pattern, line) for line in printed), f"`aegis run` no longer prints: {shown[0]}"
    steps = [line for line in picture if line.startswith("[")]
    told = re.findall(r"^(\[\d/5\] .+?) +[\d.]+ s  ", morning.first.stderr, re.MULTILINE)
    assert [re.split(r" +[\d.]+ s  ", line)[0] for line in steps] == told


def test_running_the_day_again_changes_nothing(morning: Morning) -> None:
    assert morning.after_second == morning.after_first
    assert morning.after_first["metrics_daily"][0] > 10_000
    assert "up to date" in morning.second.stderr and "the demo is loaded, as of" in morning.second.stderr
    loads = morning.warehouse.rows("select count(*) from ops.import_log where kind = 'history'")
    assert loads == [(1,)], "what is loaded is not loaded again"
    runs = morning.warehouse.rows("select count(*), min(status), max(status) from ops.daily_runs")
    assert runs == [(3, "done", "done")]


def test_the_summarys_figures_are_the_worlds(morning: Morning) -> None:
    """Spend of the newest week from the synthetic world itself, in accounts whose currency is the tenant's."""
    world = World(seed=demo.SEED)
    for one in read_summary(morning.warehouse.database).tenants:
        assert one.as_of is not None and one.total is not None
        assert one.total.current.days == one.total.previous.days == 7
        home = Decimal(0)
        for account in world.accounts(one.tenant_id):
            if account.currency == one.currency:
                for ago in range(7):
                    day: date = one.as_of - timedelta(days=ago)
                    home += sum(
                        (row.spend for row in world.ads_known_on(account, day, one.as_of)), Decimal(0)
                    )
        stored = morning.warehouse.rows(
            """
            select sum(spend) from ads.metrics_daily
            where tenant_id = %s and level = 'account' and currency = %s and day > %s and day <= %s
            """,
            (one.tenant_id, one.currency, one.as_of - timedelta(days=7), one.as_of), role="transformer",
        )  # fmt: skip
        assert stored == [(home,)]
        assert one.total.current.spend is not None and one.total.current.spend >= home


def test_names_stand_where_ids_would(morning: Morning) -> None:
    shown = morning.first.stdout
    ids = {campaign.campaign_id for campaign in World(seed=demo.SEED).campaigns(date.today())}
    assert not [one for one in ids if one in shown]


def test_advancing_the_demo_runs_its_next_day(morning: Morning) -> None:
    before = demo.state(morning.warehouse.database).as_of
    assert before is not None

    done = morning.warehouse.run_cli("demo", "advance", timeout=600, check=True)

    assert f"The demo is now as of {before + timedelta(days=1)}" in done.stdout
    assert done.stdout.count("done     ") == 3
    found = read_summary(morning.warehouse.database).tenants
    assert {one.as_of for one in found} == {before + timedelta(days=1)}
    kept = morning.warehouse.run_cli("optimize", "--as-of", str(before))
    assert kept.returncode == 1 and "cannot go back" in kept.stderr and "replay" in kept.stderr


def test_with_tenants_of_ones_own_the_demo_is_left_alone(morning: Morning) -> None:
    real = morning.warehouse.add_tenant("Real Shoes")
    before = morning.warehouse.rows("select tenant_id, as_of, finished_at from ops.daily_runs order by 1, 2")

    done = morning.warehouse.run_cli("run", timeout=600, check=True)

    assert "your own, Real Shoes; the demo is left as it is" in done.stderr
    assert "skipped  Real Shoes" in done.stdout and "no figures yet" in done.stdout
    assert "Birkenhain" not in done.stdout
    assert before == morning.warehouse.rows(
        "select tenant_id, as_of, finished_at from ops.daily_runs order by 1, 2"
    )
    assert real in str(morning.warehouse.rows("select tenant_id from tenancy.tenants"))
    moved = morning.warehouse.run_cli("demo", "advance")
    assert moved.returncode == 1 and "Real Shoes" in moved.stderr and "exchange rates" in moved.stderr


def test_the_demo_goes_without_a_trace_after_builds_too(morning: Morning) -> None:
    morning.warehouse.run_cli("demo", "remove", check=True)

    ids = [tenant.tenant_id for tenant in World(seed=demo.SEED).tenants]
    with morning.warehouse.connect("admin") as connection:
        tables = connection.execute(
            """
            select n.nspname, c.relname from pg_class as c
            inner join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
            """
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("select count(*) from {} as t where t::text ~ %s").format(
                sql.Identifier(schema, table)
            )
            assert connection.execute(query, ("|".join(ids),)).fetchone() == (0,), f"{schema}.{table}"
