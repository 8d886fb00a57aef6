"""How every file import ends: one import at a time, the same file twice is nothing new, and all or nothing is visible.

Order   log `running` -> rows into raw_manual, counted by the database -> one transaction: tenants, accounts, refused
        rows, coverage, log. A crash before that transaction leaves raw rows nobody reads; running again repairs it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common import coverage
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.coverage import Covered, Refused, Run
from dlt_pipelines.common.errors import AegisError
from dlt_pipelines.common.stamp import stamp

SOURCE = "file"
WAIT_MINUTES = 10


@dataclass(frozen=True)
class Totals:
    """Sums of what was imported in one currency; of several reports of one day, the newest."""

    currency: str
    spend: Decimal | None
    impressions: int | None
    clicks: int | None
    conversions: Decimal | None
    conversion_value: Decimal | None


@dataclass
class ImportResult:
    """What an import did, for the summary and for tests.

    rows_read      rows under the headings, total rows included
    rows_imported  rows whose figures count now
    rows_skipped   total rows, which repeat the others
    refused        (line, reason) of each row that could not be used; also in ops.quarantine
    coverage_days  account-days covered
    unchanged      the very same import is in force already, nothing was written
    """

    load_id: str
    kind: str
    source_name: str
    rows_read: int = 0
    rows_imported: int = 0
    rows_skipped: int = 0
    rows_refused: int = 0
    refused: list[tuple[int | None, str]] = field(default_factory=list)
    coverage_days: int = 0
    unchanged: bool = False
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    totals: list[Totals] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tenants_created: list[str] = field(default_factory=list)
    tenant_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Tenant:
    """`external_id`: what files call it, where that is no uuid."""

    tenant_id: str
    name: str
    currency: str
    timezone: str
    external_id: str | None = None


@dataclass(frozen=True)
class Account:
    tenant_id: str
    platform: str
    account_id: str
    currency: str
    timezone: str | None = None
    name: str | None = None


@dataclass
class Batch:
    """Everything one import writes. `tables` hold rows without load_id and loaded_at."""

    kind: str
    source_name: str
    digest: str
    tables: dict[str, pa.Table]
    refused: list[Refused] = field(default_factory=list)
    covered: list[Covered] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    new_tenants: list[Tenant] = field(default_factory=list)
    rows_read: int = 0
    rows_imported: int = 0
    rows_skipped: int = 0
    notes: list[str] = field(default_factory=list)
    tenant_id: str | None = None
    platform: str | None = None
    account_id: str | None = None


def new_load_id(kind: str, now: dt.datetime) -> str:
    return f"{kind}-{now.astimezone(dt.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"


def digest(contents: Sequence[bytes], options: Mapping[str, Any]) -> str:
    """Fingerprint of an import: the files' bytes and everything that decides what they mean."""
    found = hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode())
    for content in contents:
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()


@contextlib.contextmanager
def session(connections: Connections) -> Iterator[psycopg.Connection[Any]]:
    """A connection that may write tenancy and ops, alone: a second import waits for the first."""
    with psycopg.connect(connections.owner, autocommit=True, connect_timeout=10) as connection:
        connection.execute(f"set lock_timeout = '{WAIT_MINUTES}min'")
        try:
            connection.execute("select pg_advisory_lock(hashtextextended('aegis import', 0))")
        except psycopg.errors.LockNotAvailable as problem:
            raise AegisError(
                f"Another import is still running after {WAIT_MINUTES} minutes.",
                "Try again when it has ended.",
            ) from problem
        connection.execute("reset lock_timeout")
        yield connection


def known_tenants(connection: psycopg.Connection[Any]) -> list[Tenant]:
    """All tenants but the reserved one."""
    rows = connection.execute(
        """
        select tenant_id::text, name, currency, timezone, external_id from tenancy.tenants
        where tenant_id <> '00000000-0000-0000-0000-000000000000'
        """
    ).fetchall()
    return [Tenant(*row) for row in rows]


