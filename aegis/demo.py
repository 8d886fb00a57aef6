"""The demo: tenants of the synthetic world, loaded the very ways that real figures come: by API and by file.

Accounts of platforms with a connector are connected to the emulator and synced (demo_vendors.py). What such a tenant
has from before, with the versions of 45 days of watching, and all other platforms are imported from files. A demo
tenant is marked `is_demo` and has the world's fixed id. Its as-of day is chosen when it is loaded and moves only by
`advance`; nothing of it depends on the clock after that. `remove` deletes it completely.

Raises  AegisError where real tenants share the database (exchange rates belong to all, and the demo's are invented)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database
    from dlt_pipelines.common.sync import Account
    from dlt_pipelines.common.sync import Progress as AccountProgress
    from dlt_pipelines.common.windows import Window
    from emulator.server import Server
    from emulator.world import World
    from flows.sync import SyncReport

SEED = 7
HISTORY_DAYS = 130
VERSION_DAYS = 45  # how long the demo pretends to have been pulled: what the maturity curve needs
READ_DAYS = 28  # newest days that come by API, where a platform has one; its older days come by file
FILES = "aegis-demo-"  # names of its files in the import log, by which remove finds its rates
EVERYBODY = "00000000-0000-0000-0000-000000000000"

Progress = Callable[[str], None]

# What people of these tenants have set by themselves; the keys are the world's.
CONFIGURATION: dict[str, dict[str, list[str]]] = {
    "outdoor": {
        "meta": ["target_roas=2.8", "max_cpa=60"], "tiktok": ["target_roas=2.6"], "google": ["target_roas=3.0"],
        "pinterest": ["target_roas=2.6"],
    },
    "home": {
        "meta": ["target_roas=3.2", "max_cpa=45"], "google": ["target_roas=3.5"], "tiktok": ["target_roas=2.8"],
        "pinterest": ["target_roas=3.3"],
    },
    "beauty": {"meta": ["target_roas=2.5", "max_cpa=40"], "tiktok": ["target_roas=2.2"], "google": ["target_roas=3.0"]},
}  # fmt: skip


@dataclass(frozen=True)
class DemoTenant:
    tenant_id: str
    name: str
    as_of: date | None


@dataclass
class DemoState:
    """`tenants` of the demo that are there; `real` names those that are not part of it."""

    tenants: list[DemoTenant] = field(default_factory=list)
    real: list[str] = field(default_factory=list)
    first_day: date | None = None
    newest_day: date | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether a load came to its end: the as-of days are written last."""
        return bool(self.tenants) and all(tenant.as_of is not None for tenant in self.tenants)

    @property
    def as_of(self) -> date | None:
        return max((tenant.as_of for tenant in self.tenants if tenant.as_of is not None), default=None)

    @property
    def tenant_ids(self) -> list[str]:
        return [tenant.tenant_id for tenant in self.tenants]


@dataclass(frozen=True)
class Loaded:
    """What was loaded. `rows` are reports of ad-days, every version counted."""

    tenants: int
    rows: int
    account_days: int
    as_of: date


def state(database: Database) -> DemoState:
    """What of the demo is in the database, and who else."""
    found = DemoState()
    with database.connect("owner") as connection:
        for tenant_id, name, is_demo, as_of in connection.execute(
            """
            select t.tenant_id::text, t.name, t.is_demo, a.as_of
            from tenancy.tenants as t
            left join ops.as_of as a on t.tenant_id = a.tenant_id
            where t.tenant_id <> %s
            order by t.name
            """,
            (EVERYBODY,),
        ):
            if is_demo:
                found.tenants.append(DemoTenant(tenant_id, name, as_of))
            else:
                found.real.append(name)
        row = connection.execute(
            "select min(c.day), max(c.day) from ops.coverage as c where c.tenant_id::text = any(%s)",
            (found.tenant_ids,),
        ).fetchone()
        if row:
            found.first_day, found.newest_day = row
    return found


