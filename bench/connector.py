"""The Meta connector against a plain COPY of the same rows: JSON, mapping, dlt and COPY, client and server together.

The vendor's answers are recorded to memory first, from the emulator, and played back by a transport whose own time
is taken off; everything behind it is the connector as a sync drives it, windows and coverage included. The reference
is one psycopg COPY of the same rows as dicts, parsed beforehand, into the same table: writing their nested lists as
JSON text is part of it, and so are the table's log and index. Each measurement is a process of its own; the ratio is
COPY's CPU seconds over the connector's, the median of three alternating pairs.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.harness import Figure, Scratch

ADS = 2_000
PAGE = 500
SIZE, MILLION = 200_000, 1_000_000
GOALS = {200_000: 0.5, 1_000_000: 0.7}
MEMORY_GOAL = 0.35
PAIRS = 3
RECORDED_DAYS = 7
ACCOUNT = "238461750920317"
DAY = dt.timedelta(days=1)
LAST = dt.date(2026, 11, 19)
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
STAND_IN = "0000-00-00"  # the day in a recorded page


# -- what is played back ------------------------------------------------------------------------------------


def record(file: Path) -> None:
    """A week of 2,000 ads as pages of JSON lines: real rows of the emulator under ids of their own."""
    import orjson

    from dlt_pipelines.common.tokens import Secret
    from dlt_pipelines.meta import connector as meta
    from dlt_pipelines.meta import fields as f
    from emulator.server import running

    found: list[dict[str, Any]] = []
    with running(as_of=LAST) as server:
        client = meta.client(
            Secret(server.emulator.meta.tokens.issue("agency")), base_url=server.url("meta"), environ={}
        )
        for account in server.emulator.meta.accounts:
            for page in client.insights(account, LAST - 20 * DAY, LAST, "ad", f.INSIGHTS):
                found += page
    chance = random.Random(7)
    pages: list[bytes] = []
    for _ in range(RECORDED_DAYS):
        rows = []
        for ad in range(ADS):
            row = dict(chance.choice(found))
            row |= {
                "account_id": ACCOUNT,
                "ad_id": f"12023{ad:013d}",
                "adset_id": f"12022{ad // 5:013d}",
                "campaign_id": f"12021{ad // 20:013d}",
                "date_start": STAND_IN,
                "date_stop": STAND_IN,
                "spend": f"{chance.uniform(1, 90):.2f}",
                "impressions": str(chance.randrange(100, 9000)),
                "clicks": str(chance.randrange(1, 90)),
            }
            rows.append(row)
        pages += [orjson.dumps(rows[begin : begin + PAGE]) for begin in range(0, ADS, PAGE)]
    file.write_bytes(b"\n".join(pages))


class Playback:
    """Stands for requests.Session: answers as the vendor would, from memory. `seconds`: CPU it took itself."""

    def __init__(self, pages: list[bytes]) -> None:
        self._pages = pages
        self.seconds = 0.0

    def request(self, method: str, url: str, params: Any = None, **_: Any) -> SimpleNamespace:
        begun = time.thread_time()
        body = self._answer(urlsplit(url), params or {})
        self.seconds += time.thread_time() - begun
        return SimpleNamespace(status_code=200, headers={}, content=body)

    def _answer(self, url: Any, params: Any) -> bytes:
        params = {**{name: values[0] for name, values in parse_qs(url.query).items()}, **params}
        if url.path.endswith(f"/act_{ACCOUNT}"):
            return json.dumps(
                {"account_id": ACCOUNT, "name": "Bench", "currency": "USD", "timezone_name": "UTC"}
            ).encode()
        if not url.path.endswith("/insights") or params.get("level") != "ad":
            return b'{"data":[]}'
        asked = json.loads(params["time_range"])
        first, last = (dt.date.fromisoformat(asked[name]) for name in ("since", "until"))
        place = int(params.get("after", 0))
        each = ADS // PAGE
        day = first + DAY * (place // each)
        page = self._pages[(day.toordinal() % RECORDED_DAYS) * each + place % each]
        rows = page.replace(STAND_IN.encode(), day.isoformat().encode())
        more = place + 1 < ((last - first).days + 1) * each
        following = f',"next":"https://graph.facebook.com/{place + 1}"' if more else ""
        return b'{"data":%b,"paging":{"cursors":{"after":"%d"}%b}}' % (rows, place + 1, following.encode())


# -- the two that are compared, each in a process of its own --------------------------------------------------


def run_connector(url: str, pages: list[bytes], days: int) -> dict[str, float]:
    import dlt  # noqa: F401 - its import is no part of a load
    import pyarrow.parquet  # noqa: F401

    from dlt_pipelines.common.connections import Connections
    from dlt_pipelines.common.sync import Account, sync_account
    from dlt_pipelines.common.tokens import Secret
    from dlt_pipelines.common.windows import Window
    from dlt_pipelines.meta import connector as meta

    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    urls = json.loads(url)
    account = Account(urls["tenant"], "Bench", "meta", ACCOUNT, "USD", "UTC")
    playback = Playback(pages)

    def make(cancelled: Any) -> Any:
        client = meta.client(Secret("EAAbench"), base_url="http://127.0.0.1:9", environ={})
        client.http.session = playback  # type: ignore[assignment]
        return meta.MetaConnector(client)

    connections = Connections(urls["loader"], urls["transformer"], urls["owner"])
    before, cpu, wall = _memory(), _cpu(), time.perf_counter()
    result = sync_account(connections, make, account, period=Window(LAST - (days - 1) * DAY, LAST), now=NOW)
    seconds, cpu = time.perf_counter() - wall, _cpu() - cpu - playback.seconds
    if (result.state, result.rows, result.refused) != ("completed", days * ADS, 0):
        raise RuntimeError(
            f"{result.state}: {result.rows} rows, {result.refused} refused, {result.error} {result.notes}"
        )
    return {"cpu": cpu, "wall": seconds, "memory": _memory() - before}


def run_copy(url: str, pages: list[bytes], days: int) -> dict[str, float]:
    import orjson
    import psycopg

    from dlt_pipelines.meta.fields import INSIGHTS

    urls = json.loads(url)
    recorded = [[row for page in pages[n * 4 : n * 4 + 4] for row in orjson.loads(page)] for n in range(7)]
    names = [column.name for column in INSIGHTS.columns]
    plain = [column.field for column in INSIGHTS.columns if column.kind != "json"]
    nested = [column.field for column in INSIGHTS.columns if column.kind == "json"]
    order = [c.name for c in INSIGHTS.columns if c.kind != "json"] + [
        c.name for c in INSIGHTS.columns if c.kind == "json"
    ]
    assert sorted(order) == sorted(names)
    with psycopg.connect(urls["loader"]) as connection:
        stamped = (urls["tenant"], ACCOUNT, "bench", NOW)
        columns = ", ".join([*order, "tenant_id", "account_id", "load_id", "loaded_at"])
        cpu, wall = _cpu(), time.perf_counter()
        with connection.cursor().copy(f"copy raw_meta.insights ({columns}) from stdin".encode()) as copy:
            for number in range(days):
                day = (LAST - number * DAY).isoformat()
                for row in recorded[number % 7]:
                    row["date_start"] = day
                    copy.write_row(
                        [
                            *[row.get(name) for name in plain],
                            *[None if (v := row.get(name)) is None else orjson.dumps(v).decode() for name in nested],
                            *stamped,
                        ]
                    )  # fmt: skip
        seconds, cpu = time.perf_counter() - wall, _cpu() - cpu
        count = connection.execute(
            "select count(*) from raw_meta.insights where load_id = 'bench'"
        ).fetchone()
        if count != (days * ADS,):
            raise RuntimeError(f"{count} rows were copied.")
    return {"cpu": cpu, "wall": seconds}


def _cpu() -> float:
    return time.process_time()


def _memory() -> float:
    """The most this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


