"""The command `emulator`: the vendors' APIs on this machine, to try Aegis without an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from aegis.cli.frame import note

if TYPE_CHECKING:
    from emulator.server import Server


def register(app: typer.Typer) -> None:
    app.command("emulator")(emulator)


def emulator(
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="DAY", help="Last day whose figures are known; the clock then stands. Yesterday, ticking."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic world.")] = 7,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help="Such as rate_limitx3@*/insights; repeatable. See --faults."),
    ] = None,
    tick: Annotated[bool, typer.Option("--tick", help="Let the clock run from --as-of on.")] = False,
    faults: Annotated[bool, typer.Option("--faults", help="List the kinds of faults and leave.")] = False,
) -> None:
    """Serve the vendors' APIs over the synthetic world, until interrupted."""
    from aegis.cli.decisions import parse_day
    from emulator.__main__ import main

    arguments = ["--port", str(port), "--seed", str(seed)]
    if as_of is not None:
        arguments += ["--as-of", str(parse_day(as_of, "--as-of"))]
    for one in fault or []:
        arguments += ["--fault", one]
    arguments += [name for name, wanted in (("--tick", tick), ("--faults", faults)) if wanted]
    raise typer.Exit(main(arguments, prog="aegis emulator", ready=_tell))


def _tell(server: Server) -> None:
    """How to connect, on stderr. The token opens nothing but this world."""
    note("Connect the accounts of its world, in another terminal:")
    note(f"  echo {server.emulator.meta.tokens.issue('agency')} \\")
    note(f"    | aegis account connect meta --tenant … --all --base-url {server.url('meta')} --token-stdin")
    note(
        f"Then: aegis sync{'' if server.emulator.clock.ticks else f' --as-of {server.emulator.clock.as_of}'}"
    )
    note("Ctrl-C ends it.")
