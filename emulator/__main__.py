"""`python -m emulator`: serve until interrupted.

Prints the address on the first line, then the vendors' addresses.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import date

from emulator.faults import FaultError
from emulator.server import Emulator, Server, start

Ready = Callable[[Server], None]


def main(
    arguments: Sequence[str] | None = None, *, prog: str = "python -m emulator", ready: Ready | None = None
) -> int:
    """Exit code 0 after an interrupt, 1 if it can't start, 2 for a usage error.

    `ready` is called with the server once it answers.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Local servers that speak the vendors' APIs over a synthetic world.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=7, help="seed of the world")
    parser.add_argument(
        "--as-of",
        type=date.fromisoformat,
        metavar="DAY",
        help="last day whose figures are known; the clock then stands still. Default: yesterday, ticking",
    )
    parser.add_argument("--tick", action="store_true", help="let the clock run from --as-of on")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="[vendor/]kind[(option=value,…)][xTIMES|xall][@path], such as rate_limitx3@*/insights; repeatable",
    )
    parser.add_argument("--faults", action="store_true", help="list the kinds of faults and leave")
    asked = parser.parse_args(arguments)
    try:
        emulator = Emulator(
            seed=asked.seed, as_of=asked.as_of, tick=asked.tick or asked.as_of is None, faults=asked.fault
        )
    except FaultError as error:
        parser.error(str(error))
    if asked.faults:
        for vendor, kinds in emulator.faults.kinds().items():
            for name, kind in kinds.items():
                options = ", ".join(f"{key}={value}" for key, value in kind["options"].items())
                print(f"{vendor}/{name}{f'({options})' if options else ''}: {kind['does']}")
        return 0
    try:
        server = start(emulator, asked.port)
    except OSError as error:
        print(f"Error: can't listen on 127.0.0.1:{asked.port} ({error.strerror}).", file=sys.stderr)
        print("Take another port, or 0 for a free one.", file=sys.stderr)
        return 1
    print(server.address)
    for vendor in emulator.vendors:
        print(f"  {vendor}: {server.url(vendor)}")
    print(f"  figures known up to {emulator.clock.as_of}; admin: {server.address}/_admin", flush=True)
    if ready is not None:
        ready(server)
    # A shell starts background jobs with SIGINT ignored; asked to end, the server ends either way.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        server.wait()
    except KeyboardInterrupt:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