def known_accounts(
    connection: psycopg.Connection[Any], tenant_ids: Sequence[str]
) -> dict[tuple[str, str, str], Account]:
    rows = connection.execute(
        """
        select tenant_id::text, platform, account_id, currency, timezone, name from tenancy.ad_accounts
        where tenant_id = any(%s::uuid[])
        """,
        (list(tenant_ids),),
    ).fetchall()
    return {(row[0], row[1], row[2]): Account(*row) for row in rows}


def store(connections: Connections, connection: psycopg.Connection[Any], batch: Batch) -> ImportResult:
    """Load a batch, confirm it and make it visible; or say that it is in force already."""
    now = dt.datetime.now(dt.UTC)  # the true time, whatever day the caller plays: the newest load wins
    run = Run(
        new_load_id(batch.kind, now),
        batch.kind,
        batch.source_name,
        batch.tenant_id,
        batch.platform,
        batch.account_id,
        batch.digest,
    )
    result = ImportResult(
        run.load_id,
        batch.kind,
        batch.source_name,
        batch.rows_read,
        batch.rows_imported,
        batch.rows_skipped,
        len(batch.refused),
        _listed(batch.refused),
        notes=batch.notes,
    )
    performance = batch.tables.get("performance")
    if performance is not None and performance.num_rows:
        result.totals = totals(performance)
        bounds = pc.min_max(performance.column("day")).as_py()
        result.first_day, result.last_day = bounds["min"], bounds["max"]
        result.tenant_ids = sorted(pc.unique(performance.column("tenant_id")).to_pylist())
    elif "currency_rates" in batch.tables and batch.tables["currency_rates"].num_rows:
        bounds = pc.min_max(batch.tables["currency_rates"].column("day")).as_py()
        result.first_day, result.last_day = bounds["min"], bounds["max"]

    earlier = _in_force(connection, batch)
    if earlier is not None:
        coverage.note(connection, run, "unchanged", f"the same as {earlier[0]}")
        result.unchanged = True
        result.notes.append(f"The same import ran on {earlier[1]:%Y-%m-%d %H:%M} UTC and is in force.")
        return result
    if batch.rows_imported == 0:
        with connection.transaction():
            coverage.note(connection, run, "failed", "every row was refused")
            coverage.write_refused(connection, run.load_id, batch.refused)
        return result

    coverage.begin(connection, run)
    try:
        _load(connections, run.load_id, batch, now)
        with connection.transaction():
            _add_tenants(connection, batch.new_tenants)
            _add_accounts(connection, batch.accounts)
            result.coverage_days = coverage.publish(
                connection,
                run,
                SOURCE,
                batch.covered,
                batch.refused,
                rows_read=batch.rows_read,
                rows_imported=batch.rows_imported,
            )
    except Exception as problem:
        with contextlib.suppress(psycopg.Error):  # the connection itself may be what broke
            coverage.note(connection, run, "failed", str(problem).splitlines()[0])
        raise
    result.tenants_created = [tenant.name for tenant in batch.new_tenants]
    return result


def _listed(refused: Sequence[Refused]) -> list[tuple[int | None, str]]:
    """(line, reason); the file is named where there are several."""
    several = len({row.source_name for row in refused}) > 1
    return [(row.line, f"of {row.source_name} {row.reason}" if several else row.reason) for row in refused]


def _load(connections: Connections, load_id: str, batch: Batch, now: dt.datetime) -> None:
    from dlt_pipelines.manual.source import manual
    from dlt_pipelines.run import run

    stamped = {
        name: stamp(table, load_id=load_id, loaded_at=now, shared=name == "currency_rates")
        for name, table in batch.tables.items()
    }
    run(connections, manual(stamped), load_id)


