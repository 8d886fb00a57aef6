"""aegis validate: passes on what deploy made, and names every planted defect of tests/broken/schema.

Each file there plants one defect on a fresh deployment; its head says which phase must find it and in which words.
LOGIN stands for the name of a new login, aegis_… for the deployment's own roles.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis.deploy import deploy, with_prefix
from aegis.settings import project_root
from aegis.validate import (
    DERIVED,
    PHASES,
    catalogue,
    default_configurations,
    expected_file,
    expected_of,
    run_checks,
    validate,
)
from dlt_pipelines.common.errors import AegisError

ROOT = project_root()
BROKEN = sorted((ROOT / "tests" / "broken" / "schema").glob("*.sql"))


@pytest.fixture
def fresh(new_warehouse: Callable[..., Any]) -> Iterator[Callable[[int], Any]]:
    """A deployment with roles of its own: a defect in a role must not reach other tests' databases."""
    made = []

    def make(version: int = 18) -> Any:
        one = new_warehouse(version=version, deployed=False)
        made.append(one)
        deploy(one.database)
        return one

    yield make
    for one in made:
        one.cluster.drop_database(one.name)


def head(text: str, key: str) -> str:
    found = re.search(rf"^-- {key}: (.*)$", text, re.MULTILINE)
    assert found, f"the file says nothing about {key}"
    return found.group(1)


@pytest.mark.parametrize("version", [18, 16])
def test_the_expected_catalogue_is_that_of_a_fresh_deployment(
    fresh: Callable[[int], Any], version: int
) -> None:
    """After a change of sql/: python -m aegis.validate --write-expected"""
    warehouse = fresh(version)
    with warehouse.connect() as connection:
        found = expected_of(
            catalogue(connection, warehouse.settings.role_prefix), default_configurations(connection)
        )
    expected = json.loads(expected_file(ROOT).read_text(encoding="utf-8"))
    for topic in expected:
        assert json.loads(json.dumps(found[topic])) == expected[topic], topic


@pytest.mark.parametrize("path", BROKEN, ids=[path.stem for path in BROKEN])
def test_a_planted_defect_is_named(fresh: Callable[[int], Any], path: Path) -> None:
    warehouse = fresh(18)
    prefix = warehouse.settings.role_prefix
    login = f"defect_{secrets.token_hex(4)}"
    text = path.read_text(encoding="utf-8").replace("LOGIN", login)
    with warehouse.connect() as connection:
        connection.execute(with_prefix(text, prefix).encode())
    report = validate(warehouse.database)
    phase, says = head(text, "phase"), head(text, "says")
    said = [str(problem) for problem in report.phases[phase].problems]
    assert any(says in line or with_prefix(says, prefix) in line for line in said), said
    assert all(problem.remedy for problem in report.problems)
    assert not report.passed


def test_every_phase_and_every_check_has_its_defect() -> None:
    """A check that was never seen to fail is not trusted."""
    texts = [path.read_text(encoding="utf-8") for path in BROKEN]
    assert {head(text, "phase") for text in texts} == set(PHASES)
    planted = {path.stem.partition("__")[2] for path in BROKEN if path.stem.startswith("safety_checks__")}
    for check in (ROOT / "sql" / "checks").glob("*.sql"):
        assert check.stem in planted, f"no defect is planted for {check.name}"


@pytest.mark.parametrize("version", [18, 16])
def test_it_passes_with_tenants_logins_and_an_analysts_work(
    fresh: Callable[[int], Any], version: int
) -> None:
    import psycopg

    warehouse = fresh(version)
    tenant = warehouse.add_tenant("north")
    for kind in ("reader", "buyer", "analyst"):
        with psycopg.connect(warehouse.tenant_url(tenant, kind)) as connection:
            if kind == "analyst":
                connection.execute("create view mine as select * from ads.metrics_daily")
                connection.execute("create function helper() returns int language sql as 'select 1'")
            if kind == "buyer":
                connection.execute(
                    "insert into ads.platform_configs (tenant_id, platform, max_cpa) values (%s, 'meta', 9)",
                    (tenant,),
                )
    with warehouse.connect("loader") as connection:  # dlt adds tables and columns where things arrive
        connection.execute("create table raw_manual._dlt_loads (load_id text)")
        connection.execute("alter table raw_manual.performance add column _dlt_id text")
    report = validate(warehouse.database)
    assert report.problems == []
    assert report.seconds < 10


def swap(connection: Any, table: str, protect: bool) -> None:
    """Replace a derived table the way dbt does under a contract."""
    name = table.partition(".")[2]
    connection.execute(f"create table ads.{name}__dbt_tmp (like {table} including indexes)".encode())
    connection.execute(f"alter table {table} rename to {name}__dbt_backup".encode())
    connection.execute(f"alter table ads.{name}__dbt_tmp rename to {name}".encode())
    connection.execute(f"drop table ads.{name}__dbt_backup cascade".encode())
    if protect:
        connection.execute("select tenancy.protect(%s::regclass)", (table,))


