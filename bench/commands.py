"""How fast the command starts, deploys and proves a deployment."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.harness import Figure, Scratch, median_of


def _interpreter_start() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - started


def measure(place: Scratch) -> list[Figure]:
    first_start = place.aegis("up")
    first_deploy = place.aegis("deploy")
    return [
        Figure("interpreter start", median_of(5, _interpreter_start), "s", note="for comparison"),
        Figure("`aegis --help`", median_of(5, lambda: place.aegis("--help")), "s", 0.5),
        Figure("`aegis status`", median_of(5, lambda: place.aegis("status")), "s", 0.5),
        Figure("`aegis up`, first start", first_start, "s"),
        Figure("`aegis deploy`, empty database", first_deploy, "s", 10),
        Figure("`aegis deploy`, again", median_of(3, lambda: place.aegis("deploy")), "s", 3),
        Figure("`aegis validate`", median_of(3, lambda: place.aegis("validate")), "s", 10),
    ]
