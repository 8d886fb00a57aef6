"""Arrow tables put aside between reading and loading: in memory while they are few, in a file once they are many.

Reading ends before loading begins, so an error of the vendor never passes through dlt, and memory stays flat however
long the history is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pyarrow as pa

MEMORY_BYTES = 64_000_000


class Spool:
    """Tables by name. A context manager: its file goes with it."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limit = memory_bytes
        self._held: dict[str, list[pa.Table]] = {}
        self._bytes = 0
        self._files: dict[str, tuple[Any, Any]] = {}
        self.rows: dict[str, int] = {}

    def add(self, name: str, table: pa.Table) -> None:
        """Put one table aside; empty ones are forgotten."""
        if not table.num_rows:
            return
        self.rows[name] = self.rows.get(name, 0) + table.num_rows
        self._held.setdefault(name, []).append(table)
        self._bytes += table.nbytes
        if self._bytes > self._limit:
            self._spill()

    def _spill(self) -> None:
        for name, tables in self._held.items():
            for table in tables:
                if name not in self._files:
                    file = tempfile.TemporaryFile(prefix="aegis-spool-")  # noqa: SIM115 - closed by __exit__
                    self._files[name] = (file, pa.ipc.new_file(file, table.schema))
                self._files[name][1].write_table(table)
        self._held.clear()
        self._bytes = 0

    def tables(self, name: str) -> Iterator[pa.Table]:
        """What was added under a name, in its order; once."""
        if name in self._files:
            file, writer = self._files[name]
            writer.close()
            file.seek(0)
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                yield pa.Table.from_batches([reader.get_batch(number)])
        yield from self._held.pop(name, [])

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file, _ in self._files.values():
            file.close()
        self._files.clear()
        self._held.clear()
