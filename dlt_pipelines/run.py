"""The only place where a dlt pipeline is built: arrow tables -> parquet -> ADBC -> append.

`pipeline.run()` is never trusted. With a package left over by a killed run, dlt loads that one, ignores the new data
and reports success; so every run has a pipelines folder of its own, and afterwards the database itself is asked
whether `count(*) where load_id = …` equals the rows that were produced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from dlt_pipelines import registry
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import PartialDataError

if TYPE_CHECKING:
    from dlt.sources import DltSource

# 100,000 rows a file and one load worker: 0.27 GB of memory instead of 1.17 GB at a million rows. Rows of a report are
# long: the driver takes 0.24 GB for a file of 56,000 and 0.16 GB for one of 9 MB, which are 24,000. Each file is a
# connection of its own.
SETTINGS = {
    "DATA_WRITER__FILE_MAX_BYTES": "9000000",
    "DATA_WRITER__FILE_MAX_ITEMS": "100000",
    "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "100000",
    "EXTRACT__WORKERS": "1",
    "NORMALIZE__WORKERS": "1",
    "LOAD__WORKERS": "1",
    "LOAD__RAISE_ON_MAX_RETRIES": "3",
    "RESTORE_FROM_DESTINATION": "false",
}
STALE_SECONDS = 86_400


def run(connections: Connections, source: DltSource, load_id: str) -> dict[str, int]:
    """Append what a source yields and confirm it. The source's name is its folder's; its tables carry `load_id`.

    Returns   rows per table, as produced and as the database counts them
    Raises    PartialDataError when loading failed or the counts differ; the caller must then publish nothing
    """
    place = registry.get(source.name)
    produced = _count_rows(source, load_id)
    with _settings(), _own_folder() as folder, _first_load(connections, place.dataset):
        import dlt
        from dlt.pipeline.exceptions import PipelineStepFailed

        pipeline = dlt.pipeline(
            pipeline_name=place.name,
            pipelines_dir=str(folder),
            destination=dlt.destinations.postgres(credentials=_url_for_dlt(connections.loader)),
            dataset_name=place.dataset,
        )
        try:
            pipeline.run(source, loader_file_format="parquet", schema_contract={"data_type": "freeze"})
        except PipelineStepFailed as problem:
            raise PartialDataError(
                f"Loading into {place.dataset} failed: {_cause(problem)}.",
                "Nothing of it was made visible. Try again when the cause is gone.",
            ) from problem
    _confirm(connections, place.dataset, load_id, produced)
    return produced


def _count_rows(source: DltSource, load_id: str) -> dict[str, int]:
    """Count, per table, the rows that leave each resource on their way into the pipeline."""
    produced: dict[str, int] = {}

    def counted(name: str) -> Any:
        def count(table: Any) -> Any:
            import pyarrow.compute as pc

            if pc.unique(table.column("load_id")).to_pylist() not in ([load_id], []):
                raise PartialDataError(
                    f"A row of {name} carries another load id than {load_id}.", "This is a bug."
                )
            produced[name] += table.num_rows
            return table

        return count

    for name, resource in source.resources.items():
        produced[name] = 0
        resource.add_map(counted(name))
    return produced


def _confirm(connections: Connections, dataset: str, load_id: str, produced: dict[str, int]) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(connections.loader, connect_timeout=10) as connection:
        for name, rows in produced.items():
            row = connection.execute(
                sql.SQL("select count(*) from {} where load_id = %s").format(sql.Identifier(dataset, name)),
                (load_id,),
            ).fetchone()
            if row is None or row[0] != rows:
                raise PartialDataError(
                    f"The load {load_id} produced {rows:,} rows for {dataset}.{name} and the database holds "
                    f"{row[0] if row else 0:,} of them.",
                    "Nothing of it was made visible. Run the import again.",
                )


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """dlt reads its settings from the environment, which wins over any config.toml lying about."""
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """A pipelines folder of this run alone; what killed runs left a day ago is cleared away."""
    home = os.environ.get("DLT_DATA_DIR")
    parent = Path(home) / "runs" if home else Path(tempfile.gettempdir()) / f"aegis-dlt-{os.getuid()}"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in parent.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _first_load(connections: Connections, dataset: str) -> Iterator[None]:
    """Two first loads at once would both create dlt's own tables: the second waits for the first."""
    import psycopg

    with psycopg.connect(connections.loader, connect_timeout=10, autocommit=True) as connection:
        row = connection.execute("select to_regclass(%s)", (f"{dataset}._dlt_version",)).fetchone()
        if row is None or row[0] is None:
            connection.execute(
                "select pg_advisory_lock(hashtextextended(%s, 0))", (f"aegis first load {dataset}",)
            )
        yield


def _url_for_dlt(url: str) -> str:
    """The same URL in the form dlt keeps intact.

    dlt writes a space in `options` as a plus sign, which libpq takes literally: `-c role=x` becomes `-crole=x`.
    It also asks for a database name, where libpq falls back to the user's.
    """
    parts = urlsplit(url)
    query = [
        (key, value.replace("-c ", "-c").strip() if key == "options" else value)
        for key, value in parse_qsl(parts.query)
    ]
    path = parts.path if parts.path.strip("/") else f"/{quote(unquote(parts.username or ''), safe='')}"
    return urlunsplit(parts._replace(scheme="postgresql", path=path, query=urlencode(query, quote_via=quote)))


def _cause(problem: BaseException) -> str:
    """The innermost message, on one line and without the trace dlt puts around it."""
    deepest = problem
    while deepest.__cause__ is not None or deepest.__context__ is not None:
        deepest = deepest.__cause__ or deepest.__context__  # type: ignore[assignment]
    lines = [line.strip() for line in str(deepest).splitlines() if line.strip()]
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    return ((errors or lines or [type(deepest).__name__])[0]).rstrip(".")
