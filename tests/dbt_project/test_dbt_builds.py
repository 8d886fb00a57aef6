"""Building: again changes nothing, in one's own schemas readers see nothing, and what fails says what it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import FIXTURES, NORTHWIND, Feed

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import AegisError
from flows.transform import PROJECT, build, run_dbt

MARTS = (
    "metrics_daily", "entities", "data_status", "baselines", "performance_benchmarks", "campaign_performance",
    "anomalies", "optimization_recommendations",
)  # fmt: skip
CLOCKS = "updated_at, computed_at, created_at, resolved_at"


def fingerprints(warehouse: Any) -> dict[str, str]:
    found = {}
    for table in MARTS:
        [(fingerprint,)] = warehouse.rows(
            f"""
            select md5(string_agg(line, e'\\n' order by line))
            from (
                select (to_jsonb(t) - 'updated_at' - 'computed_at' - 'created_at' - 'resolved_at')::text as line
                from ads.{table} as t
            ) as lines
            """
        )
        found[table] = fingerprint
    return found


def test_building_again_changes_nothing_and_rebuilding_gives_the_same(small_world: Any) -> None:
    before = fingerprints(small_world)
    versions = small_world.rows("select count(*), max(known_on) from history.performance_versions")
    again = build(small_world.database.connections())
    assert again.ok
    assert small_world.rows("select count(*) from intermediate.int_ads__touched_account_days") == [(0,)]
    assert fingerprints(small_world) == before
    assert small_world.rows("select count(*), max(known_on) from history.performance_versions") == versions

    rebuilt = build(small_world.database.connections(), vars={"rebuild": True})
    assert rebuilt.ok
    assert small_world.rows("select count(*) from intermediate.int_ads__touched_account_days") == [(180,)]
    assert fingerprints(small_world) == before


def test_a_replaced_table_is_protected_when_it_appears(small_world: Any) -> None:
    state = small_world.rows(
        """
        select c.relname, c.relrowsecurity and c.relforcerowsecurity, count(p.oid) >= 3,
            has_table_privilege('aegis_reader', c.oid, 'select')
        from pg_class as c
        left join pg_policy as p on p.polrelid = c.oid
        where c.relnamespace = 'ads'::regnamespace and c.relkind = 'r'
        group by c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity
        """
    )
    assert {row[0] for row in state} >= set(MARTS)
    assert [row for row in state if row[1:] != (True, True, True)] == []
    with psycopg.connect(small_world.tenant_url(NORTHWIND)) as reader:
        assert reader.execute("select distinct tenant_id::text from ads.baselines").fetchall() == [
            (NORTHWIND,)
        ]
        for schema in ("staging", "intermediate", "ads_internal", "history"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), reader.transaction():
                reader.execute(f"select * from {schema}.no_matter_what")


def _profile(folder: Path) -> Path:
    """As the README says: a copy of profiles.example.yml."""
    folder.mkdir(exist_ok=True)
    (folder / "profiles.yml").write_text((PROJECT.parent / "profiles.example.yml").read_text())
    return folder


def _dbt(warehouse: Any, folder: Path, *arguments: str, project: Path = PROJECT, **more: str) -> Any:
    parts = psycopg.conninfo.conninfo_to_dict(warehouse.url("transformer"))
    return subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={
            **os.environ,
            "DBT_PROFILES_DIR": str(folder),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "AEGIS_DBT_HOST": str(parts["host"]),
            "AEGIS_DBT_PORT": str(parts["port"]),
            "AEGIS_DBT_USER": str(parts["user"]),
            "AEGIS_DBT_PASSWORD": str(parts.get("password", "")),
            "AEGIS_DBT_DBNAME": str(parts["dbname"]),
            "AEGIS_DBT_SCHEMA": "dev_ada",
            **more,
        },
    )


def test_a_warehouse_analyst_builds_into_schemas_of_their_own(small_world: Any, tmp_path: Path) -> None:
    before = fingerprints(small_world)
    history = small_world.rows("select count(*) from history.performance_versions")
    done = _dbt(small_world, _profile(tmp_path), "build")
    assert done.returncode == 0, done.stdout[-4000:]
    assert fingerprints(small_world) == before
    assert small_world.rows("select count(*) from history.performance_versions") == history
    same = "select level, count(*), sum(spend), sum(conversions) from {}.metrics_daily group by level order by level"
    assert small_world.rows(same.format("dev_ada_ads")) == small_world.rows(same.format("ads"))
    for role in ("aegis_reader", "aegis_buyer", "aegis_analyst", "aegis_app"):
        assert (
            small_world.rows(
                """
            select n.nspname from pg_namespace as n
            where n.nspname like 'dev_ada%%' and has_schema_privilege(%s, n.oid, 'usage')
            """,
                (role,),
            )
            == []
        )


def test_prod_from_a_laptop_must_be_meant(small_world: Any, tmp_path: Path) -> None:
    arguments = ("build", "--target", "prod", "--select", "int_run__as_of")
    refused = _dbt(small_world, _profile(tmp_path), *arguments, AEGIS_ALLOW_PROD="")
    assert refused.returncode != 0
    assert "set AEGIS_ALLOW_PROD=1 if you mean it" in refused.stdout
    meant = _dbt(small_world, tmp_path, *arguments, AEGIS_ALLOW_PROD="1")
    assert meant.returncode == 0, meant.stdout[-2000:]


def test_what_fails_is_named_with_its_message(feed: Feed) -> None:
    with feed.warehouse.connect() as connection:
        connection.execute("alter table history.entity_changes add column surprise text")
    result = build(feed.warehouse.database.connections(), select=["+entity_changes", "int_run__as_of"])
    assert not result.ok
    assert [node.name for node in result.failures] == ["entity_changes"]
    assert "surprise" in result.failures[0].message
    assert result.log_path.is_file()


def test_a_database_that_does_not_answer_is_one_sentence() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    with pytest.raises(AegisError, match="The database does not answer") as told:
        build(Connections(nowhere, nowhere, nowhere))
    assert "aegis up" in told.value.hint


def test_dbt_writes_nothing_into_the_checkout_and_no_password_anywhere(
    small_world: Any, dbt_folder: Path
) -> None:
    before = sorted(path for path in PROJECT.rglob("*") if "target" not in path.parts)
    password = psycopg.conninfo.conninfo_to_dict(small_world.url("transformer")).get("password")
    assert password
    run_dbt(small_world.database.connections(), ["build", "--target", "prod", "--select", "int_run__as_of"])
    assert sorted(path for path in PROJECT.rglob("*") if "target" not in path.parts) == before
    assert (dbt_folder / "dbt" / "target" / "run_results.json").is_file()
    for path in (dbt_folder / "dbt").rglob("*"):
        if path.is_file() and path.suffix in (".log", ".yml", ".json"):
            assert str(password) not in path.read_text(encoding="utf-8", errors="replace"), path


def test_a_tenant_analyst_builds_on_top_of_the_marts(
    small_world: Any, tmp_path: Path, new_warehouse: Callable[..., Any]
) -> None:
    """`aegis dsn --tenant T --role analyst`: a project of one's own, in a schema of one's own, with `ads` as sources."""
    parts = psycopg.conninfo.conninfo_to_dict(small_world.tenant_url(NORTHWIND, "analyst"))
    project = Path(__file__).parent / "tenant_analyst_project"
    [(schema,)] = small_world.rows(
        "select nspname from pg_namespace as n where pg_get_userbyid(nspowner) = %s", (parts["user"],)
    )
    done = _dbt(
        small_world,
        project,
        "build",
        project=project,
        DBT_TARGET_PATH=str(tmp_path / "target"),
        DBT_LOG_PATH=str(tmp_path / "logs"),
        ANALYST_HOST=str(parts["host"]),
        ANALYST_PORT=str(parts["port"]),
        ANALYST_USER=str(parts["user"]),
        ANALYST_PASSWORD=str(parts["password"]),
        ANALYST_DBNAME=str(parts["dbname"]),
        ANALYST_SCHEMA=str(schema),
    )
    assert done.returncode == 0, done.stdout[-4000:]
    rows = small_world.rows(f'select distinct tenant_id::text from "{schema}".weekly_spend')
    assert rows == [(NORTHWIND,)]
    assert small_world.rows(f'select sum(spend) from "{schema}".weekly_spend') == small_world.rows(
        "select sum(spend) from ads.metrics_daily where level = 'account' and tenant_id = %s", (NORTHWIND,)
    )


def test_the_fixture_is_small(small_world: Any) -> None:
    assert FIXTURES.is_dir()
    assert small_world.rows("select count(*) from raw_manual.performance")[0][0] < 10_000
