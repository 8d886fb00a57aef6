"""From a fresh clone to the morning summary, and a second `make run`."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from bench.harness import ROOT, Figure, Scratch


def _make(clone: Path, target: str) -> float:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AEGIS_", "VIRTUAL_ENV"))}
    started = time.perf_counter()
    done = subprocess.run(
        ["make", target], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"make {target} failed in a fresh clone:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return time.perf_counter() - started


def measure(place: Scratch) -> list[Figure]:
    clone = place.folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    try:
        first = _make(clone, "run")
        again = _make(clone, "run")
    finally:
        subprocess.run([str(clone / ".venv/bin/aegis"), "destroy", "--yes"], capture_output=True, check=False)
    return [
        Figure("fresh clone to finished `make run`", first, "s", 180, note="packages cached"),
        Figure("second `make run`", again, "s", 45),
    ]
