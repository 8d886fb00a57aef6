"""An emulator for the module, put back before each test, and a client that never really sleeps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from dlt_pipelines.common import credentials
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.http import Patience
from dlt_pipelines.common.tokens import Keyring, Secret
from dlt_pipelines.common.windows import Window
from dlt_pipelines.meta import connector as meta
from dlt_pipelines.meta.client import Polling
from emulator.server import Server, running
from emulator.world import AdDay
from flows.sync import SyncReport, connected_accounts, sync

AS_OF = dt.date(2026, 11, 19)
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
WEEK = Window(AS_OF - dt.timedelta(days=6), AS_OF)
ACCOUNT = "238461750920317"  # Toronto, CAD
OTHER = "238490113377405"  # Berlin, EUR
KEY = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="


@pytest.fixture(scope="module")
def one_server() -> Iterator[Server]:
    with running(as_of=AS_OF) as server:
        yield server


@pytest.fixture
def server(one_server: Server) -> Server:
    one_server.emulator.reset()
    return one_server


@dataclass
class Sleeps:
    """Stands for time.sleep; adds up what would have been slept."""

    total: float = 0.0

    def __call__(self, seconds: float) -> None:
        self.total += seconds


@dataclass
class Rig:
    """An emulator and how to reach it."""

    server: Server
    token: Secret
    sleeps: Sleeps = field(default_factory=Sleeps)
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def emulator(self) -> Any:
        return self.server.emulator

    @property
    def options(self) -> dict[str, Any]:
        return {
            "sleep": self.sleeps,
            "patience": Patience(timeout=(5, 5), longest_wait=7200),
            "polling": Polling(),
            "environ": self.environ,
        }

    def connector(self, **more: Any) -> meta.MetaConnector:
        return meta.MetaConnector(
            meta.client(self.token, base_url=self.server.url("meta"), **{**self.options, **more})
        )

    def truth(self, account: str = ACCOUNT, window: Window = WEEK, known_on: dt.date = AS_OF) -> list[AdDay]:
        world = self.emulator.world
        found = next(each for each in world.accounts() if each.account_id == account)
        return [row for day in window for row in world.ads_known_on(found, day, known_on)]

    def calls(self, label: str | None = None) -> int:
        return int(self.emulator.calls.count("meta", label))


@pytest.fixture
def rig(server: Server) -> Rig:
    return Rig(server, Secret(server.emulator.meta.tokens.issue("agency")))


@dataclass
class Office:
    """A tenant in a warehouse whose accounts are connected to the emulator."""

    warehouse: Any
    connections: Connections
    keyring: Keyring
    tenant_id: str
    rig: Rig

    def connect(self, *accounts: str, token: Secret | None = None) -> None:
        with self.warehouse.connect("owner") as connection:
            credential = credentials.store(
                connection,
                self.keyring,
                tenant_id=self.tenant_id,
                platform="meta",
                kind="system",
                token=token or self.rig.token,
                base_url=self.rig.server.url("meta"),
            )
            for one in self.rig.emulator.meta.accounts.values():
                if one.account_id in accounts:
                    credentials.link(
                        connection, self.tenant_id, "meta", one.account_id, credential,
                        name=one.name, currency=one.currency, timezone=one.timezone,
                    )  # fmt: skip

    def sync(self, period: Window | None = WEEK, **more: Any) -> SyncReport:
        accounts = connected_accounts(self.connections, self.tenant_id, more.pop("account", None))
        options = {"period": period, "now": NOW, "options": self.rig.options, "side_by_side": 1, **more}
        return sync(self.connections, self.keyring, accounts, **options)

    def sums(self, account: str = ACCOUNT) -> tuple[int, Decimal, int, int]:
        """Rows, spend, impressions and clicks of what the newest visible load says of each day."""
        return self.warehouse.rows(
            """
            select count(*), coalesce(sum(i.spend), 0), coalesce(sum(i.impressions), 0), coalesce(sum(i.clicks), 0)
            from raw_meta.insights as i
            inner join (
                select distinct on (c.account_id, c.day) c.load_id, c.account_id, c.day
                from ops.coverage as c where c.tenant_id = %(tenant)s::uuid
                order by c.account_id, c.day, c.coverage_id desc
            ) as v on i.load_id = v.load_id and i.account_id = v.account_id and i.day = v.day
            where i.tenant_id = %(tenant)s::text and i.account_id = %(account)s
            """,
            {"tenant": self.tenant_id, "account": account},
        )[0]


@pytest.fixture
def office(warehouse: Any, rig: Rig) -> Office:
    tenant_id = warehouse.add_tenant("Acme", "EUR", "Europe/Berlin")
    return Office(warehouse, warehouse.database.connections(), Keyring([KEY]), tenant_id, rig)


def sums_of(rows: list[AdDay]) -> tuple[int, Decimal, int, int]:
    return (
        len(rows),
        sum((row.spend for row in rows), Decimal(0)),
        sum(row.impressions for row in rows),
        sum(row.clicks for row in rows),
    )


@pytest.fixture
def content() -> Callable[..., set[tuple[Any, ...]]]:
    """The figures of a pull, as a set to compare."""

    def rows(pull: Any) -> set[tuple[Any, ...]]:
        columns = ("ad_id", "day", "spend", "impressions", "clicks", "actions")
        found: list[tuple[Any, ...]] = []
        for table in pull.tables["insights"]:
            found += zip(*(table.column(name).to_pylist() for name in columns), strict=True)
        assert len(found) == len(set(found))
        return set(found)

    return rows
