"""The daily run over the imported history: the full build, and the same day again, beside the COPY of the rows."""

from __future__ import annotations

from bench import loading
from bench.harness import Figure, Scratch


def measure(place: Scratch) -> list[Figure]:
    first = place.aegis("optimize")
    again = place.aegis("optimize")
    copied = loading.copy_seconds(place.dsn(), loading.history_rows())
    return [
        Figure(f"`aegis optimize`, first build of {loading.ROWS:,} ad-days", first, "s"),
        Figure("the same day again", again, "s"),
        Figure("first build against a COPY of the same rows", first / copied, "x"),
    ]