def load(database: Database, as_of: date | None = None, progress: Progress = lambda _: None) -> Loaded:
    """Make the demo's tenants and import its history up to `as_of` (yesterday). A load that broke off is repeated."""
    before = state(database)
    _refuse_company(before)
    if before.is_loaded:
        raise AegisError(
            f"The demo is loaded already, as of {before.as_of}.",
            "`aegis demo advance` brings its next day; `aegis demo remove` deletes it.",
        )
    world = _world()
    last = as_of or _yesterday(world)
    first = last - timedelta(days=HISTORY_DAYS - 1)
    if first < world.origin:
        raise AegisError(
            f"The demo's world begins on {world.origin}.", f"Choose {world.origin + (last - first)} or later."
        )

    _make_tenants(database, world)
    progress(f"Writing {HISTORY_DAYS} days of the synthetic world")
    from aegis import demo_vendors
    from emulator.world.export import write_history

    with _folder() as folder:
        files = write_history(world, folder, first, last, known_from=last - timedelta(days=VERSION_DAYS - 1))
        _leave_to_api(world, files, last - timedelta(days=READ_DAYS - 1))
        rows, account_days = _import(database, files, progress, last)
    with demo_vendors.serving(database, SEED, last) as server:
        demo_vendors.connect(database, server)
        progress(f"Reading {_names(world)} through the emulator")
        rows += _read(database, server, last)
    account_days += _read_days(database)
    _configure(database, world)
    _allocate_budgets(database, world, last)
    _set_as_of(database, last)
    return Loaded(len(world.tenants), rows, account_days, last)


def advance(database: Database, days: int = 1, progress: Progress = lambda _: None) -> Loaded:
    """Import what becomes known on the demo's next day(s), and move its as-of day there."""
    before = state(database)
    if not before.is_loaded or before.as_of is None or before.first_day is None:
        raise AegisError("The demo is not loaded.", "Load it with `aegis demo load`.")
    _refuse_company(before)
    from aegis import demo_vendors
    from emulator.world.export import write_increment

    world = _world()
    rows = account_days = 0
    day = before.as_of
    with demo_vendors.serving(database, SEED, day) as server:
        demo_vendors.connect(database, server)  # a demo of an older Aegis came by file only
        for _ in range(days):
            day += timedelta(days=1)
            with _folder() as folder:
                files = write_increment(world, folder, day, first_day=before.first_day)
                _leave_to_api(world, files)
                more = _import(database, files, progress, day)
            progress(f"Reading {_names(world)} through the emulator")
            rows, account_days = rows + more[0], account_days + more[1]
            rows += _read(database, server, day)
            _set_as_of(database, day)
    return Loaded(len(before.tenants), rows, account_days, day)


def read(
    database: Database,
    accounts: Sequence[Account],
    *,
    period: Window | None,
    force: bool,
    requested_by: str,
    progress: AccountProgress,
) -> SyncReport:
    """Sync some of the demo's connected accounts as of its own day; without a period its newest days are looked at."""
    from aegis import demo_vendors
    from dlt_pipelines.common.windows import Window

    now = state(database)
    if now.as_of is None:
        raise AegisError("The demo is not loaded.", "Load it with `aegis demo load`.")
    with demo_vendors.serving(database, SEED, now.as_of) as server:
        return demo_vendors.read(
            database,
            server,
            period=period or Window(now.as_of - timedelta(days=READ_DAYS - 1), now.as_of),
            accounts=accounts,
            force=force,
            requested_by=requested_by,
            progress=progress,
        )


def remove(database: Database, progress: Progress = lambda _: None) -> int:
    """Delete every row of the demo from every schema, its logins and their schemas. Returns the number of rows.

    Waits for a daily run to end: a build under way would write rows again.
    """
    from aegis.erase import drop_login, logins_only_of
    from flows.tasks import one_run_at_a_time

    with one_run_at_a_time(database.connections(), progress), database.connect("owner") as connection:
        demo = connection.execute("select t.tenant_id::text from tenancy.tenants as t where t.is_demo")
        logins = logins_only_of(connection, [row[0] for row in demo])
        row = connection.execute("select tenancy.remove_demo(%s)", (FILES,)).fetchone()
    for login in logins:
        drop_login(database, login)
    return int(row[0]) if row else 0


