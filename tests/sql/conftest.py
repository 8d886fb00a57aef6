"""Fixtures of the tests of the database's own rules; see actors.py for the world they attack."""

from __future__ import annotations

from actors import world, world18

__all__ = ["world", "world18"]
