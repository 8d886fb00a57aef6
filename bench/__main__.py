"""Run the measurements and print them as one table: `python -m bench [PART …]`.

PARTS below are the parts; those in LONG only run when they are named, the others when none is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import builds, commands, connector, decisions, journey, loading, serving
from bench.harness import Figure, Scratch, scratch, show

PARTS: dict[str, Callable[[Scratch], list[Figure]]] = {
    "commands": commands.measure,
    "loading": loading.measure,
    "builds": builds.measure,
    "decisions": decisions.measure,
    "journey": journey.measure,
    "serving": serving.measure,
    "connector": connector.measure,
    "million": connector.million,
}
LONG = {"million"}


def main(chosen: list[str]) -> int:
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        print(f"There is no part {', '.join(unknown)}. Parts: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    with scratch() as place:
        # Each part builds on the one before: commands deploys, loading imports, builds runs the day.
        for name, part in PARTS.items():
            if name in chosen or (not chosen and name not in LONG):
                print(f"measuring {name} …", flush=True)
                figures += part(place)
    show(figures)
    return 0 if all(figure.reached is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