# -- the server's share -------------------------------------------------------------------------------------


def server_cpu(postmaster: int) -> float:
    """CPU seconds of a server so far: its processes that live, and those it has outlived."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # Behind the name: state ppid …; utime stime cutime cstime are fields 14 to 17 of the line.
        user, system, user_below, system_below = (int(value) for value in after_name[11:15])
        if int(entry.name) == postmaster:
            ticks += user + system + user_below + system_below
        elif int(after_name[1]) == postmaster:
            ticks += user + system
    return ticks / os.sysconf("SC_CLK_TCK")


# -- the measurement ----------------------------------------------------------------------------------------


def _run(what: str, urls: dict[str, str], file: Path, days: int, postmaster: int) -> dict[str, float]:
    before = server_cpu(postmaster)
    done = subprocess.run(
        [sys.executable, "-m", "bench.connector", what, str(file), str(days)],
        input=json.dumps(urls), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{what} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found["server"] = server_cpu(postmaster) - before
    return found


def million(place: Scratch) -> list[Figure]:
    """A million ad-days: half an hour on a machine that others use as well."""
    return measure(place, MILLION)


def measure(place: Scratch, size: int = SIZE) -> list[Figure]:
    import psycopg

    from aegis.database import Database
    from aegis.settings import Settings
    from bench.harness import ROOT

    place.aegis("up")
    place.aegis("deploy")
    name = f"Bench {size}"
    place.aegis("tenant", "add", name, "--currency", "USD", "--timezone", "UTC")
    data = Path(place.environment["AEGIS_DATA_DIR"])
    database = Database(Settings(root=ROOT, data_dir=data))
    connections = database.connections()
    assert database.server is not None
    postmaster = database.server.state().pid
    assert postmaster is not None
    with psycopg.connect(connections.owner) as connection:
        row = connection.execute(
            "select tenant_id::text from tenancy.tenants where name = %s", (name,)
        ).fetchone()
        assert row is not None
        tenant = row[0]
        connection.execute(
            "insert into tenancy.ad_accounts (tenant_id, platform, account_id, currency, timezone, source)"
            " values (%s, 'meta', %s, 'USD', 'UTC', 'api')",
            (tenant, ACCOUNT),
        )
    urls = {
        "tenant": tenant,
        "loader": connections.loader,
        "transformer": connections.transformer,
        "owner": connections.owner,
    }
    file = place.folder / "recorded.json"
    record(file)
    return _measure(urls, file, size, postmaster, database.url("admin"))


def _measure(urls: dict[str, str], file: Path, size: int, postmaster: int, admin: str) -> list[Figure]:
    days = size // ADS
    pairs = []
    for _ in range(PAIRS):
        _clear(admin)
        copied = _run("copy", urls, file, days, postmaster)
        _clear(admin)
        pulled = _run("connector", urls, file, days, postmaster)
        pairs.append((copied, pulled))
        total = [one["cpu"] + one["server"] for one in (copied, pulled)]
        print(
            f"  {size:,}: COPY {copied['cpu']:.1f} + {copied['server']:.1f} s, connector {pulled['cpu']:.1f} + "
            f"{pulled['server']:.1f} s, ratio {total[0] / total[1]:.2f}, memory {pulled['memory']:.2f} GB",
            flush=True,
        )
    _clear(admin)

    def median(of: Any) -> float:
        return statistics.median(of(copied, pulled) for copied, pulled in pairs)

    ratio = median(lambda c, p: (c["cpu"] + c["server"]) / (p["cpu"] + p["server"]))
    name = f"Meta connector, {size:,} ad-days"
    return [
        Figure(f"{name}: share of a COPY of the same rows, CPU", ratio, "", GOALS.get(size), at_least=True),
        Figure(f"{name}: CPU of client and server", median(lambda c, p: p["cpu"] + p["server"]), "s",
               note=f"COPY {median(lambda c, p: c['cpu'] + c['server']):.1f} s"),
        Figure(f"{name}: wall", median(lambda c, p: p["wall"]), "s",
               note=f"COPY {median(lambda c, p: c['wall']):.1f} s"),
        Figure(f"{name}: memory beyond the imports", median(lambda c, p: p["memory"]), "GB", MEMORY_GOAL),
    ]  # fmt: skip


def _clear(admin: str) -> None:
    """Every measurement begins with empty tables and a quiet server."""
    import psycopg

    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("truncate raw_meta.insights, ops.coverage, ops.sync_state")
        connection.execute("checkpoint")


def main() -> None:
    what, file, days = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    urls = sys.stdin.read()
    pages = file.read_bytes().split(b"\n")
    found = {"copy": run_copy, "connector": run_connector}[what](urls, pages, days)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
