"""One local server for every vendor's API: `http://127.0.0.1:PORT/<vendor>/…`, and `/_admin/…` for tests.

    with running(as_of=date(2026, 11, 19)) as server:
        server.url("meta")                                   # the vendor's base address
        server.emulator.faults.add("rate_limit", times=2)    # or POST /_admin/faults from another process

A vendor is an object with the methods of `Vendor`; it gets parsed calls and gives replies, this module does the
HTTP. Loopback only, and only for requests that name a loopback host: a web page can't reach it by a DNS trick.
"""

from __future__ import annotations

import asyncio
import email.parser
import email.policy
import email.utils
import socket
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
import uvicorn

from emulator.clock import Clock
from emulator.faults import FaultBook, Kind, parse_fault
from emulator.world import World

HOST = "127.0.0.1"
_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}
_SECRETS = {
    "access_token", "appsecret_proof", "batch", "client_secret", "code", "fb_exchange_token", "input_token",
    "refresh_token",
}  # fmt: skip
_LOG_LENGTH = 2000
_LONGEST_BODY = 4_000_000
_START_SECONDS = 20.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """One request to a vendor. `path` is what stands below the vendor's prefix, `base` the prefix's address;
    header names are lower case; `form` is the body's fields, form-encoded, multipart or a JSON object.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    base: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """Query and body together; the body wins."""
        return {**self.query, **self.form}


@dataclass
class Reply:
    """What a vendor answers. `label` names the kind of call, ids left out, for the counter; `delay` in seconds;
    with `cut` the connection breaks before the last byte. `inner` are labels and statuses of batched calls.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json; charset=UTF-8"
    label: str = ""
    delay: float = 0.0
    cut: bool = False
    now: float | None = None
    struck: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    inner: list[tuple[str, int]] = field(default_factory=list)


class Vendor(Protocol):
    """One vendor's protocol over the world."""

    @property
    def name(self) -> str:
        """The first part of the vendor's paths."""

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The faults it knows."""

    def handle(self, call: Call) -> Reply:
        """Answer a call; runs in a worker thread."""

    def admin(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        """Answer `/_admin/<vendor>/<parts…>`."""

    def reset(self) -> None:
        """Forget everything since the start."""


class CallLog:
    """Counts calls by vendor and kind, and keeps the last ones (never a secret)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begin at zero."""
        with self._lock:
            self._total = 0
            self._counts: dict[str, Counter[str]] = {}
            self._failed: dict[str, Counter[str]] = {}
            self._last: deque[dict[str, Any]] = deque(maxlen=_LOG_LENGTH)

    def add(self, vendor: str, call: Call, reply: Reply, seconds: float) -> None:
        """Count one call and what it batched."""
        with self._lock:
            self._total += 1
            for label, status in [(reply.label, reply.status), *reply.inner]:
                self._counts.setdefault(vendor, Counter())[label] += 1
                if status >= 400:
                    self._failed.setdefault(vendor, Counter())[label] += 1
            self._last.append(
                {
                    "number": self._total,
                    "vendor": vendor,
                    "method": call.method,
                    "path": call.path,
                    "label": reply.label,
                    "parameters": {
                        name: value for name, value in call.parameters.items() if name not in _SECRETS
                    },
                    "status": reply.status,
                    "struck": reply.struck,
                    "milliseconds": round(seconds * 1000, 1),
                    **reply.notes,
                }
            )

    def count(self, vendor: str, label: str | None = None) -> int:
        """Calls of one kind, or of all kinds."""
        with self._lock:
            counts = self._counts.get(vendor, Counter())
            return counts[label] if label is not None else sum(counts.values())

    def report(self, last: int = 100) -> dict[str, Any]:
        """Counts by vendor and kind and the newest calls, oldest first."""
        with self._lock:
            return {
                "total": self._total,
                "counts": {vendor: dict(sorted(counts.items())) for vendor, counts in self._counts.items()},
                "failed": {vendor: dict(sorted(counts.items())) for vendor, counts in self._failed.items()},
                "last": list(self._last)[-last:] if last > 0 else [],
            }


class Emulator:
    """World, clock, faults and vendors; an ASGI application.

    `as_of` is the last day whose figures are known; without it the emulator lives now and its clock ticks.
    `faults` are texts as `parse_fault` reads them.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        as_of: date | None = None,
        tick: bool | None = None,
        incidents: bool = True,
        faults: Iterable[str] = (),
    ) -> None:
        # Here, not above: the vendors' modules import this one for `Call` and `Reply`.
        from emulator.meta import Meta

        self.world = World(seed, incidents=incidents)
        self.clock = Clock(as_of, tick=as_of is None if tick is None else tick)
        self.faults = FaultBook()
        self.calls = CallLog()
        self.meta = Meta(self.world, self.clock, self.faults)
        self.vendors: dict[str, Vendor] = {self.meta.name: self.meta}
        for vendor in self.vendors.values():
            self.faults.declare(vendor.name, vendor.kinds)
        self._began = self.clock.now()
        self._first_faults = tuple(faults)
        self._set_first_faults()

    def _set_first_faults(self) -> None:
        for text in self._first_faults:
            self.faults.add(**parse_fault(text))

    def reset(self) -> None:
        """Back to the state after the start: clock, faults, call counts and what the vendors remember."""
        self.faults.clear()
        self.calls.clear()
        self.clock.set_now(self._began)
        for vendor in self.vendors.values():
            vendor.reset()
        self._set_first_faults()

    # HTTP

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            raise RuntimeError(f"The emulator speaks HTTP only, not {scope['type']}.")
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        body = await _body(receive)
        if body is None:
            await _send_json(send, 413, {"error": "The request is too large for the emulator."})
            return
        if urlsplit(f"//{host}").hostname not in _LOOPBACK_NAMES:
            await _send_json(send, 421, {"error": "The emulator answers to loopback names only."})
            return
        first, _, below = scope["path"].lstrip("/").partition("/")
        path = f"/{below}"
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if first == "_admin":
            from emulator.admin import answer

            status, result = await asyncio.to_thread(answer, self, scope["method"], path, query, body)
            await _send_json(send, status, result)
            return
        vendor = self.vendors.get(first)
        if vendor is None:
            offers = ", ".join(f"/{name}" for name in sorted(self.vendors))
            await _send_json(
                send, 404, {"error": f"No vendor at {scope['path']}. There is: {offers} and /_admin."}
            )
            return
        call = Call(
            method=scope["method"],
            path=unquote(path),
            query=query,
            form=form_of(headers.get("content-type", ""), body),
            headers=headers,
            base=f"http://{host}/{first}",
        )
        began = time.perf_counter()
        reply = await asyncio.to_thread(self._answer, vendor, call)
        if reply.delay > 0:
            await asyncio.sleep(reply.delay)
        self.calls.add(vendor.name, call, reply, time.perf_counter() - began)
        await _send(send, reply, self.clock)

    def _answer(self, vendor: Vendor, call: Call) -> Reply:
        try:
            return vendor.handle(call)
        except Exception:  # noqa: BLE001 - a bug of the emulator must not look like a vendor's answer
            traceback.print_exc(file=sys.stderr)
            body = orjson.dumps({"emulator_bug": traceback.format_exc(limit=-1)})
            return Reply(status=599, body=body, label="emulator bug")


