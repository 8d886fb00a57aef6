"""A scratch deployment to measure on, and the table that the figures end in."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AEGIS = ROOT / ".venv" / "bin" / "aegis"


@dataclass(frozen=True)
class Figure:
    """One measured figure. `goal` in the same unit; None where there is nothing to reach."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


class Scratch:
    """A data folder of its own, so that measuring never touches the user's `.aegis`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "AEGIS_DATABASE_URL"},
            "AEGIS_DATA_DIR": str(folder / "data"),
        }

    def aegis(self, *arguments: str) -> float:
        """Run the command; seconds of wall time. Raises with its output when it fails."""
        started = time.perf_counter()
        done = subprocess.run(
            [str(AEGIS), *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            raise RuntimeError(f"aegis {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return seconds

    def dsn(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(AEGIS), "dsn", *arguments], env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


@contextmanager
def scratch() -> Iterator[Scratch]:
    """An empty deployment in a temporary folder; stopped and deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="aegis-bench-"))
    folder.chmod(0o755)
    place = Scratch(folder)
    try:
        yield place
    finally:
        subprocess.run(
            [str(AEGIS), "destroy", "--yes"], env=place.environment, capture_output=True, check=False
        )
        shutil.rmtree(folder, ignore_errors=True)


def median_of(repeats: int, call: Callable[[], float]) -> float:
    return statistics.median(call() for _ in range(repeats))


def show(figures: list[Figure]) -> None:
    """Print the figures as a Markdown table, ready to be quoted."""
    print("\n| what | measured | goal | reached |")
    print("| --- | --- | --- | --- |")
    for figure in figures:
        goal = (
            "" if figure.goal is None else f"{'≥' if figure.at_least else '≤'} {figure.goal:g} {figure.unit}"
        )
        reached = {None: "", True: "yes", False: "**no**"}[figure.reached]
        note = f" ({figure.note})" if figure.note else ""
        print(f"| {figure.name} | {figure.value:.2f} {figure.unit}{note} | {goal} | {reached} |")
    sys.stdout.flush()
