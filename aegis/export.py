"""Exporting everything of one tenant: one file per table, and a manifest with rows and checksums.

Every table with a column tenant_id is exported, found in the catalogue, from one snapshot of the database; left out
are the schemas staging and intermediate, which each build makes anew, and columns that hold encrypted credentials.
CSV is exact. In parquet, numerics without a scale of their own (ratios, scores) are doubles; amounts stay decimals.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

    from aegis.database import Database
    from aegis.tenants import Tenant

FORMATS = ("parquet", "csv")
DERIVED = ("staging", "intermediate")
SECRET = {"tenancy.credentials": ("token",)}
BATCH = 20_000

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Table:
    """One table to export. `columns` are (name, PostgreSQL type) without those that are secret."""

    schema: str
    name: str
    owner: str
    columns: tuple[tuple[str, str], ...]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass
class Exported:
    """What was written: rows by table."""

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)


def export_tenant(
    database: Database,
    tenant: Tenant,
    folder: Path,
    kind: str = "parquet",
    progress: Progress = lambda _: None,
) -> Exported:
    """Write every table's rows of this tenant to `folder`, which must be new or empty. Tables without rows get no file.

    The folder appears only when everything is in it. Raises AegisError for an unknown format or a folder with content.
    """
    if kind not in FORMATS:
        raise AegisError(f"There is no export format {kind!r}.", f"Formats: {', '.join(FORMATS)}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AegisError(f"{folder} is there already and not empty.", "Name a new folder.")
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    exported = Exported(folder)
    files: dict[str, dict[str, Any]] = {}
    try:
        with _snapshot(database) as (tables, sessions):
            for table in tables:
                path = unfinished / f"{table.full_name}.{kind}"
                write = _write_csv if kind == "csv" else _write_parquet
                rows = write(sessions[table.owner], table, str(tenant.tenant_id), path)
                if rows == 0:
                    path.unlink()
                    continue
                progress(f"{table.full_name}: {rows:,} rows")
                exported.rows[table.full_name] = rows
                files[path.name] = {
                    "table": table.full_name,
                    "rows": rows,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
        manifest = {
            "tenant_id": str(tenant.tenant_id),
            "name": tenant.name,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "left_out": {
                "schemas": list(DERIVED),
                "columns": [f"{table}.{column}" for table, names in SECRET.items() for column in names],
            },
            "files": files,
        }
        (unfinished / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return exported


@contextlib.contextmanager
def _snapshot(database: Database) -> Iterator[tuple[list[Table], dict[str, psycopg.Connection[Any]]]]:
    """The tables, and one session per owning service; all of them see the same moment."""
    with contextlib.ExitStack() as stack:
        sessions = {}
        snapshot = None
        for kind in ("owner", "loader", "transformer"):
            session = stack.enter_context(database.connect(kind))
            session.execute("set transaction isolation level repeatable read, read only")
            if snapshot is None:
                row = session.execute("select pg_export_snapshot()").fetchone()
                snapshot = row[0] if row else ""
            else:
                session.execute(f"set transaction snapshot '{snapshot}'".encode())
            session.execute("set local timezone = 'UTC'")
            sessions[database.role(kind)] = session
        yield _tables(sessions[database.role("owner")], list(sessions)), sessions


def _tables(session: psycopg.Connection[Any], owners: list[str]) -> list[Table]:
    rows = session.execute(
        """
        select
            n.nspname, c.relname, r.rolname,
            array_agg(a.attname::text order by a.attnum),
            array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum)
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        inner join pg_roles as r on r.oid = c.relowner
        inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relkind in ('r', 'p') and not c.relispartition and r.rolname = any(%s) and n.nspname <> all(%s)
        group by n.nspname, c.relname, r.rolname
        having bool_or(a.attname = 'tenant_id')
        order by 1, 2
        """,
        (owners, list(DERIVED)),
    ).fetchall()
    return [
        Table(
            schema,
            name,
            owner,
            tuple(
                (column, kind)
                for column, kind in zip(columns, kinds, strict=True)
                if column not in SECRET.get(f"{schema}.{name}", ())
            ),
        )
        for schema, name, owner, columns, kinds in rows
    ]


def _query(table: Table, tenant_id: str, as_text: Callable[[str], bool]) -> Any:
    """One tenant's rows; columns whose type `as_text` says so are cast to text."""
    from psycopg import sql

    columns = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) if as_text(kind) else sql.Identifier(name)
        for name, kind in table.columns
    )
    return sql.SQL("select {} from {} where tenant_id::text = {}").format(
        columns, sql.Identifier(table.schema, table.name), sql.Literal(tenant_id)
    )


def _write_csv(session: psycopg.Connection[Any], table: Table, tenant_id: str, path: Path) -> int:
    from psycopg import sql

    query = _query(table, tenant_id, lambda _: False)
    with session.cursor() as cursor:
        with (
            path.open("wb") as file,
            cursor.copy(sql.SQL("copy ({}) to stdout (format csv, header)").format(query)) as copy,
        ):
            for block in copy:
                file.write(block)
        return cursor.rowcount


def _write_parquet(session: psycopg.Connection[Any], table: Table, tenant_id: str, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _arrow_type(kind) or pa.string()) for name, kind in table.columns])
    query = _query(table, tenant_id, lambda kind: _arrow_type(kind) is None)
    rows = 0
    with (
        pq.ParquetWriter(path, schema, compression="zstd") as writer,
        session.cursor(name="aegis_export") as cursor,
    ):
        cursor.execute(query)
        while found := cursor.fetchmany(BATCH):
            columns = zip(*found, strict=True)
            arrays = [
                pa.array(
                    [None if value is None else float(value) for value in values]
                    if pa.types.is_floating(one.type)
                    else list(values),
                    type=one.type,
                )
                for one, values in zip(schema, columns, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            rows += len(found)
    return rows


def _arrow_type(kind: str) -> pa.DataType | None:
    """None where the column travels as text: uuid, json, arrays, intervals and everything without a like in arrow."""
    import pyarrow as pa

    if scaled := re.fullmatch(r"numeric\((\d+),(\d+)\)", kind):
        return pa.decimal128(int(scaled[1]), int(scaled[2]))
    return {
        "text": pa.string(),
        "date": pa.date32(),
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "boolean": pa.bool_(),
        "numeric": pa.float64(),
        "double precision": pa.float64(),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    }.get(kind)
