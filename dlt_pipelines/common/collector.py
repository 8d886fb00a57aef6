"""Python's cycle collector, out of the way while pages become tables.

A page is tens of thousands of small objects without a cycle among them; the collector walks through all of them again
and again: two thirds of the time of parsing a large report. They are freed by their reference counts either way.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_depth = 0
_was_on = False


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside, in any thread; put back as it was when the last of several callers leaves."""
    global _depth, _was_on
    with _lock:
        if _depth == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _was_on:
                gc.enable()
