"""The contract's calls and the three workflows, as people type them: in psql, by a tenant's login and by the application.

The quoted text is run as it stands between BEGIN and COMMIT; only names of things that exist are put in for the dots.
The scripts of sql/examples are run as files.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from actors import World, insert_row, make_world

from aegis.database import with_options
from aegis.settings import project_root

EXAMPLES = project_root() / "sql" / "examples"
# product.md §2, "Calls people already write", "Functions", "Context". {tenant} is a tenant's id, {id} a recommendation's.
CALLS = {
    "metrics": (
        "INSERT INTO ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend, impressions, clicks, conversions,"
        " conversion_value) VALUES ('{tenant}', 'meta', 'campaign', 'typed', '2026-01-07', 100, 4000, 80, 4, 300)",
        "INSERT 0 1",
    ),
    "apply": (
        "UPDATE ads.optimization_recommendations SET status = 'applied', applied_at = now()"
        " WHERE id = '{id}' AND status = 'pending'",
        "UPDATE 1",
    ),
    "budget": (
        "INSERT INTO ads.budget_allocation (tenant_id, platform, campaign_id, budget) VALUES ('{tenant}', 'meta', 'k', 5000)",
        "INSERT 0 1",
    ),
    "configuration": (
        "INSERT INTO ads.platform_configs (tenant_id, platform, max_cpa, target_roas) VALUES ('{tenant}', 'tiktok', 40, 4)",
        "INSERT 0 1",
    ),
    "test": (
        "INSERT INTO ads.ab_tests (tenant_id, name, test_type, platform, variants) VALUES ('{tenant}', 'Spring', 'creative',"
        ' \'meta\', \'[{{"name": "A", "level": "ad", "platform_id": "1", "is_control": true, "weight": 1}}]\')',
        "INSERT 0 1",
    ),
    "detection": ("UPDATE ads.platform_configs SET anomaly_detection_enabled = true", "UPDATE 1"),
    "baselines": ("SELECT ads.compute_baselines('{tenant}', 'meta', 'campaign', 7)", "updated 1 baselines"),
    "analysis": (
        "SELECT * FROM ads.analyze_campaign_performance('{tenant}', 'c1', 'meta', 7)",
        "metric_name",
    ),
    "recommendations": ("SELECT ads.generate_recommendations('{tenant}')", "(1 row)"),
    "anomalies": ("SELECT ads.detect_anomalies('{tenant}')", "(1 row)"),
    "comparison": (
        "SELECT m.day, m.spend, b.spend FROM ads.metrics_daily AS m JOIN ads.baselines AS b USING (tenant_id, platform, level,"
        " platform_id) WHERE b.window_days = 7",
        "(1 row)",
    ),
}
READERS_TOO = {"analysis", "comparison"}
WRITING_FUNCTIONS = {"baselines", "recommendations", "anomalies"}
NAMING_A_TENANT = {name for name, (text, _) in CALLS.items() if "{tenant}" in text}


@pytest.fixture(scope="module", params=[18, 16], ids=["pg18", "pg16"])
def world(request: pytest.FixtureRequest, new_warehouse: Callable[..., Any]) -> Iterator[World]:
    """With the views of a build in place, which here hold one row of each tenant."""
    made = make_world(new_warehouse(version=request.param))
    with made.warehouse.connect("transformer") as connection:
        for tenant in (made.north, made.south):
            for day in range(14):
                insert_row(
                    connection,
                    "metrics_daily",
                    tenant,
                    platform_id="c1",
                    day=f"2026-02-{day + 1:02d}",
                    spend=10,
                )
        connection.execute("update ads.baselines set as_of = '2026-02-14', spend = 70, window_days = 7")
        connection.execute("delete from ads.metrics_daily where day < '2026-02-01'")
        connection.execute("update ads.anomalies set severity = 'critical'")
        for view, table in (
            ("baselines_now", "baselines"),
            ("recommendations_merge", "optimization_recommendations"),
            ("anomalies_merge", "anomalies"),
        ):
            connection.execute(f"create table ads_internal.{view} as select * from ads.{table}".encode())
    yield made


def psql(world: World, url: str, *arguments: str, text: str | None = None) -> tuple[int, str, str]:
    program = world.warehouse.cluster.server.packaged() / "bin" / "psql"
    done = subprocess.run(
        [str(program), "-X", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", *arguments, url],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def enter(world: World, who: str, tenant: str) -> tuple[str, str]:
    """(URL, what the documents print after BEGIN)"""
    if who == "app":
        return world.warehouse.url("app"), f"SET LOCAL saas.tenant_id = '{tenant}';\n"
    return world.warehouse.tenant_url(tenant, who), ""


def typed(world: World, name: str, tenant: str) -> str:
    with world.service("transformer") as connection:
        row = connection.execute(
            "select id from ads.optimization_recommendations where tenant_id = %s", (tenant,)
        ).fetchone()
    assert row is not None
    return CALLS[name][0].format(tenant=tenant, id=row[0])


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("who", ["app", "buyer"])
def test_a_call_of_the_contract(world: World, who: str, name: str) -> None:
    """As it stands, in a transaction; rolled back, so that each finds the same world."""
    url, context = enter(world, who, world.north)
    if name == "comparison":
        count = "SELECT count(*) FROM ads.metrics_daily"
        code, out, error = psql(world, url, "-At", text=f"BEGIN;\n{context}{count};\nROLLBACK;\n")
        assert code == 0 and "14" in out, error
    code, out, error = psql(
        world, url, text=f"BEGIN;\n{context}{typed(world, name, world.north)};\nROLLBACK;\n"
    )
    assert code == 0, error
    assert (CALLS[name][1] if name != "comparison" else "(14 rows)") in out, out


@pytest.mark.parametrize("who", ["reader", "analyst"])
def test_what_readers_may_call(world: World, who: str) -> None:
    url, _ = enter(world, who, world.north)
    for name in CALLS:
        code, _, error = psql(world, url, text=f"BEGIN;\n{typed(world, name, world.north)};\nROLLBACK;\n")
        if name in READERS_TOO:
            assert code == 0, error
        else:
            assert code == 3 and "42501" in error, f"{name}: {error}"


@pytest.mark.parametrize("name", sorted(NAMING_A_TENANT))
@pytest.mark.parametrize("who", ["app", "reader", "buyer", "analyst"])
def test_a_call_that_names_a_foreign_tenant(world: World, who: str, name: str) -> None:
    url, context = enter(world, who, world.north)
    code, _, error = psql(world, url, text=f"BEGIN;\n{context}{typed(world, name, world.south)};\nCOMMIT;\n")
    assert code == 3 and "42501" in error, error


def test_a_setting_that_is_no_uuid_is_an_error(world: World) -> None:
    for who in ("app", "reader", "buyer"):
        url, _ = enter(world, who, world.north)
        for query in ("SELECT count(*) FROM ads.entities", "SELECT tenancy.current_tenant_id()"):
            code, _, error = psql(
                world, url, text=f"BEGIN;\nSET LOCAL saas.tenant_id = 'north';\n{query};\nCOMMIT;\n"
            )
            assert code == 3 and "22P02" in error and '"north"' in error, error


# -- the three workflows --------------------------------------------------------------------------------------------


def example(world: World, who: str, name: str, tenant: str) -> tuple[int, str, str]:
    url, _ = enter(world, who, tenant)
    if who == "app":  # as PGOPTIONS would; these URLs have options already
        url = with_options(url, f"-c saas.tenant_id={tenant}")
    return psql(world, url, "-f", str(EXAMPLES / f"{name}.sql"))


def test_every_example_is_tested_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.sql"):
        assert f'"{path.stem}")' in text or f'"{path.stem}",' in text, path.name


@pytest.mark.parametrize(("who", "tenant"), [("buyer", "north"), ("app", "south")])
def test_the_daily_workflow(world: World, who: str, tenant: str) -> None:
    tenant_id = getattr(world, tenant)
    code, out, error = example(world, who, "daily", tenant_id)
    assert code == 0, error
    assert "updated 1 baselines" in out and "metric_name" in out and "applied" in out
    assert (world.south if tenant == "north" else world.north) not in out
    with world.service("transformer") as connection:
        row = connection.execute(
            "select status, approved_at is not null from ads.optimization_recommendations where tenant_id = %s",
            (tenant_id,),
        ).fetchone()
        assert row == ("applied", True)


@pytest.mark.parametrize(("who", "tenant"), [("buyer", "north"), ("app", "south")])
def test_a_campaigns_launch(world: World, who: str, tenant: str) -> None:
    tenant_id = getattr(world, tenant)
    for _ in range(2):  # a second time changes nothing
        code, out, error = example(world, who, "launch", tenant_id)
        assert code == 0, error
        assert "still_learning" in out
    with world.service("transformer") as connection:
        for table, condition in (
            (
                "budget_allocation",
                "campaign_id = 'spring-2026' and budget = 5000 and period_end > period_start",
            ),
            ("platform_configs", "platform = 'meta' and target_roas = 2.5 and anomaly_detection_enabled"),
            (
                "ab_tests",
                "name = 'Spring: square or tall' and status = 'draft' and jsonb_array_length(variants) = 2",
            ),
        ):
            rows = connection.execute(
                f"select count(*) from ads.{table} where tenant_id = %s and {condition}".encode(),
                (tenant_id,),
            ).fetchone()
            assert rows == (1,), table


@pytest.mark.parametrize("who", ["reader", "buyer", "analyst", "app"])
def test_monitoring(world: World, who: str) -> None:
    code, out, error = example(world, who, "monitoring", world.north)
    assert code == 0, error
    assert "spend_spike" in out and "variance_percent" in out and "0.0" in out
    assert out.count("(1 row)") >= 2


def test_the_writing_workflows_are_refused_to_readers_and_to_nobody_in_particular(world: World) -> None:
    for name in ("daily", "launch"):
        code, _, error = example(world, "reader", name, world.north)
        assert code == 3 and "42501" in error, error
        code, _, error = psql(world, world.warehouse.url("app"), "-f", str(EXAMPLES / f"{name}.sql"))
        assert code == 3 and "no tenant is chosen" in error and "42501" in error, error
