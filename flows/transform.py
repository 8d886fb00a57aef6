"""Run dbt in this process: the models, seeds and tests of dbt_project/, in one call.

A build's files (profile, parsed project, compiled SQL, log) live in the data folder, never in the checkout, which may
be read-only. Credentials reach dbt through the environment for the length of the call and are written nowhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import AegisError

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
PROFILES = PROJECT.parent / "profiles.example.yml"
LOCK = "aegis build"
LOCK_PATIENCE = "30min"
FAILED = ("error", "fail", "runtime error", "partial success")
MESSAGE_LENGTH = 2000

QUIET = {
    "DO_NOT_TRACK": "1",
    "DBT_ENGINE_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}


@dataclass(frozen=True)
class Node:
    """One model, seed or test of a build. `status` is dbt's own word; `message` is empty where all went well."""

    name: str
    kind: str
    status: str
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class BuildResult:
    """What one call of dbt did. `failures` are errors of ours; `warnings` name what the data brought about."""

    nodes: tuple[Node, ...]
    seconds: float
    log_path: Path
    failures: tuple[Node, ...] = field(default=())
    warnings: tuple[Node, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class Model:
    """One compiled model: its SQL for the target asked for, and what its configuration says about its table."""

    name: str
    schema: str
    materialized: str
    sql: str
    parents: tuple[str, ...]
    contract: bool
    indexes: tuple[tuple[str, ...], ...] = ()
    unique_key: tuple[str, ...] = ()
    merge_update_columns: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


def data_folder() -> Path:
    """Where dbt may write: the folder `dbt` of AEGIS_DATA_DIR, by default of .aegis in the checkout."""
    home = os.environ.get("AEGIS_DATA_DIR")
    return (Path(home).resolve() if home else PROJECT.parent / ".aegis") / "dbt"


def build(
    connections: Connections,
    *,
    select: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    vars: Mapping[str, Any] | None = None,
    target: str = "prod",
    quiet: bool = True,
    unit_tests: bool = False,
) -> BuildResult:
    """Build the selected nodes (all by default) in order, each followed by its tests; seeds included.

    A second build on the same database waits for the first. Unit tests need no data and are left out unless asked for.

    Raises  AegisError where dbt cannot start at all: the project does not parse, the database does not answer.
            A failing node raises nothing: it is in the result, with the nodes that were skipped because of it.
    """
    arguments = ["build", "--target", target]
    if not unit_tests:
        arguments += ["--exclude-resource-type", "unit_test"]
    if select:
        arguments += ["--select", *select]
    if exclude:
        arguments += ["--exclude", *exclude]
    if vars:
        arguments += ["--vars", json.dumps(dict(vars))]
    with _one_build_at_a_time(connections):
        return run_dbt(connections, arguments, quiet=quiet)


def compile_models(connections: Connections, select: Sequence[str], *, target: str) -> tuple[Model, ...]:
    """The selected models as SQL for a target, each after those it reads. Nothing is run or changed.

    Raises  AegisError where the project does not parse or a model does not compile.
    """
    results, _ = _invoke(
        connections,
        ["compile", "--target", target, "--select", *select],
        folder=target,
    )
    for result in results or ():
        if str(result.status) in FAILED:
            raise AegisError(
                f"{result.node.name} does not compile: {_short(result.message or '')}",
                f"Details are in {data_folder() / 'logs' / 'dbt.log'}.",
            )
    compiled = {r.node.unique_id: r.node for r in results or () if str(r.node.resource_type) == "model"}
    ordered: dict[str, Any] = {}

    def place(unique_id: str) -> None:
        if unique_id in compiled and unique_id not in ordered:
            for parent in compiled[unique_id].depends_on.nodes:
                place(parent)
            ordered[unique_id] = compiled[unique_id]

    for unique_id in sorted(compiled):
        place(unique_id)
    return tuple(_model(node) for node in ordered.values())


def _model(node: Any) -> Model:
    config = node.config
    return Model(
        name=node.name,
        schema=str(config.schema),
        materialized=str(config.materialized),
        sql=node.compiled_code,
        parents=tuple(parent.rsplit(".", 1)[-1] for parent in node.depends_on.nodes),
        contract=bool(config.contract.enforced),
        indexes=tuple(tuple(index["columns"]) for index in config.get("indexes") or ()),
        unique_key=tuple(config.unique_key or ()),
        merge_update_columns=tuple(config.get("merge_update_columns") or ()),
        meta=dict(config.meta or {}),
    )


def run_dbt(connections: Connections, arguments: Sequence[str], *, quiet: bool = True) -> BuildResult:
    """Call dbt with any arguments on this project, as the transformer."""
    started = time.monotonic()
    results, log_path = _invoke(connections, arguments, quiet=quiet)
    seconds = time.monotonic() - started
    nodes = tuple(_node(result) for result in results or ())
    return BuildResult(
        nodes=nodes,
        seconds=seconds,
        log_path=log_path,
        failures=tuple(node for node in nodes if node.status in FAILED),
        warnings=tuple(node for node in nodes if node.status == "warn"),
    )


def _invoke(
    connections: Connections, arguments: Sequence[str], *, quiet: bool = True, folder: str = "target"
) -> tuple[Any, Path]:
    """dbt's results, None where the command has none, and its log. A target of its own keeps its own parsed project."""
    home = data_folder()
    _prepare(home)
    command = [
        *arguments,
        "--project-dir", str(PROJECT),
        "--profiles-dir", str(home),
        "--target-path", str(home / folder),
        "--log-path", str(home / "logs"),
        "--log-level-file", "info",
    ]  # fmt: skip
    with _environment(connections.transformer):
        from dbt.cli.main import dbtRunner

        global_options = ["--no-use-colors", *(["--quiet", "--log-level", "none"] if quiet else [])]
        outcome = dbtRunner().invoke([*global_options, *command])
    log_path = home / "logs" / "dbt.log"
    results = getattr(outcome.result, "results", None)
    if outcome.exception is not None and results is None:
        raise AegisError(
            f"dbt could not run: {_short(str(outcome.exception))}", f"Details are in {log_path}."
        ) from outcome.exception
    return results, log_path


def _node(result: Any) -> Node:
    status = str(result.status)
    return Node(
        name=getattr(result.node, "name", None) or result.node.unique_id,
        kind=str(result.node.resource_type),
        status=status,
        seconds=float(result.execution_time or 0),
        message=_short(result.message or "") if status in (*FAILED, "warn") else "",
    )


def _short(message: str) -> str:
    """dbt's message on one line, without the path of the compiled file."""
    lines = [line.strip() for line in message.strip().splitlines()]
    kept = [line for line in lines if line and not line.startswith(("compiled code at", "> ", "LINE "))]
    return " ".join(kept)[:MESSAGE_LENGTH]


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        wanted = PROFILES.read_text(encoding="utf-8")
        profile = folder / "profiles.yml"
        if not profile.is_file() or profile.read_text(encoding="utf-8") != wanted:
            profile.write_text(wanted, encoding="utf-8")
    except OSError as problem:
        raise AegisError(
            f"The build's folder {folder} cannot be written: {problem.strerror}.",
            "Free some space or name another folder in AEGIS_DATA_DIR.",
        ) from problem


@contextlib.contextmanager
def _environment(url: str) -> Iterator[None]:
    """The transformer's connection as the profile expects it, for the length of the call."""
    wanted: dict[str, str | None] = {**QUIET, **_connection_settings(url), "AEGIS_ALLOW_PROD": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _connection_settings(url: str) -> dict[str, str | None]:
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(url)
    role = os.environ.get("AEGIS_ROLE_PREFIX", "") or "aegis_"
    user = str(parts.get("user") or os.environ.get("PGUSER") or "postgres")
    return {
        "AEGIS_DBT_HOST": str(parts.get("host") or parts.get("hostaddr") or "127.0.0.1"),
        "AEGIS_DBT_PORT": str(parts.get("port") or 5432),
        "AEGIS_DBT_USER": user,
        "AEGIS_DBT_PASSWORD": str(parts.get("password") or os.environ.get("PGPASSWORD") or ""),
        "AEGIS_DBT_DBNAME": str(parts.get("dbname") or user),
        "AEGIS_DBT_SSLMODE": str(parts.get("sslmode") or "prefer"),
        "AEGIS_DBT_ROLE": f"{role}transformer",
        # What the profile has no word for, libpq reads from the environment.
        **{
            f"PG{name.upper()}": str(parts[name])
            for name in ("sslrootcert", "sslcert", "sslkey", "channel_binding", "gssencmode")
            if parts.get(name)
        },
    }


@contextlib.contextmanager
def _one_build_at_a_time(connections: Connections) -> Iterator[None]:
    """Two builds would replace each other's tables: the second waits for the first."""
    import psycopg

    try:
        session = psycopg.connect(connections.transformer, connect_timeout=10, autocommit=True)
    except psycopg.OperationalError as problem:
        raise AegisError(
            f"The database does not answer: {_short(str(problem))}",
            "Start it with `aegis up`, or check AEGIS_DATABASE_URL.",
        ) from problem
    with session:
        session.execute("select set_config('lock_timeout', %s, false)", (LOCK_PATIENCE,))
        try:
            session.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (LOCK,))
        except psycopg.errors.LockNotAvailable as problem:
            raise AegisError(
                f"Another build has been running on this database for more than {LOCK_PATIENCE}.",
                "Look at it with `select * from pg_stat_activity`, end it, and run this again.",
            ) from problem
        yield