def _refuse_company(before: DemoState) -> None:
    if before.real:
        raise AegisError(
            f"There are tenants of your own here ({_some(before.real)}); the demo's invented exchange rates would mix "
            "with theirs.",
            "Have it in a database of its own: AEGIS_DATA_DIR=~/aegis-demo aegis run",
        )


def _world() -> World:
    from emulator.world import World

    return World(seed=SEED)


def _yesterday(world: World) -> date:
    """The newest day that is over for every account of the demo."""
    from zoneinfo import ZoneInfo

    now = datetime.now(UTC)
    return min(now.astimezone(ZoneInfo(account.timezone)).date() for account in world.accounts()) - timedelta(
        days=1
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aegis-demo-") as folder:
        yield Path(folder)


def _import(database: Database, files: dict[str, Path], progress: Progress, newest: date) -> tuple[int, int]:
    """Through the imports of real files, under names by which remove finds them again.

    The demo may run ahead of the calendar; imports are told that its newest day is over.
    """
    from dlt_pipelines.manual import import_history, import_rates

    now = max(datetime.now(UTC), datetime.combine(newest, time.max, UTC))

    # On most days nothing was changed, on weekends no rate is published; and a file without rows is refused.
    named = {
        name: path.rename(path.with_name(FILES + path.name))
        for name, path in files.items()
        if _has_rows(path)
    }
    connections = database.connections()
    if "rates" in named:
        progress("Importing exchange rates")
        import_rates(connections, named["rates"], now=now)
    progress("Importing figures, campaigns and changes")
    result = import_history(
        connections, named["ads"], campaigns=named.get("campaigns"), changes=named.get("changes"), now=now
    )
    if result.refused:
        line, reason = result.refused[0]
        raise AegisError(f"A row of the demo was refused (line {line}: {reason}).", "This is a bug in Aegis.")
    return result.rows_imported, result.coverage_days


def _leave_to_api(world: World, files: dict[str, Path], since: date = date.min) -> None:
    """Take out of the files what the platforms' APIs bring: figures from that day on, and campaigns as they stand.

    A history (with a day) keeps its changes: an API tells only those that happen while it is watched. What stays of
    these platforms counts purchases only, as their accounts do: an export of Ads Manager shows one event a column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from aegis.demo_vendors import platforms

    campaigns = pq.read_table(files["campaigns"], columns=["campaign_id", "objective"])
    other_events = campaigns.filter(pc.match_substring(campaigns["objective"], "LEAD"))["campaign_id"]
    for name, path in files.items():
        if path.suffix != ".parquet" or (name == "changes" and since > date.min):
            continue
        table = pq.read_table(path)
        by_api = pc.is_in(table["platform"], pa.array(platforms(world)))
        if name == "ads" and since > date.min:
            counts_nothing = pc.and_(by_api, pc.is_in(table["campaign_id"], other_events.combine_chunks()))
            for column in ("conversions", "conversion_value", "view_through_conversions"):
                zero = pa.scalar(Decimal(0), table[column].type)
                place = table.schema.get_field_index(column)
                table = table.set_column(place, column, pc.if_else(counts_nothing, zero, table[column]))
            by_api = pc.and_(by_api, pc.greater_equal(table["day"], pa.scalar(since, pa.date32())))
        pq.write_table(table.filter(pc.invert(by_api)), path)


def _names(world: World) -> str:
    from aegis.demo_vendors import platforms

    return ", ".join(name.capitalize() for name in platforms(world))


def _read(database: Database, server: Server, day: date) -> int:
    """Sync the demo's accounts on the morning after `day`, as a scheduled run would have."""
    from aegis import demo_vendors
    from dlt_pipelines.common.windows import Window

    server.emulator.clock.set_as_of(day)
    period = Window(day - timedelta(days=READ_DAYS - 1), day)
    return demo_vendors.must_be_fine(demo_vendors.read(database, server, period=period))


def _read_days(database: Database) -> int:
    """Account-days of the demo that came by API, every pull counted."""
    with database.connect("owner") as connection:
        row = connection.execute(
            """
            select count(*) from ops.coverage as c
            inner join tenancy.tenants as t on c.tenant_id = t.tenant_id
            where t.is_demo and c.source = 'api'
            """
        ).fetchone()
    return int(row[0]) if row else 0


def _has_rows(path: Path) -> bool:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return bool(pq.read_metadata(path).num_rows)
    with path.open(encoding="utf-8") as file:
        return next(file, None) is not None and next(file, None) is not None


def _make_tenants(database: Database, world: World) -> None:
    with database.connect("owner") as connection:
        for tenant in world.tenants:
            taken = connection.execute(
                "select t.is_demo from tenancy.tenants as t where t.name = %s and t.tenant_id <> %s",
                (tenant.name, tenant.tenant_id),
            ).fetchone()
            if taken:
                raise AegisError(
                    f"There already is a tenant called {tenant.name}.", "Rename it, then load the demo."
                )
            connection.execute(
                """
                insert into tenancy.tenants (tenant_id, name, currency, timezone, industry, is_demo)
                values (%s, %s, %s, %s, %s, true)
                on conflict (tenant_id) do nothing
                """,
                (tenant.tenant_id, tenant.name, tenant.currency, tenant.timezone, tenant.industry),
            )
            for account in world.accounts(tenant):
                connection.execute(
                    """
                    insert into tenancy.ad_accounts (tenant_id, platform, account_id, name, currency, timezone, source)
                    values (%s, %s, %s, %s, %s, %s, 'file')
                    on conflict (tenant_id, platform, account_id) do nothing
                    """,
                    (
                        account.tenant_id, account.platform, account.account_id, account.name, account.currency,
                        account.timezone,
                    ),
                )  # fmt: skip


def _configure(database: Database, world: World) -> None:
    """Targets these tenants set for themselves: only those raise advice about money."""
    from aegis.tenants import resolve_tenant, set_config

    for tenant in world.tenants:
        with database.connect("owner") as connection:
            found = resolve_tenant(connection, tenant.tenant_id)
        for platform, pairs in CONFIGURATION.get(tenant.key, {}).items():
            with database.connect("app") as connection:
                set_config(connection, found, [platform], pairs)


def _allocate_budgets(database: Database, world: World, as_of: date) -> None:
    """A budget for the running month on each tenant's two largest campaigns, as a buyer would enter it."""
    month = as_of.replace(day=1)
    end = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    for tenant in world.tenants:
        active = [one for one in world.campaigns(as_of, tenant=tenant) if one.status == "active"]
        largest = sorted(active, key=lambda one: (-one.daily_budget, one.campaign_id))[:2]
        with database.connect("app") as connection:
            connection.execute(
                "select set_config('saas.tenant_id', %s, true), set_config('saas.user_id', 'demo', true)",
                (tenant.tenant_id,),
            )
            for campaign in largest:
                connection.execute(
                    """
                    insert into ads.budget_allocation (
                        tenant_id, platform, campaign_id, period_start, period_end, budget, currency, notes
                    )
                    values (%s, %s, %s, %s, %s, %s, %s, 'From the demo')
                    on conflict (tenant_id, platform, campaign_id, period_start) do nothing
                    """,
                    (
                        tenant.tenant_id, campaign.platform, campaign.campaign_id, month, end,
                        campaign.daily_budget * end.day, campaign.currency,
                    ),
                )  # fmt: skip


def _set_as_of(database: Database, day: date) -> None:
    with database.connect("owner") as connection:
        _write_as_of(connection, day)


def _write_as_of(connection: psycopg.Connection[Any], day: date) -> None:
    connection.execute(
        """
        insert into ops.as_of (tenant_id, as_of)
        select t.tenant_id, %s from tenancy.tenants as t where t.is_demo
        on conflict (tenant_id) do update set as_of = excluded.as_of, set_at = now()
        """,
        (day,),
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
