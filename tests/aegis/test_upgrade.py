"""`git pull && make run` on an older database: today's checkout deploys on top of every released version's dump.

The dumps are written by scripts/dump_release.py when a version is released, and never changed afterwards.
"""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aegis.deploy import deploy
from aegis.settings import project_root
from aegis.validate import validate

DUMPS = sorted((project_root() / "tests" / "fixtures").glob("*.sql.gz"))
NORTH, SOUTH = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def test_the_first_release_is_kept() -> None:
    assert "first_release.sql.gz" in {path.name for path in DUMPS}


@pytest.fixture(params=[18, 16], ids=["pg18", "pg16"])
def restored(request: pytest.FixtureRequest, new_warehouse: Callable[..., Any]) -> Callable[[Path], Any]:
    def restore(dump: Path) -> Any:
        warehouse = new_warehouse(version=request.param, deployed=False, prefix="aegis_")
        parts = psycopg.conninfo.conninfo_to_dict(warehouse.url())
        done = subprocess.run(
            [
                str(warehouse.cluster.server.binaries() / "psql"),
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                str(parts["host"]),
                "-p",
                str(parts["port"]),
                "-U",
                str(parts["user"]),
                "-d",
                str(parts["dbname"]),
            ],
            input=gzip.decompress(dump.read_bytes()).decode(),
            env={"PGPASSWORD": str(parts["password"])},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr
        return warehouse

    return restore


@pytest.mark.parametrize("dump", DUMPS, ids=[path.name.partition(".")[0] for path in DUMPS])
def test_an_older_database_is_migrated_and_loses_nothing(restored: Callable[[Path], Any], dump: Path) -> None:
    warehouse = restored(dump)
    kept = {
        table: warehouse.rows(f"select count(*) from {table}")[0][0]
        for table in (
            "ads.metrics_daily",
            "ads.optimization_recommendations",
            "ads.anomalies",
            "ads.budget_allocation",
            "ads.ab_tests",
            "ads.platform_configs",
            "history.performance_versions",
            "history.currency_rates",
            "raw_manual.hand_rows",
            "ops.coverage",
            "audit.changes",
            "tenancy.tenants",
            "tenancy.ad_accounts",
        )
    }
    assert all(kept.values()), kept

    deploy(warehouse.database)
    assert deploy(warehouse.database).applied == []
    assert [str(problem) for problem in validate(warehouse.database).problems] == []

    for table, count in kept.items():
        assert warehouse.rows(f"select count(*) from {table}") == [(count,)], table
    assert warehouse.rows(
        "select status, decided_by from ads.optimization_recommendations", role="transformer"
    ) == [("approved", "maria@example.com")]
    assert warehouse.rows("select spend from ads.metrics_daily where source = 'manual'") == [
        (Decimal("99.99"),)
    ]

    # a person goes on where they were, and sees no other tenant
    with psycopg.connect(warehouse.tenant_url(NORTH, "buyer")) as buyer:
        assert buyer.execute("select distinct tenant_id::text from ads.metrics_daily").fetchall() == [
            (NORTH,)
        ]
        assert (
            buyer.execute(
                "update ads.optimization_recommendations set status = 'applied' where status = 'approved'"
            ).rowcount
            == 1
        )
        assert buyer.execute("update ads.metrics_daily set spend = 100 where source = 'manual'").rowcount == 1
        row = buyer.execute(
            "select target_roas from tenancy.effective_config(%s, 'meta')", (NORTH,)
        ).fetchone()
        assert row == (4,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            buyer.execute("select tenancy.require_tenant(%s)", (SOUTH,))