def test_tables_that_dbt_replaced_pass_when_they_are_protected(warehouse: Any) -> None:
    with warehouse.connect("transformer") as connection:
        for table in sorted(DERIVED):
            swap(connection, table, protect=True)
        connection.execute("create index further on ads.entities (tenant_id, name)")
    assert validate(warehouse.database).problems == []


def test_a_replaced_table_without_its_hook_is_named(warehouse: Any) -> None:
    with warehouse.connect("transformer") as connection:
        swap(connection, "ads.entities", protect=False)
    said = [str(problem) for problem in validate(warehouse.database).problems]
    assert any("ads.entities: aegis_reader lacks select" in line for line in said)
    assert any("policy entities_reader_select of ads.entities: is missing" in line for line in said)


def test_a_further_table_passes_when_it_is_protected(warehouse: Any) -> None:
    with warehouse.connect("transformer") as connection:
        connection.execute("create table ads.extra (tenant_id uuid not null)")
        connection.execute("select tenancy.protect('ads.extra')")
    assert validate(warehouse.database).problems == []


def test_every_remedy_that_is_a_statement_works(warehouse: Any) -> None:
    """What validate advises for rights, policies, indexes and constraints makes it pass again."""
    with warehouse.connect() as connection:
        for statement in (
            "grant insert on ads.anomalies to aegis_reader",
            "revoke select on ads.metrics_daily from aegis_reader",
            "drop index ads.metrics_daily_ads_idx",
            "alter table ads.anomalies drop constraint anomalies_status_is_known",
            "create policy extra on ads.anomalies for select to aegis_reader using (true)",
            "alter policy metrics_daily_reader_select on ads.metrics_daily using (true)",
            "alter table ads.ab_tests owner to aegis_owner",
            "grant usage on schema history to aegis_reader",
            "grant execute on function ads.generate_recommendations(uuid) to public",
            "alter table ads.metrics_daily disable trigger metrics_daily_record",
        ):
            connection.execute(statement.encode())
    for _ in range(4):  # a remedy may uncover what it hid
        report = validate(warehouse.database)
        with warehouse.connect("admin", autocommit=True) as connection:
            for problem in report.problems:
                for statement in problem.remedy.split(";"):
                    statement = re.sub(
                        r"^.*?As aegis_transformer:", "set role aegis_transformer;", statement.strip()
                    )
                    if re.match(r"(alter|create|drop|grant|revoke|set role)\b", statement):
                        try:
                            connection.execute(statement.encode())
                        except Exception:  # noqa: BLE001  two problems may name one remedy
                            continue
                        finally:
                            connection.execute("reset role")
    deploy(warehouse.database)
    assert [str(problem) for problem in validate(warehouse.database).problems] == []


def test_before_the_first_build_benchmarks_are_not_expected(warehouse: Any) -> None:
    report = validate(warehouse.database)
    assert "benchmarks not built yet" in report.phases["seed rows"].note
    assert report.passed


def test_the_checks_run_as_the_owner_too(warehouse: Any) -> None:
    """So that the daily run can ask them without an administrator."""
    with warehouse.connect("owner") as connection:
        findings = run_checks(connection, ROOT / "sql" / "checks", "aegis_")
    assert len(findings) >= 10
    assert all(rows == [] for rows in findings.values())


def test_a_database_without_aegis(new_warehouse: Callable[..., Any]) -> None:
    warehouse = new_warehouse(deployed=False)
    with pytest.raises(AegisError, match=r"has no Aegis in it yet.*aegis deploy"):
        validate(warehouse.database)


def test_the_command(warehouse: Any) -> None:
    done = warehouse.run_cli("validate")
    assert done.returncode == 0, done.stdout + done.stderr
    for phase in PHASES:
        assert re.search(rf"^{phase} +\d+ +ok", done.stdout, re.MULTILINE), done.stdout
    assert "as it should be" in done.stdout
    with warehouse.connect("transformer") as connection:
        connection.execute("drop index ads.metrics_daily_ads_idx")
    done = warehouse.run_cli("validate")
    assert done.returncode == 1
    assert re.search(r"^indexes +\d+ +1 wrong", done.stdout, re.MULTILINE)
    assert "✗ index of ads.metrics_daily" in done.stdout
    assert "create index on ads.metrics_daily using btree (tenant_id, adset_id, day)" in done.stdout


def test_it_changes_nothing(warehouse: Any) -> None:
    with warehouse.connect() as connection:
        connection.execute(f"alter database {warehouse.name} set default_transaction_read_only = on".encode())
    assert validate(warehouse.database).passed
