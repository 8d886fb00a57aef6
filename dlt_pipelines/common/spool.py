"""Arrow tables put aside between reading and loading: in memory while they are few, in a file once they are many.

Reading ends before loading begins, so an error of the vendor never passes through dlt, and memory stays flat however
long the history is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO

import pyarrow as pa

MEMORY_BYTES = 16_000_000

# Arrow's own pool gives memory back to the system and takes it again for every batch, in huge pages that are cleared
# each time: 14 of 57 microseconds a row of a load, and 0.1 GB more at its peak.
pa.set_memory_pool(pa.system_memory_pool())


class Shelf:
    """Tables of one kind in their order, to be read as often as one likes. Its file goes with it."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limit = memory_bytes
        self._held: list[pa.Table] = []
        self.held_bytes = 0
        self.rows = 0
        self._file: IO[bytes] | None = None
        self._parts: list[int] = []  # where each part of the file begins

    def append(self, table: pa.Table) -> None:
        """Put one table aside; empty ones are forgotten."""
        if not table.num_rows:
            return
        self._held.append(table)
        self.rows += table.num_rows
        self.held_bytes += table.nbytes
        if self.held_bytes > self._limit:
            self.spill()

    def spill(self) -> None:
        """Let go of the memory: what is held becomes one part of the file."""
        if not self._held:
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="aegis-spool-")  # noqa: SIM115 - closed by close
        self._parts.append(self._file.seek(0, 2))
        with pa.ipc.new_stream(self._file, self._held[0].schema) as writer:
            for table in self._held:
                writer.write_table(table)
        self._held, self.held_bytes = [], 0

    def __iter__(self) -> Iterator[pa.Table]:
        for place in self._parts:
            assert self._file is not None
            self._file.seek(place)
            # A part is read before any of it is given: between two tables, the file may be at another place.
            tables = [pa.Table.from_batches([batch]) for batch in pa.ipc.open_stream(self._file)]
            while tables:
                yield tables.pop(0)
        yield from self._held

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._parts, self._held, self.held_bytes = None, [], [], 0


class Spool:
    """Tables by name. A context manager: its files go with it."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limit = memory_bytes
        self._shelves: dict[str, list[Shelf]] = {}
        self.rows: dict[str, int] = {}

    def add(self, name: str, table: pa.Table) -> None:
        """Put one table aside; empty ones are forgotten."""
        shelf = Shelf(self._limit)
        shelf.append(table)
        self.adopt(name, shelf)

    def adopt(self, name: str, shelf: Shelf) -> None:
        """Take over what was put aside already, as it is."""
        if not shelf.rows:
            return
        self._shelves.setdefault(name, []).append(shelf)
        self.rows[name] = self.rows.get(name, 0) + shelf.rows
        everything = [each for shelves in self._shelves.values() for each in shelves]
        if sum(each.held_bytes for each in everything) > self._limit:
            for each in everything:
                each.spill()

    def tables(self, name: str) -> Iterator[pa.Table]:
        """What was added under a name, in its order; once."""
        for shelf in self._shelves.pop(name, []):
            yield from shelf
            shelf.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for shelves in self._shelves.values():
            for shelf in shelves:
                shelf.close()
        self._shelves.clear()
