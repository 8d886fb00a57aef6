"""The frame of the command: every failure is one sentence, exit codes mean something, starting is cheap."""

from __future__ import annotations

import ast
import errno
import importlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from aegis.cli import frame
from aegis.cli.main import MODULES, build
from aegis.settings import project_root
from dlt_pipelines.common.errors import AegisError

ROOT = project_root()


def aegis(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AEGIS_DATABASE_URL": "", "AEGIS_DEBUG": "", **environ}
    return subprocess.run(
        [sys.executable, "-m", "aegis.cli.main", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=ROOT,
    )


def fail_with(problem: BaseException) -> int:
    def run() -> None:
        raise problem

    return frame.guarded(run)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (AegisError("It is so.", "Do that."), ["Error: It is so.", "Do that."]),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), ["disk is full", "/x"]),
        (OSError(errno.EROFS, "Read-only file system", "/x"), ["/x cannot be written", "AEGIS_DATA_DIR"]),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), ["/x cannot be written"]),
        (RuntimeError("Could not determine home directory."), ["no home folder", "HOME"]),
        (psycopg.errors.DiskFull("could not extend file"), ["disk is full"]),
        (psycopg.errors.ReadOnlySqlTransaction("no"), ["only lets us read"]),
        (psycopg.errors.UndefinedTable("relation x does not exist"), ["aegis deploy"]),
        (psycopg.errors.InsufficientPrivilege("permission denied"), ["refused", "permission denied"]),
        (psycopg.OperationalError("server closed the connection unexpectedly"), ["connection", "broke"]),
        (ZeroDivisionError("division by zero"), ["unexpected", "ZeroDivisionError", "AEGIS_DEBUG=1"]),
    ],
)
def test_every_failure_is_a_sentence(
    problem: BaseException,
    said: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AEGIS_DEBUG", raising=False)
    assert fail_with(problem) == 1
    shown = capsys.readouterr()
    assert all(part in shown.err for part in said), shown.err
    assert "Traceback" not in shown.err and shown.out == ""


def test_the_cause_is_found_behind_a_library_error(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/x")
        except OSError as inner:
            raise ValueError("pipeline step failed") from inner
    except ValueError as outer:
        assert fail_with(outer) == 1
    assert "disk is full" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        fail_with(ZeroDivisionError())


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(KeyboardInterrupt()) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_exit_codes_pass_through() -> None:
    assert fail_with(SystemExit(3)) == 3
    assert fail_with(SystemExit(None)) == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_group_registers_itself(name: str) -> None:
    assert callable(importlib.import_module(f"aegis.cli.{name}").register)


def test_no_module_is_forgotten() -> None:
    files = {path.stem for path in (ROOT / "aegis" / "cli").glob("*.py")}
    assert files - {"__init__", "main", "frame"} == set(MODULES)


@pytest.mark.parametrize("name", ["main", "frame", *MODULES])
def test_module_tops_import_nothing_heavy(name: str) -> None:
    """`aegis --help` must stay under half a second: psycopg, dbt, dlt, pyarrow and rich belong into functions."""
    light = {"typer", "aegis", "aegis.settings", "dlt_pipelines.common.errors"}
    light |= {f"aegis.cli.{one}" for one in ("frame", *MODULES)}  # each of which is looked at here too
    tree = ast.parse((ROOT / "aegis" / "cli" / f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for imported in names:
            assert imported in light or imported.split(".")[0] in sys.stdlib_module_names, (
                f"{name}: {imported}"
            )


def test_every_command_says_what_it_does() -> None:
    import typer.main

    command = typer.main.get_command(build())
    stack = [("aegis", command)]
    while stack:
        path, one = stack.pop()
        assert (one.help or "").strip(), f"{path} has no help"
        stack += [(f"{path} {name}", sub) for name, sub in getattr(one, "commands", {}).items()]


def test_usage_errors_are_2_and_a_bare_call_helps() -> None:
    assert aegis("--version").stdout.startswith("aegis ")
    assert "Commands:" in aegis().stdout + aegis().stderr
    wrong = aegis("no-such-command")
    assert wrong.returncode == 2 and "No such command" in wrong.stderr
    assert aegis("up", "--no-such-option").returncode == 2


def test_commands_without_a_server_say_what_to_do(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    done = aegis("status", AEGIS_DATA_DIR=data)
    assert done.returncode == 1 and "aegis up" in done.stdout
    assert aegis("down", AEGIS_DATA_DIR=data).returncode == 0
    assert aegis("destroy", AEGIS_DATA_DIR=data).returncode == 0
    assert "aegis up" in aegis("doctor", AEGIS_DATA_DIR=data).stdout
    assert not Path(data).exists(), "looking makes nothing"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"AEGIS_DATABASE_URL": "mysql://u:secret@h/d"}, "postgresql://"),
        ({"AEGIS_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"}, "refused"),
        ({"AEGIS_PG_VERSION": "12"}, "18 and 16"),
        ({"AEGIS_DATA_DIR": "/proc/nowhere"}, "cannot be written"),
    ],
)
def test_wrong_settings_are_one_sentence(environ: dict[str, str], said: str) -> None:
    done = aegis("up", **environ)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr and "secret" not in done.stderr


def test_no_home_folder_is_no_obstacle(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    environment.update({"AEGIS_DATA_DIR": str(tmp_path / "d"), "AEGIS_DATABASE_URL": ""})
    done = subprocess.run(
        [sys.executable, "-m", "aegis.cli.main", "status"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr


def test_telemetry_is_off() -> None:
    program = "import aegis, os; print(*[os.environ[name] for name in aegis.TELEMETRY_OFF])"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    assert len(done.stdout.split()) >= 5 and set(done.stdout.split()) == {"1", "false"}
    listed = (ROOT / ".env.example").read_text()
    import aegis as package

    assert all(f"{name}={value}" in listed for name, value in package.TELEMETRY_OFF.items())
