"""The frame: admin endpoint, start options, the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.clock import Clock
from emulator.faults import FaultBook, FaultError, Kind, parse_fault
from emulator.server import Server, form_of, running

ROOT = Path(__file__).resolve().parents[2]
AS_OF = date(2026, 11, 19)


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    with running(as_of=AS_OF) as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.emulator.reset()
    return running_server


def admin(server: Server, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = requests.request(method, f"{server.address}/_admin{path}", json=body, timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json()


def token(server: Server) -> dict[str, str]:
    issued = admin(server, "POST", "/meta/tokens", {"user": "agency", "kind": "long"}, 201)
    return {"Authorization": f"Bearer {issued['access_token']}"}


def test_overview(server: Server) -> None:
    found = admin(server, "GET", "")
    assert found["vendors"] == {"meta": "/meta"} and found["clock"]["as_of"] == "2026-11-19"
    accounts = admin(server, "GET", "/meta/accounts")
    assert (
        len(accounts["accounts"]) == 4
        and accounts["app_id"]
        and {user["key"] for user in accounts["users"]} >= {"agency"}
    )


def test_clock(server: Server) -> None:
    assert admin(server, "PUT", "/clock", {"as_of": "2026-10-01"})["as_of"] == "2026-10-01"
    assert (
        admin(server, "PUT", "/clock", {"advance_days": 2, "advance_seconds": 3600})["now"]
        == "2026-10-04T15:00:00+00:00"
    )
    assert (
        admin(server, "PUT", "/clock", {"now": "2026-01-01T03:00:00+01:00"})["now"]
        == "2026-01-01T02:00:00+00:00"
    )
    assert admin(server, "PUT", "/clock", {"tick": True})["tick"] is True
    assert "shoe" in admin(server, "PUT", "/clock", {"shoe": 1}, 400)["error"]
    assert admin(server, "PUT", "/clock", {"as_of": "soon"}, 400)["error"]
    assert admin(server, "POST", "/reset")["as_of"] == "2026-11-19"


def test_faults_by_path_and_number_of_calls(server: Server) -> None:
    headers = token(server)
    body = {"kind": "server_error", "path": "*/me/adaccounts", "times": 2, "after": 1, "status": 502}
    number = admin(server, "POST", "/faults", body, 201)["id"]

    def call(path: str) -> int:
        return requests.get(f"{server.url('meta')}/v26.0{path}", headers=headers, timeout=10).status_code

    assert [call("/me/adaccounts") for _ in range(2)] + [call("/me")] == [200, 502, 200]
    (fault,) = admin(server, "GET", "/faults")["faults"]
    assert (fault["id"], fault["times"], fault["struck"], fault["after"]) == (number, 1, 1, 0)
    admin(server, "DELETE", f"/faults/{number}")
    assert call("/me/adaccounts") == 200
    admin(server, "DELETE", f"/faults/{number}", status=404)
    admin(server, "POST", "/faults", {"kind": "slow", "times": None}, 201)
    assert admin(server, "DELETE", "/faults") == {"faults": []}
    kinds = admin(server, "GET", "/faults/kinds")["meta"]
    assert kinds["slow"]["options"] == {"seconds": 3.0} and len(kinds) > 30


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "earthquake"},
        {"kind": "slow", "magnitude": 8},
        {"kind": "slow", "times": 0},
        {"kind": "slow", "vendor": "nobody"},
        {},
    ],
)
def test_faults_that_cannot_be(server: Server, body: dict[str, Any]) -> None:
    assert admin(server, "POST", "/faults", body, 400)["error"]


def test_call_counter_has_no_secrets(server: Server) -> None:
    headers = token(server)
    text = headers["Authorization"].split()[1]
    for _ in range(3):
        requests.get(f"{server.url('meta')}/v26.0/me?access_token={text}&fields=id", timeout=10)
    requests.get(f"{server.url('meta')}/v26.0/nothing", headers=headers, timeout=10)
    found = requests.get(f"{server.address}/_admin/calls", timeout=10)
    assert text not in found.text
    assert found.json()["counts"] == {"meta": {"GET me": 3, "GET object": 1}}
    assert found.json()["failed"] == {"meta": {"GET object": 1}}
    assert found.json()["last"][0]["parameters"] == {"fields": "id"}
    assert admin(server, "DELETE", "/calls")["total"] == 0


def test_settings_tokens_and_entities(server: Server) -> None:
    headers = token(server)
    assert admin(server, "PATCH", "/meta/settings", {"require_proof": True})["require_proof"] is True
    url = f"{server.url('meta')}/v26.0/me/adaccounts?fields=account_status"
    assert requests.get(url, headers=headers, timeout=10).json()["error"]["code"] == 100
    admin(
        server,
        "PATCH",
        "/meta/settings",
        {"require_proof": False, "quota": {"calls": 9}, "job_script": [["Job Completed", 100]]},
    )
    number = requests.get(url, headers=headers, timeout=10).json()["data"][0]["id"]
    admin(server, "PUT", f"/meta/entities/{number}", {"account_status": 9})
    assert requests.get(url, headers=headers, timeout=10).json()["data"][0]["account_status"] == 9
    admin(server, "DELETE", f"/meta/entities/{number}")
    admin(
        server, "POST", "/meta/tokens/revoke", {"token": headers["Authorization"].split()[1], "subcode": 458}
    )
    assert requests.get(url, headers=headers, timeout=10).json()["error"]["error_subcode"] == 458
    admin(server, "POST", "/meta/tokens", {"kind": "eternal"}, 400)
    admin(server, "PATCH", "/meta/settings", {"shoe_size": 1}, 400)
    admin(server, "GET", "/meta/nowhere", status=404)
    admin(server, "GET", "/nowhere", status=404)


def test_loopback_names_only(server: Server) -> None:
    answer = requests.get(f"{server.address}/_admin", headers={"Host": "evil.example"}, timeout=10)
    assert answer.status_code == 421
    assert requests.get(f"{server.address}/nobody/v1", timeout=10).status_code == 404
    assert (
        requests.post(f"{server.address}/_admin/faults", data=b"x" * 4_000_001, timeout=10).status_code == 413
    )
    assert requests.post(f"{server.address}/_admin/faults", data=b"[]", timeout=10).status_code == 400


def test_a_slow_answer_does_not_hold_up_others(server: Server) -> None:
    headers = token(server)
    server.emulator.faults.add("slow", seconds=0.9, path="*/adaccounts")
    slow = threading.Thread(
        target=requests.get,
        args=(f"{server.url('meta')}/v26.0/me/adaccounts",),
        kwargs={"headers": headers, "timeout": 10},
    )
    slow.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert requests.get(f"{server.url('meta')}/v26.0/me", headers=headers, timeout=10).status_code == 200
    assert time.monotonic() - began < 0.6 and slow.is_alive()
    slow.join()


def test_fault_texts() -> None:
    assert parse_fault("rate_limitx3") == {"kind": "rate_limit", "times": 3}
    assert parse_fault("meta/slow(seconds=0.5)xall@*/insights") == {
        "vendor": "meta", "kind": "slow", "times": None, "path": "*/insights", "seconds": 0.5,
    }  # fmt: skip
    assert parse_fault("error(name=transient)")["name"] == "transient"
    for text in ("", "Slow", "slow(seconds)", "slow x 3"):
        with pytest.raises(FaultError):
            parse_fault(text)


def test_a_fault_that_did_not_strike_is_not_used_up() -> None:
    book = FaultBook()
    book.declare("meta", {"slow": Kind("waits")})
    fault = book.add("slow", path="*/insights", after=1)
    assert list(book.find("meta", "GET", "/v26.0/act_1/ads", ["slow"])) == []
    assert list(book.find("meta", "GET", "/v26.0/act_1/insights", ["slow"])) == [fault]
    assert [book.strike(fault) for _ in range(3)] == [False, True, False]
    assert book.listed() == []


def test_clock_ticks_only_when_told() -> None:
    clock = Clock(AS_OF)
    before, elapsed = clock.now(), clock.elapsed()
    time.sleep(0.02)
    assert clock.now() == before == datetime(2026, 11, 20, 14, tzinfo=UTC) and clock.elapsed() > elapsed
    clock.set_tick(True)
    time.sleep(0.02)
    assert before < clock.now() < before + timedelta(seconds=5)
    elapsed = clock.elapsed()
    clock.advance(timedelta(minutes=5))
    assert clock.elapsed() - elapsed >= 300


def test_bodies() -> None:
    assert form_of("application/x-www-form-urlencoded", b"a=1&b=%7B%7D") == {"a": "1", "b": "{}"}
    assert form_of("application/json", b'{"a":[1],"b":"x"}') == {"a": "[1]", "b": "x"}
    assert form_of("application/json", b"[1") == form_of("application/json", b"[1]") == {}


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "emulator", *arguments], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_the_command() -> None:
    process = start("--port", "0", "--as-of", "2026-11-19", "--fault", "html@*/me")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        issued = requests.post(f"{address}/_admin/meta/tokens", json={}, timeout=20).json()["access_token"]
        answer = requests.get(f"{address}/meta/v26.0/me", params={"access_token": issued}, timeout=20)
        assert answer.text.startswith("<!DOCTYPE")
        port = address.rpartition(":")[2]
        second = start("--port", port)
        _, error = second.communicate(timeout=60)
        assert (
            second.returncode == 1
            and f"can't listen on 127.0.0.1:{port}" in error
            and "Traceback" not in error
        )
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 0 and error == ""


def test_the_command_refuses_nonsense() -> None:
    process = start("--fault", "earthquake")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2 and "earthquake" in error and "Traceback" not in error
    process = start("--faults")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "meta/rate_limit(limit=buc, wait=60, status=None)" in out
