"""Run the measurements and print them as one table: `python -m bench [PART …]`; PARTS below are the parts."""

from __future__ import annotations

import sys

from bench import builds, commands, connector, decisions, journey, loading, serving
from bench.harness import Figure, scratch, show

PARTS = {
    "commands": commands,
    "loading": loading,
    "builds": builds,
    "decisions": decisions,
    "journey": journey,
    "serving": serving,
    "connector": connector,
}


def main(chosen: list[str]) -> int:
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        print(f"There is no part {', '.join(unknown)}. Parts: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    with scratch() as place:
        # Each part builds on the one before: commands deploys, loading imports, builds runs the day.
        for name, part in PARTS.items():
            if not chosen or name in chosen:
                print(f"measuring {name} …", flush=True)
                figures += part.measure(place)
    show(figures)
    return 0 if all(figure.reached is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
