"""What a load made visible: coverage rows, refused rows and the import log, written together and last.

A load is invisible until `publish` has committed: a crash before it leaves raw rows that nobody reads, a crash after it
leaves nothing undone. All functions take a connection that may write schema ops.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlt_pipelines.common.personal import Pseudonyms, pseudonyms

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Covered:
    """One account-day a load holds completely; `rows` may be zero. `reason` tells what is odd about it."""

    tenant_id: str
    platform: str
    account_id: str
    day: dt.date
    rows: int
    reason: str | None = None


@dataclass(frozen=True)
class Refused:
    """One input row that could not be used, as it came."""

    source_name: str
    line: int | None
    reason: str
    payload: dict[str, Any] = field(default_factory=dict)
    tenant_id: str | None = None
    platform: str | None = None
    account_id: str | None = None


@dataclass(frozen=True)
class Run:
    """What the import log says about a load."""

    load_id: str
    kind: str
    source_name: str
    tenant_id: str | None = None
    platform: str | None = None
    account_id: str | None = None
    content_hash: str | None = None


def begin(connection: psycopg.Connection[Any], run: Run) -> None:
    """Log that a load is under way. One that was killed stays `running` in the log."""
    _log(connection, run, "running")


def note(connection: psycopg.Connection[Any], run: Run, status: str, error: str | None = None) -> None:
    """Log a load that wrote nothing: `unchanged`, or `failed` with its error."""
    changed = connection.execute(
        "update ops.import_log set status = %s, error = %s, finished_at = now() where load_id = %s",
        (status, error, run.load_id),
    )
    if not changed.rowcount:
        _log(connection, run, status, error)


def _log(connection: psycopg.Connection[Any], run: Run, status: str, error: str | None = None) -> None:
    connection.execute(
        """
        insert into ops.import_log (
            load_id, tenant_id, platform, account_id, kind, source_name, content_hash, status, error, finished_at
        )
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, case when %s = 'running' then null else now() end)
        """,
        (
            run.load_id,
            run.tenant_id,
            run.platform,
            run.account_id,
            run.kind,
            run.source_name,
            run.content_hash,
            status,
            error,
            status,
        ),
    )


def publish(
    connection: psycopg.Connection[Any],
    run: Run,
    source: str,
    covered: Iterable[Covered],
    refused: Sequence[Refused],
    *,
    rows_read: int,
    rows_imported: int,
    covered_at: dt.datetime | None = None,
) -> int:
    """Write coverage, quarantine and the end of the log. Call inside a transaction, after the load was confirmed.

    `covered_at` is when the figures were asked for; left out it is now. Returns the number of account-days covered.
    """
    write_refused(connection, run.load_id, refused)
    days = 0
    moment = covered_at or dt.datetime.now(dt.UTC)
    with connection.cursor().copy(
        """
        copy ops.coverage (
            load_id, tenant_id, platform, account_id, day, source, rows, reason, covered_at
        ) from stdin
        """
    ) as copy:
        for item in covered:
            copy.write_row(
                (
                    run.load_id,
                    item.tenant_id,
                    item.platform,
                    item.account_id,
                    item.day,
                    source,
                    item.rows,
                    item.reason,
                    moment,
                )
            )
            days += 1
    connection.execute(
        """
        update ops.import_log
        set status = %s, rows_read = %s, rows_imported = %s, rows_failed = %s, finished_at = clock_timestamp()
        where load_id = %s
        """,
        ("partial" if refused else "completed", rows_read, rows_imported, len(refused), run.load_id),
    )
    return days


def write_refused(connection: psycopg.Connection[Any], load_id: str, refused: Sequence[Refused]) -> None:
    """Keep refused rows with their reasons. Whole rows may hold what nobody asked for: persons are hashed."""
    if not refused:
        return
    hashed = {
        tenant_id: pseudonyms(connection, tenant_id)
        for tenant_id in {str(row.tenant_id) for row in refused if row.tenant_id is not None}
    }
    nobody = Pseudonyms(secrets.token_bytes(32))  # no tenant is known: a hash that nothing else will equal
    with connection.cursor().copy(
        """
        copy ops.quarantine (load_id, tenant_id, platform, account_id, source_name, line, reason, payload) from stdin
        """
    ) as copy:
        for row in refused:
            # JSON may hold a zero character, jsonb may not.
            persons = hashed.get(str(row.tenant_id), nobody)
            payload = json.dumps(persons.in_value(row.payload), ensure_ascii=False, default=str)
            copy.write_row(
                (
                    load_id,
                    row.tenant_id,
                    row.platform,
                    row.account_id,
                    row.source_name,
                    row.line,
                    persons.in_text(row.reason),
                    payload.replace("\\u0000", ""),
                )
            )