async def _body(receive: Receive) -> bytes | None:
    chunks, length = [], 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        length += len(chunk)
        if length > _LONGEST_BODY:
            return None
        chunks.append(chunk)
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(chunks)


def form_of(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a request body; values of a JSON object that are no text are given as JSON."""
    if not body:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return {}
        if not isinstance(found, dict):
            return {}
        return {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in found.items()
        }
    if kind == "multipart/form-data":
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        fields = {}
        for part in message.iter_parts() if message.is_multipart() else ():
            name, content = (
                part.get_param("name", header="content-disposition"),
                part.get_payload(decode=True),
            )
            if isinstance(name, str) and isinstance(content, bytes):
                fields[name] = content.decode("utf-8", "replace")
        return fields
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


async def _send_json(send: Send, status: int, content: Any) -> None:
    body = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def _send(send: Send, reply: Reply, clock: Clock) -> None:
    moment = clock.now().timestamp() if reply.now is None else reply.now
    headers = {
        "date": email.utils.formatdate(moment, usegmt=True),
        "content-type": reply.media_type,
        "content-length": str(len(reply.body)),
        **reply.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    if reply.cut:
        # Returning before the announced length is reached makes the server close the connection.
        await send(
            {"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True}
        )
        return
    await send({"type": "http.response.body", "body": reply.body})


# a running server


@dataclass
class Server:
    """A server in a thread of this process."""

    emulator: Emulator
    address: str
    _server: uvicorn.Server
    _thread: threading.Thread

    def url(self, vendor: str) -> str:
        """The base address of a vendor's API."""
        return f"{self.address}/{vendor}"

    def stop(self) -> None:
        """Stop answering; waits a little for calls in progress."""
        self._server.should_exit = True
        self._thread.join(timeout=10)

    def wait(self) -> None:
        """Return when the server has stopped."""
        while self._thread.is_alive():
            self._thread.join(timeout=1)


def start(emulator: Emulator, port: int = 0) -> Server:
    """Serve in a thread, on a free port unless one is given. Raises OSError if the port is taken."""
    # With the protocol named, asyncio switches Nagle's algorithm off: 40 ms less for every answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    config = uvicorn.Config(
        emulator,
        lifespan="off",
        log_level="critical",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="emulator", daemon=True)
    thread.start()
    waited = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > waited:
            raise RuntimeError(f"The emulator did not start on {HOST}:{listener.getsockname()[1]}.")
        time.sleep(0.005)
    return Server(emulator, f"http://{HOST}:{listener.getsockname()[1]}", server, thread)


@contextmanager
def running(port: int = 0, **options: Any) -> Iterator[Server]:
    """A server for the length of a `with`; options are those of `Emulator`."""
    server = start(Emulator(**options), port)
    try:
        yield server
    finally:
        server.stop()
