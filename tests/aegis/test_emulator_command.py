"""`aegis emulator`: what it prints is enough to connect an account, and an interrupt ends it cleanly."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def started(*arguments: str, warehouse: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aegis.cli.main", "emulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=warehouse.environment(),
    )


def said_until(process: subprocess.Popen[str], last: str) -> str:
    assert process.stderr is not None
    found = ""
    for line in process.stderr:
        found += line
        if last in line:
            return found
    raise AssertionError(found)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_it_prints_connects_an_account(warehouse: Any, number: signal.Signals) -> None:
    tenant = warehouse.add_tenant("Acme", "EUR", "Europe/Berlin")
    process = started("--as-of", "2026-11-19", "--fault", "slow(seconds=0.01)x1", warehouse=warehouse)
    try:
        said = said_until(process, "Ctrl-C")
        token = re.search(r"echo (\S+) ", said)
        address = re.search(r"--base-url (\S+) --token-stdin", said)
        assert token and address and "aegis sync --as-of 2026-11-19" in said

        connected = warehouse.run_cli(
            "account", "connect", "meta", "--tenant", "Acme", "--all", "--base-url", address[1],
            "--token-stdin", text_input=token[1] + "\n", check=True,
        )  # fmt: skip

        assert "Connected 4 of 4 accounts" in connected.stderr
        assert warehouse.rows(
            "select count(*) from tenancy.account_credentials where tenant_id = %s", (tenant,)
        ) == [(4,)]
    finally:
        process.send_signal(number)
        assert process.wait(20) == 0
    assert process.stderr is not None and "Traceback" not in process.stderr.read()


def test_it_lists_faults_and_refuses_unknown_ones(warehouse: Any) -> None:
    assert "meta/rate_limit" in warehouse.run_cli("emulator", "--faults", check=True).stdout
    refused = warehouse.run_cli("emulator", "--fault", "gremlins")
    assert refused.returncode == 2 and "gremlins" in refused.stderr and "aegis emulator" in refused.stderr
    late = warehouse.run_cli("emulator", "--as-of", "tomorrow-ish")
    assert late.returncode == 1 and "--as-of" in late.stderr