def _in_force(connection: psycopg.Connection[Any], batch: Batch) -> tuple[str, dt.datetime] | None:
    """The earlier import of the same content, where no later file has covered any of its account-days since."""
    if batch.kind == "rates":
        there = "true"
        later = """
            exists (
                select from ops.import_log as n
                where n.kind = 'rates' and n.import_id > l.import_id and n.status in ('completed', 'partial')
            )
        """
    else:
        there = "exists (select from ops.coverage as c where c.load_id = l.load_id)"
        later = """
            exists (
                select from ops.coverage as c
                inner join ops.coverage as n
                    on c.tenant_id = n.tenant_id and c.platform = n.platform and c.account_id = n.account_id
                    and c.day = n.day and c.coverage_id < n.coverage_id and c.load_id <> n.load_id
                where c.load_id = l.load_id and n.source = 'file'
            )
        """
    row = connection.execute(
        f"""
        select l.load_id, l.finished_at at time zone 'UTC'
        from ops.import_log as l
        where l.content_hash = %s and l.status in ('completed', 'partial') and {there} and not {later}
        order by l.import_id desc
        limit 1
        """,
        (batch.digest,),
    ).fetchone()
    return (row[0], row[1]) if row else None


def _add_tenants(connection: psycopg.Connection[Any], tenants: Sequence[Tenant]) -> None:
    for tenant in tenants:
        connection.execute(
            """
            insert into tenancy.tenants (tenant_id, name, currency, timezone, external_id)
            values (%s, %s, %s, %s, %s)
            """,
            (tenant.tenant_id, tenant.name, tenant.currency, tenant.timezone, tenant.external_id),
        )


def _add_accounts(connection: psycopg.Connection[Any], accounts: Sequence[Account]) -> None:
    """New accounts, and names and time zones of known ones. An account connected to an API describes itself."""
    connection.cursor().executemany(
        """
        insert into tenancy.ad_accounts as a (tenant_id, platform, account_id, name, currency, timezone, source)
        values (%s, %s, %s, %s, %s, %s, 'file')
        on conflict (tenant_id, platform, account_id) do update
        set name = coalesce(excluded.name, a.name), timezone = coalesce(excluded.timezone, a.timezone)
        where a.source <> 'api'
            and (coalesce(excluded.name, a.name), coalesce(excluded.timezone, a.timezone))
            is distinct from (a.name, a.timezone)
        """,
        [(a.tenant_id, a.platform, a.account_id, a.name, a.currency, a.timezone) for a in accounts],
    )


def totals(performance: pa.Table) -> list[Totals]:
    """Sums per currency; a row above level ad that repeats rows below it is counted as the file gives it."""
    measured = ("spend", "impressions", "clicks", "conversions", "conversion_value")
    if performance.column("known_on").null_count < performance.num_rows:
        keys = ["tenant_id", "platform", "account_id", "level", "platform_id", "day"]
        numbered = performance.select([*keys, "known_on"]).append_column(
            "row", pa.array(range(performance.num_rows))
        )
        newest = numbered.sort_by([("known_on", "descending")]).group_by(keys, use_threads=False)
        performance = performance.take(newest.aggregate([("row", "first")]).column("row_first"))
    grouped = performance.group_by("currency").aggregate([(name, "sum") for name in measured])
    return sorted(
        (Totals(row["currency"], *(row[f"{name}_sum"] for name in measured)) for row in grouped.to_pylist()),
        key=lambda total: total.currency,
    )


def cover(
    performance: pa.Table, refused_days: Mapping[tuple[str, str, str, dt.date], int]
) -> dict[tuple[str, str, str, dt.date], Covered]:
    """The account-days that have rows, with their number and what was refused beside them."""
    grouped = performance.group_by(["tenant_id", "platform", "account_id", "day"]).aggregate(
        [([], "count_all")]
    )
    found = {}
    for tenant_id, platform, account_id, day, rows in zip(
        *(
            grouped.column(name).to_pylist()
            for name in ("tenant_id", "platform", "account_id", "day", "count_all")
        ),
        strict=True,
    ):
        key = (tenant_id, platform, account_id, day)
        found[key] = Covered(
            tenant_id, platform, account_id, day, rows, refused_reason(refused_days.get(key, 0))
        )
    return found


def refused_reason(rows: int) -> str | None:
    if not rows:
        return None
    return "1 row of the file was refused" if rows == 1 else f"{rows} rows of the file were refused"
