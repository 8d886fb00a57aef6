"""Attacks on the isolation of tenants, generated as class × actor × relation from the catalogue.

arena.py    the prepared database: markers of a foreign tenant in every relation, and the actors
engine.py   what an attack is, how it is run, what counts as a leak
the rest    one family of attacks per file; importing the package registers them
"""

from __future__ import annotations

from attacks import catalogs, files, identity, leaky, objects, oracles, reading, sessions, shadows, writing
from attacks.arena import Arena, make_arena
from attacks.engine import Outcome, Report, run

__all__ = [
    "Arena",
    "Outcome",
    "Report",
    "catalogs",
    "files",
    "identity",
    "leaky",
    "make_arena",
    "objects",
    "oracles",
    "reading",
    "run",
    "sessions",
    "shadows",
    "writing",
]
