"""The commands as a person runs them: connect by token and by consent, sync, accounts, cancel, rotate-key."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import pytest
import requests

from dlt_pipelines.common import tokens
from dlt_pipelines.common.credentials import read

ACCOUNT, OTHER = "238461750920317", "238490113377405"
APP = {"AEGIS_META_APP_ID": "200000000000001", "AEGIS_META_APP_SECRET": "emulator-app-secret"}


@pytest.fixture
def base(warehouse: Any, rig: Any) -> list[str]:
    warehouse.add_tenant("Acme", "EUR", "Europe/Berlin")
    return ["--tenant", "Acme", "--base-url", rig.server.url("meta")]


def written(warehouse: Any, *outputs: subprocess.CompletedProcess[str]) -> str:
    """Everything the commands said and left in the data folder, the key aside."""
    said = "".join(one.stdout + one.stderr for one in outputs)
    for folder, _, names in os.walk(warehouse.settings.data_dir):
        for name in names:
            if name != "key":
                with open(os.path.join(folder, name), "rb") as file:
                    said += file.read().decode("latin-1")
    return said


def test_a_token_connects_accounts_and_a_sync_reads_them(warehouse: Any, rig: Any, base: list[str]) -> None:
    text = rig.token.reveal()
    listed = warehouse.run_cli(
        "account", "connect", "meta", *base, "--token-stdin", text_input=text + "\n", check=True
    )
    assert ACCOUNT in listed.stdout and "Nothing was connected" in listed.stderr
    assert warehouse.rows("select count(*) from tenancy.credentials") == [(0,)]

    connected = warehouse.run_cli(
        "account", "connect", "meta", *base, "--token-stdin", "--account", f"act_{ACCOUNT}",
        text_input=text, check=True, **APP,
    )  # fmt: skip
    assert "Connected 1 of 4" in connected.stderr
    assert warehouse.rows(
        "select account_id, currency, timezone, source, status from tenancy.ad_accounts"
    ) == [(ACCOUNT, "CAD", "America/Toronto", "api", "active")]
    assert warehouse.rows("select kind, status, expires_at from tenancy.credentials") == [
        ("system", "active", None)
    ]

    period = ["--from", "2026-11-18", "--to", "2026-11-19", "--as-of", "2026-11-19"]
    synced = warehouse.run_cli("sync", "--tenant", "Acme", *period, check=True)
    assert "2 of 2" in synced.stdout and "completed" in synced.stdout
    assert "2 of 2 days" in synced.stderr
    spend = sum(row.spend for row in rig.truth() if row.day.day in (18, 19))
    assert warehouse.rows("select sum(spend) from raw_meta.insights") == [(spend,)]

    shown = warehouse.run_cli("accounts", check=True)
    for part in ("Acme", ACCOUNT, "active", "2026-11-19", "2 of 2 days", "good", "completed"):
        assert part in shown.stdout
    nothing = warehouse.run_cli("sync", "cancel", check=True)
    assert "No sync is under way" in nothing.stdout

    rig.emulator.meta.tokens.revoke(text)
    failed = warehouse.run_cli("backfill", "--account", ACCOUNT, *period)
    assert failed.returncode == 1
    assert "190/460" in failed.stdout and "1 of 1 accounts were not brought up to date" in failed.stderr
    assert "account connect" in failed.stderr
    assert "refused" in warehouse.run_cli("accounts", check=True).stdout

    said = written(warehouse, listed, connected, synced, shown, failed)
    assert text not in said and APP["AEGIS_META_APP_SECRET"] not in said


def test_a_consent_in_the_browser(warehouse: Any, rig: Any, base: list[str]) -> None:
    command = [
        sys.executable, "-m", "aegis.cli.main", "account", "connect", "meta", *base, "--all", "--port", "0",
        "--wait", "30",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        env=warehouse.environment(**APP),
    ) as process:  # fmt: skip
        guard = threading.Timer(60, process.kill)
        guard.start()
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert "/dialog/oauth?" in address and "scope=ads_read" in address and "state=" in address
        assert "secret" not in address
        answered = requests.get(f"{address}&answer=allow&user=home", timeout=20)
        assert answered.status_code == 200 and "close this page" in answered.text
        out, err = process.communicate(timeout=40)
        guard.cancel()
    assert process.returncode == 0, err
    assert "ads_read: read campaigns" in err
    assert OTHER in out and "Connected 1 of 1" in err
    kind, days = warehouse.rows(
        "select kind, expires_at - now() > interval '59 days' from tenancy.credentials"
    )[0]
    assert (kind, days) == ("user", True)
    assert "code=" not in out + err


def test_a_consent_that_is_declined(warehouse: Any, rig: Any, base: list[str]) -> None:
    from aegis.connect import Callback
    from dlt_pipelines.common.errors import AuthError

    with Callback(0, "the state") as callback:
        said: list[str] = []

        def wait() -> None:
            try:
                callback.wait(20)
            except AuthError as problem:
                said.append(problem.message)

        thread = threading.Thread(target=wait)
        thread.start()
        foreign = requests.get(callback.redirect, params={"code": "x", "state": "another"}, timeout=10)
        requests.get(callback.redirect, params={"error": "access_denied", "state": "the state"}, timeout=10)
        thread.join(timeout=20)
    assert foreign.status_code == 404
    assert said == ["The consent was not given: access_denied."]


def test_a_pasted_code_and_a_used_one(warehouse: Any, rig: Any, base: list[str]) -> None:
    redirect = "http://127.0.0.1:8765/aegis/consent"
    code = rig.emulator.meta.tokens.code("home", ["ads_read"], redirect)
    pasted = ["account", "connect", "meta", *base, "--all", "--code", f"{redirect}?code={code}&state=x"]
    assert warehouse.run_cli(*pasted, **APP).returncode == 0
    again = warehouse.run_cli(*pasted, **APP)
    assert again.returncode == 1 and "has been used" in again.stderr
    assert code not in again.stderr + again.stdout


@pytest.mark.parametrize(
    ("options", "user", "said"),
    [
        ({"expires_in": -10}, "agency", "expired"),
        ({"scopes": ["read_insights"]}, "agency", "lacks ads_read"),
        ({"accounts": []}, "agency", "no ad account"),
        (None, "", "holds no token"),
    ],
)
def test_a_token_that_is_no_use(
    warehouse: Any, rig: Any, base: list[str], options: dict[str, Any] | None, user: str, said: str
) -> None:
    text = rig.emulator.meta.tokens.issue(user, **options) if options is not None else "\n"
    done = warehouse.run_cli(
        "account", "connect", "meta", *base, "--token-stdin", "--all", text_input=text, **APP
    )
    assert done.returncode == 1, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert text.strip() == "" or text not in done.stderr
    assert warehouse.rows("select count(*) from tenancy.credentials") == [(0,)]


def test_without_a_connection_the_next_step_is_named(warehouse: Any) -> None:
    done = warehouse.run_cli("sync")
    assert done.returncode == 1 and "aegis account connect" in done.stderr
    assert "No ad account is connected" in warehouse.run_cli("accounts", check=True).stdout
    other = warehouse.run_cli("account", "connect", "manual", "--tenant", "x")
    assert other.returncode == 1 and "has no API" in other.stderr


def test_the_key_is_rotated_without_losing_a_token(warehouse: Any, rig: Any, base: list[str]) -> None:
    text = rig.token.reveal()
    warehouse.run_cli(
        "account", "connect", "meta", *base, "--token-stdin", "--all", text_input=text, check=True
    )
    path = warehouse.settings.data_dir / "key"
    before, stored = path.read_text(), warehouse.rows("select token, key_id from tenancy.credentials")
    assert path.stat().st_mode & 0o777 == 0o600
    warehouse.run_cli("account", "rotate-key", check=True)
    after, fresh = path.read_text(), warehouse.rows("select token, key_id from tenancy.credentials")
    assert before != after and stored != fresh and len(after.split()) == 1
    tenant = warehouse.rows("select tenant_id::text from tenancy.tenants where name = 'Acme'")[0][0]
    with warehouse.connect("owner") as connection:
        found = read(connection, tokens.load(path, {}), tenant, "meta", ACCOUNT)
    assert found is not None and found.token.reveal() == text
    assert text not in repr(found)


def test_no_reader_reaches_credentials(warehouse: Any, rig: Any, base: list[str]) -> None:
    rows = warehouse.rows(
        """
        select r.rolname from pg_roles as r
        where r.rolname in ('aegis_app', 'aegis_reader', 'aegis_buyer', 'aegis_analyst', 'aegis_loader', 'aegis_transformer')
            and (
                has_table_privilege(r.oid, 'tenancy.credentials', 'select')
                or has_any_column_privilege(r.oid, 'tenancy.credentials', 'select')
            )
        """
    )
    assert rows == []
