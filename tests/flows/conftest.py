"""Judging and building stood in for, and accounts connected to an emulator that lives now."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from dlt_pipelines.common import credentials
from dlt_pipelines.common.tokens import Keyring, Secret
from emulator.server import Server, running
from flows.quality import QualityError, QualityResult

KEY = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="


@dataclass
class StandIn:
    """What flows.transform.build answers, and how often it was asked."""

    failures: list[Any] = field(default_factory=list)
    raises: BaseException | None = None
    unjudged: QualityError | None = None
    builds: int = 0


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    steps = StandIn()

    def judge_coverage(connections: Any) -> QualityResult:
        if steps.unjudged is not None:
            raise steps.unjudged
        with psycopg.connect(connections.owner) as session:
            session.execute(
                """
                update ops.coverage
                set state = case state when 'pending' then 'accepted' else state end, judged_at = now()
                where judged_at is null
                """
            )
        return QualityResult(0, 0, 0)

    def build(connections: Any, **_: Any) -> Any:
        steps.builds += 1
        if steps.raises is not None:
            raise steps.raises
        return types.SimpleNamespace(ok=not steps.failures, failures=steps.failures, log_path="dbt.log")

    monkeypatch.setitem(
        sys.modules,
        "flows.quality",
        types.SimpleNamespace(judge_coverage=judge_coverage, QualityError=QualityError),
    )  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "flows.transform", types.SimpleNamespace(build=build))  # type: ignore[arg-type]
    return steps


@pytest.fixture(scope="module")
def emulator() -> Iterator[Server]:
    """Its clock is today's: what a scheduled run finds."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def key() -> str:
    return KEY


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([KEY])


@pytest.fixture(scope="session")
def connect() -> Callable[..., str]:
    """connect(warehouse, server, tenant_id, account_id) -> the token, of a system user that sees every account."""

    def make(warehouse: Any, server: Server, tenant_id: str, account_id: str) -> str:
        token: str = server.emulator.meta.tokens.issue("agency")
        account = server.emulator.meta.accounts[account_id]
        with warehouse.connect("owner") as connection:
            credential = credentials.store(
                connection, Keyring([KEY]), tenant_id=tenant_id, platform="meta", kind="system",
                token=Secret(token), base_url=server.url("meta"),
            )  # fmt: skip
            credentials.link(
                connection, tenant_id, "meta", account_id, credential,
                name=account.name, currency=account.currency, timezone=account.timezone,
            )  # fmt: skip
        return token

    return make
