"""Calls against a server of this test: retries, waits, limits side by side, and where the token goes."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlt_pipelines.common.errors import CancelledError, QuotaError, TransientError
from dlt_pipelines.common.http import Answer, Http, Patience, account_slot
from dlt_pipelines.common.tokens import Secret

TOKEN = "a-token-that-stays-here"


class Server(http.server.ThreadingHTTPServer):
    """Answers with what `reply` gives: status, headers, body."""

    reply: Callable[[http.server.BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]
    seen: list[dict[str, str]]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.seen.append(
            {"path": self.path, **{name.lower(): value for name, value in self.headers.items()}}
        )
        status, headers, body = server.reply(self)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server(("127.0.0.1", 0), Handler)
    one.seen = []
    one.reply = lambda handler: (200, {}, b"{}")
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()


def client(server: Server, slept: list[float] | None = None, **more: Any) -> Http:
    options = {"sleep": (slept if slept is not None else []).append, "jitter": lambda: 1.0, **more}
    return Http(f"http://127.0.0.1:{server.server_port}", Secret(TOKEN), **options)


def judge(answer: Answer) -> Any:
    if not answer.is_json or answer.status >= 500:
        raise TransientError("It stumbled.")
    if answer.status == 429:
        raise QuotaError("Too many calls.", retry_after=40)
    return answer.data


def test_backoff_doubles_up_to_its_cap_and_ends(server: Server) -> None:
    server.reply = lambda handler: (503, {}, b"<html>")
    slept: list[float] = []
    with pytest.raises(TransientError):
        client(server, slept, patience=Patience(tries=6, base=1, cap=10)).call("GET", "/a", judge)
    assert len(server.seen) == 6
    assert sum(slept) == pytest.approx(2 + 4 + 8 + 10 + 10)


def test_an_error_may_allow_fewer_tries(server: Server) -> None:
    def strict(answer: Answer) -> Any:
        raise TransientError("It stumbled.", tries=2)

    with pytest.raises(TransientError):
        client(server).call("GET", "/a", strict)
    assert len(server.seen) == 2


def test_a_quota_is_waited_for_and_is_no_try(server: Server) -> None:
    replies = [429, 429, 200]
    server.reply = lambda handler: (replies.pop(0), {}, b'{"a": 1}')
    slept: list[float] = []
    notices: list[str] = []
    one = client(server, slept, patience=Patience(tries=1), notice=notices.append)
    assert one.call("GET", "/a", judge) == {"a": 1}
    assert sum(slept) == pytest.approx(80)
    assert notices == ["The platform is waited for: 40 s."] * 2
    assert (one.usage.calls, one.usage.failed) == (3, 2)


def test_patience_ends(server: Server) -> None:
    server.reply = lambda handler: (429, {}, b"{}")
    with pytest.raises(QuotaError) as caught:
        client(server, patience=Patience(longest_wait=100)).call("GET", "/a", judge)
    assert caught.value.retry_after == 40 and len(server.seen) == 3


def test_a_wait_ends_when_somebody_cancels(server: Server) -> None:
    server.reply = lambda handler: (429, {}, b"{}")
    slept: list[float] = []
    with pytest.raises(CancelledError):
        client(server, slept, cancelled=lambda: len(slept) > 3).call("GET", "/a", judge)
    assert sum(slept) < 5


def test_the_token_is_in_the_header_only_and_a_redirect_gets_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.reply = lambda handler: (302, {"Location": f"http://localhost:{server.server_port}/b"}, b"{}")
    one = client(server)
    assert one.call("GET", "/a", lambda answer: answer.status) == 302
    assert [(call["path"], call["authorization"]) for call in server.seen] == [("/a", f"Bearer {TOKEN}")]
    assert TOKEN not in repr(one)


def test_nobody_there_is_a_sentence_without_the_address(server: Server) -> None:
    one = Http("http://127.0.0.1:9", Secret(TOKEN), Patience(tries=1))
    with pytest.raises(TransientError) as caught:
        one.call("GET", "/a", judge, params={"proof": "hidden"})
    assert str(caught.value).startswith("GET /a failed: the connection could not be made")
    assert "hidden" not in str(caught.value) and caught.value.__cause__ is None


def test_an_answer_cut_short_is_transient(server: Server) -> None:
    server.reply = lambda handler: (200, {"Content-Length": "50"}, b'{"a": 1}')
    with pytest.raises(TransientError):
        client(server, patience=Patience(tries=2, timeout=(2, 0.3))).call("GET", "/a", judge)
    assert len(server.seen) == 2


def test_at_most_five_calls_at_a_time_for_an_account(server: Server) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def slow(handler: Any) -> tuple[int, dict[str, str], bytes]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        return 200, {}, b"{}"

    server.reply = slow
    one = client(server)
    threads = [
        threading.Thread(target=one.call, args=("GET", "/a", judge), kwargs={"account": "the account"})
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert most == 5
    with account_slot("another account"):
        pass
