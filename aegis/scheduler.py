"""The scheduler: a Prefect server and one worker of this data folder, started by `aegis up --scheduler`.

The server listens on 127.0.0.1 only, on a free port kept in `scheduler.json`; its database (SQLite), logs and page
data lie in `prefect/` of the data folder. Postgres stays the only state that matters: what Prefect holds is which runs
there were. Nothing here imports Prefect, it runs in processes of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis.server import is_free, locked, read_json, write_private
from aegis.settings import Settings
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    from aegis.database import Database
    from flows.prefect_flow import Resources

HOST = "127.0.0.1"
PORTS = range(4200, 4700)
POOL = "aegis"
RUNS_AT_ONCE = 2
START_SECONDS = 180.0
STOP_SECONDS = 30.0

Say = Callable[[str], None]
# Processes this one started: a finished child stays a zombie until it is asked for.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class SchedulerState:
    """What runs. A process is None where it does not; `port` is None where the scheduler was never started."""

    port: int | None
    server: int | None
    worker: int | None

    @property
    def page(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def is_up(self) -> bool:
        return self.server is not None and self.worker is not None


def resources() -> Resources:
    """What a scheduled run works with; AEGIS_RESOURCES names this function in the worker's environment."""
    from aegis.cli.main import prepare_environment
    from aegis.connect import keyring
    from aegis.database import open_database
    from flows.prefect_flow import Resources

    prepare_environment()
    database = open_database()
    return Resources(database.connections(), lambda: keyring(database.settings))


class Scheduler:
    """Server and worker of one data folder. Every wait is bounded."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state_file = settings.data_dir / "scheduler.json"
        self.home = settings.data_dir / "prefect"

    # -- asking -------------------------------------------------------------------------------------------

    def state(self) -> SchedulerState:
        """Which of the two processes live."""
        kept = read_json(self.state_file)
        return SchedulerState(
            kept.get("port"), self._living(kept.get("server")), self._living(kept.get("worker"))
        )

    def _living(self, process: Any) -> int | None:
        """The number, where it still is the process that was started: a number may belong to another by now."""
        if not isinstance(process, dict):
            return None
        pid = int(process["pid"])
        child = _children.get(pid)
        if child is not None and child.poll() is not None:
            return None
        return pid if process["mark"] in _command_of(pid) else None

    def log_file(self, name: str) -> Path:
        return self.home / f"{name}.log"

    # -- starting -----------------------------------------------------------------------------------------

    def start(self, database: Database, say: Say) -> SchedulerState:
        """Bring up what is not up and register the deployments. Raises AegisError when either does not come up."""
        timezones = _timezones(database)
        with locked(self.settings, say):
            self.home.mkdir(mode=0o700, exist_ok=True)
            now = self.state()
            port = now.port if now.server is not None and now.port else self._free_port(now.port)
            server, worker = now.server, now.worker
            try:
                if server is None:
                    say("Starting the scheduler's server; this takes a moment …")
                    if worker is not None:
                        self._end(worker)
                        worker = None
                    command = ["server", "start", "--host", HOST, "--port", str(port)]
                    server = self._launch("server", command, port, f"--port {port}")
                self._wait(port, server)
                self._register(port, timezones)
                if worker is None:
                    name = f"aegis-{port}"
                    command = [
                        "worker",
                        "start",
                        "--pool",
                        POOL,
                        "--name",
                        name,
                        "--limit",
                        str(RUNS_AT_ONCE),
                    ]
                    worker = self._launch("worker", command, port, f"--name {name}")
            except BaseException:
                self._stop()
                raise
        return SchedulerState(port, server, worker)

    def _free_port(self, kept: int | None) -> int:
        for port in (kept, *PORTS):
            if port is not None and is_free(port):
                return port
        raise AegisError(
            f"No port from {PORTS[0]} on is free for the scheduler's page.", "Close some programs."
        )

    def environment(self, port: int) -> dict[str, str]:
        """For the scheduler's processes: a home of their own, nothing reported, nothing asked for."""
        home = self.home.resolve()
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "AEGIS_DATA_DIR": str(self.settings.data_dir),
            "AEGIS_RESOURCES": "aegis.scheduler:resources",
            "DO_NOT_TRACK": "1",
            "PREFECT_API_URL": f"http://{HOST}:{port}/api",
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_HOME": str(home),
            "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        }

    def _launch(self, name: str, command: list[str], port: int, mark: str) -> int:
        log = os.open(self.log_file(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.settings.root,
                env=self.environment(port),
                start_new_session=True,
            )
        finally:
            os.close(log)
        _children[process.pid] = process
        kept = {**read_json(self.state_file), "port": port, name: {"pid": process.pid, "mark": mark}}
        write_private(self.state_file, json.dumps(kept) + "\n")
        return process.pid

    def _wait(self, port: int, pid: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://{HOST}:{port}/api/health", timeout=5) as answer,
            ):
                if answer.status == 200:
                    return
            if self.state().server != pid:
                raise AegisError(
                    "The scheduler's server ended while it was starting.", f"See {self.log_file('server')}."
                )
            time.sleep(0.2)
        raise AegisError(
            f"The scheduler's server does not answer after {START_SECONDS:.0f} s.",
            f"See {self.log_file('server')}; is the machine busy?",
        )

    def _register(self, port: int, timezones: list[str]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "flows.deployments", *timezones],
            check=False,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            cwd=self.settings.root,
            env=self.environment(port),
        )
        if done.returncode != 0:
            self.log_file("deployments").write_text(done.stderr, encoding="utf-8")
            raise AegisError(
                "The scheduler's deployments could not be registered.", f"See {self.log_file('deployments')}."
            )

    # -- stopping -----------------------------------------------------------------------------------------

    def stop(self, say: Say) -> bool:
        """End both; a run under way ends with them and is repeated by the next. False when neither ran."""
        if not self.state_file.exists():
            return False
        with locked(self.settings, say):
            return self._stop()

    def _stop(self) -> bool:
        now = self.state()
        for pid in (now.worker, now.server):  # the worker first: it tells the server that it goes
            if pid is not None:
                self._end(pid)
        kept = read_json(self.state_file)
        write_private(self.state_file, json.dumps({"port": kept.get("port")}) + "\n")
        return now.worker is not None or now.server is not None

    def _end(self, pid: int) -> None:
        """Asked first, then forced, with every process of its session."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and _is_there(pid):
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        child = _children.pop(pid, None)
        if child is not None:
            child.wait(STOP_SECONDS)


def _timezones(database: Database) -> list[str]:
    """The tenants' time zones. Raises AegisError where nothing was deployed yet."""
    from aegis.tenants import list_tenants

    with database.connect("owner") as connection:
        row = connection.execute("select to_regclass('tenancy.tenants') is not null").fetchone()
        if row is None or not row[0]:
            raise AegisError(
                "The schema is not there yet.", "Run `aegis deploy`, then `aegis up --scheduler`."
            )
        return sorted({one.timezone for one in list_tenants(connection)})


def _is_there(pid: int) -> bool:
    child = _children.get(pid)
    return child.poll() is None if child is not None else bool(_command_of(pid))


def _command_of(pid: int) -> str:
    """The command line of a living process, empty where there is none."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        return ""
    shown = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True, timeout=10
    )
    return shown.stdout
