"""The vendors behind the demo: an emulator in this process, on loopback, for as long as something is read.

Nothing of it runs between two commands. The demo's accounts are connected like real ones; where their emulator listens
is written to their credentials each time, and its clock stands on the morning after the demo's newest day, so that
what was read then is not stale until `aegis demo advance` moves on.

Platforms without a connector go on coming by file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from dlt_pipelines import registry
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    from aegis.database import Database
    from dlt_pipelines.common.sync import Account
    from dlt_pipelines.common.sync import Progress as AccountProgress
    from dlt_pipelines.common.windows import Window
    from emulator.server import Server
    from emulator.world import World
    from flows.sync import SyncReport

LOCK = "aegis demo vendors"

Progress = Callable[[str], None]


def platforms(world: World) -> list[str]:
    """The platforms of the world that are read through an API."""
    return sorted({account.platform for account in world.accounts()} & set(registry.with_api()))


@contextmanager
def serving(database: Database, seed: int, as_of: date) -> Iterator[Server]:
    """The emulator on the morning after `as_of`, known to the demo's credentials. Another command waits for its end."""
    from emulator.server import running

    with (
        running(seed=seed, as_of=as_of) as server,
        database.connect("owner") as session,
    ):
        session.autocommit = True
        session.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (LOCK,))
        for vendor in server.emulator.vendors:
            session.execute(
                """
                update tenancy.credentials as c set base_url = %s
                from tenancy.tenants as t
                where t.tenant_id = c.tenant_id and t.is_demo and c.platform = %s
                """,
                (server.url(vendor), vendor),
            )
        yield server


def connect(database: Database, server: Server) -> None:
    """Connect each demo tenant's accounts with a token of a system user of its own. Repeating it changes nothing."""
    from aegis import connect as connecting
    from aegis.tenants import resolve_tenant
    from dlt_pipelines.common.tokens import Secret

    emulator = server.emulator
    for tenant in emulator.world.tenants:
        with database.connect("owner") as connection:
            found = resolve_tenant(connection, tenant.tenant_id)
        for platform in platforms(emulator.world):
            consents = registry.get(platform).consent
            options = {"base_url": server.url(platform), "api_version": None}
            token = Secret(getattr(emulator, platform).tokens.issue(tenant.key))
            consent = consents.from_token(token, emulator.clock.now(), **options)
            connecting.keep(
                database, found, platform, consent, consent.accounts, created_by="demo", **options
            )


def read(
    database: Database,
    server: Server,
    *,
    period: Window,
    accounts: Sequence[Account] | None = None,
    force: bool = False,
    requested_by: str = "demo",
    progress: AccountProgress | None = None,
) -> SyncReport:
    """Sync the demo's accounts as of the emulator's clock: what is missing or stale then, up to its newest day."""
    from aegis.connect import keyring
    from dlt_pipelines.common.windows import Window
    from flows.sync import connected_accounts, sync

    connections = database.connections()
    if accounts is None:
        ids = {tenant.tenant_id for tenant in server.emulator.world.tenants}
        accounts = [one for one in connected_accounts(connections) if one.tenant_id in ids]
    newest = server.emulator.clock.as_of
    if period.first > newest:
        raise AegisError(
            f"The demo's figures end on {newest}; {period.first} is later.",
            "`aegis demo advance` brings its next day.",
        )
    return sync(
        connections,
        keyring(database.settings, create=True),
        accounts,
        period=Window(period.first, min(period.last, newest)),
        now=server.emulator.clock.now(),
        requested_by=requested_by,
        force=force,
        progress=progress,
    )


def must_be_fine(report: SyncReport) -> int:
    """The number of reports read. Raises AegisError where an account failed: in the demo that is a bug."""
    for one in report.results:
        if not one.is_fine:
            raise AegisError(f"{one.account} could not be read: {one.error or one.state}.", one.hint)
    return sum(one.rows for one in report.results)
