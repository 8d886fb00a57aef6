"""The project's own promises: types and values equal the migrations', layers keep apart, everything is described."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.transform import PROJECT, data_folder, run_dbt

MARTS = PROJECT / "models" / "ads"


def _models(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        model["name"]: model
        for path in sorted(folder.glob("*.yml"))
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    }


@pytest.fixture(scope="module")
def deployed(new_warehouse: Callable[..., Any]) -> Any:
    return new_warehouse()


@pytest.fixture(scope="module")
def manifest(deployed: Any, dbt_folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        run_dbt(deployed.database.connections(), ["parse", "--target", "prod"])
        text = (data_folder() / "target" / "manifest.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def test_columns_and_types_of_marts_are_those_of_the_migrations(deployed: Any) -> None:
    for name, model in _models(MARTS).items():
        migrated = deployed.rows(
            """
            select attname, format_type(atttypid, atttypmod) from pg_attribute
            where attrelid = ('ads.' || %s)::regclass and attnum > 0 and not attisdropped order by attnum
            """,
            (name,),
        )
        stated = [
            (column["name"], column["data_type"].replace("timestamptz", "timestamp with time zone"))
            for column in model["columns"]
        ]
        assert stated == migrated, name


def test_keys_of_marts_are_those_of_the_migrations(deployed: Any) -> None:
    for name, model in _models(MARTS).items():
        keys = [c["columns"] for c in model.get("constraints", []) if c["type"] == "primary_key"]
        if not keys:  # made by a migration, only filled by dbt
            continue
        [(migrated,)] = deployed.rows(
            """
            select array_agg(a.attname::text order by k.position)
            from pg_index as i
            cross join lateral unnest(i.indkey) with ordinality as k (number, position)
            inner join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
            where i.indrelid = ('ads.' || %s)::regclass and i.indisprimary
            """,
            (name,),
        )
        assert keys == [migrated], name


def _accepted(model: dict[str, Any]) -> dict[str, set[str]]:
    found = {}
    for column in model["columns"]:
        for test in column.get("data_tests", []):
            if isinstance(test, dict) and "accepted_values" in test:
                arguments = test["accepted_values"].get("arguments", test["accepted_values"])
                found[column["name"]] = {str(value) for value in arguments["values"]}
    return found


def test_accepted_values_are_those_of_the_migrations_checks(deployed: Any) -> None:
    compared = 0
    for name, model in _models(MARTS).items():
        accepted = _accepted(model)
        checks = deployed.rows(
            """
            select a.attname, pg_get_constraintdef(c.oid)
            from pg_constraint as c
            inner join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
            where c.conrelid = ('ads.' || %s)::regclass and c.contype = 'c' and pg_get_constraintdef(c.oid) ~ '= ANY \\(|\\(\\(level = '
            """,
            (name,),
        )
        for column, definition in checks:
            values = set(re.findall(r"'([a-z_]+)'::text", definition))
            if name == "anomalies" and "'all'" in definition:
                values -= {"tenant"} if column == "platform" else values
                if column == "level":
                    continue
            assert accepted.get(column) == values, f"{name}.{column}: {definition}"
            compared += 1
    assert compared >= 10


def test_every_model_says_its_grain_first(manifest: dict[str, Any]) -> None:
    silent = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed")
        and not node["description"].strip().startswith("One row per")
    ]
    assert not silent


def test_every_column_of_a_mart_is_described() -> None:
    bare = [
        f"{name}.{column['name']}"
        for name, model in _models(MARTS).items()
        for column in model["columns"]
        if not column.get("description")
    ]
    assert not bare


def test_layers_keep_apart(manifest: dict[str, Any]) -> None:
    """Staging reads raw sources only; marts read intermediates and marts, never staging, raw rows or history."""
    folders = {
        key: node["path"].split("/")[0]
        for key, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed")
    }
    wrong = []
    for key, node in manifest["nodes"].items():
        if node["resource_type"] != "model":
            continue
        for parent in node["depends_on"]["nodes"]:
            layer, of = folders[key], folders.get(parent, parent.split(".")[2])
            if layer == "staging" and not of.startswith("raw_"):
                wrong.append((node["name"], parent))
            if layer == "ads" and (of in ("staging", "history") or of.startswith("raw_")):
                wrong.append((node["name"], parent))
            if layer == "intermediate" and of.startswith("raw_"):
                wrong.append((node["name"], parent))
    assert not wrong


def test_joins_within_tenants_name_the_tenant(manifest: dict[str, Any]) -> None:
    """Every `on` of a join says tenant_id, unless it joins what is nobody's: rates, loads, lists of constants."""
    wrong = []
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model":
            continue
        text = re.sub(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", "", node["raw_code"], flags=re.DOTALL)
        for match in re.finditer(
            r"\bjoin\b(.*?)\bon\b(.*?)(?=\b(?:where|join|left|inner|full|cross|group|order|union|window)\b|\n\)|$)",
            text,
            re.DOTALL,
        ):
            what, condition = match.groups()
            if "lateral" in what or "cross" in what:
                continue
            if not re.search(r"tenant_id|currency|load_id|day|\bchain\b|anomaly_type", condition):
                wrong.append((node["name"], match.group(0)[:120]))
    assert not wrong


def test_the_unit_tests_pass(deployed: Any) -> None:
    result = run_dbt(
        deployed.database.connections(), ["build", "--target", "prod", "--select", "+test_type:unit"]
    )
    assert not result.failures, [f"{n.name}: {n.message}" for n in result.failures]
    assert sum(node.kind == "unit_test" for node in result.nodes) >= 10


def test_a_platform_is_a_word_a_connector_and_a_staging_folder() -> None:
    from dlt_pipelines import registry

    platforms = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["platforms"]
    staging = PROJECT / "models" / "staging"
    folders = {folder.name for folder in staging.iterdir() if folder.is_dir()} - {"manual"}
    assert set(platforms) == folders == set(registry.with_api())
    views = (
        "accounts", "campaigns", "adsets", "ads", "performance_daily", "performance_totals",
        "performance_daily__refused", "performance_totals__refused",
    )  # fmt: skip
    for platform in platforms:
        missing = [one for one in views if not (staging / platform / f"stg_{platform}__{one}.sql").exists()]
        assert not missing, f"{platform}: {missing}"
