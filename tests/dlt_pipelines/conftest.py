"""What the import tests share: a warehouse with one tenant, and a way to load a text as a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.manual import ImportResult, import_csv

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


@pytest.fixture
def connections(warehouse: Any) -> Connections:
    found = warehouse.database.connections()
    assert isinstance(found, Connections)
    return found


@pytest.fixture
def tenant_id(warehouse: Any) -> str:
    return str(warehouse.add_tenant("Acme", "EUR", "Europe/Berlin"))


@pytest.fixture
def load(connections: Connections, tenant_id: str, tmp_path: Path) -> Callable[..., ImportResult]:
    """load(text, platform="meta", **options): import a text as a CSV file of the tenant Acme, on 10 March 2026."""

    def load_text(
        text: str | bytes, platform: str = "meta", name: str = "export.csv", **options: Any
    ) -> ImportResult:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        options.setdefault("now", NOW)
        return import_csv(connections, path, tenant_id=tenant_id, platform=platform, **options)

    return load_text


@pytest.fixture
def stored(warehouse: Any) -> Callable[..., list[tuple[Any, ...]]]:
    """stored("platform_id, spend"): columns of the rows that are visible, in their order."""

    def rows(columns: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = warehouse.rows(
            f"""
            select {columns} from raw_manual.performance as p
            where exists (
                select from ops.coverage as c
                where c.load_id = p.load_id and c.tenant_id::text = p.tenant_id and c.platform = p.platform
                    and c.account_id = p.account_id and c.day = p.day
            )
            order by {columns}
            """
        )
        return found

    return rows
