"""The quality step: nothing is built from an account-day before it was judged here.

Files and hand rows are judged in SQL (sql/functions/ops.quality.sql). A connected vendor's raw tables will be judged
here too, before the same call.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from dlt_pipelines.common.connections import Connections


@dataclass(frozen=True)
class QualityResult:
    """Account-days judged by one call, and what looked odd in them."""

    accepted: int
    withheld: int
    findings: int


def judge_coverage(connections: Connections) -> QualityResult:
    """Judge every account-day that is still pending. Calling it again at once changes nothing."""
    with psycopg.connect(
        connections.transformer, connect_timeout=10, application_name="aegis quality"
    ) as session:
        row = session.execute("select accepted, withheld, findings from ops.judge_coverage()").fetchone()
    if row is None:
        return QualityResult(0, 0, 0)
    return QualityResult(*row)


def has_news(connections: Connections) -> bool:
    """Whether an account-day waits to be taken into history."""
    with psycopg.connect(connections.transformer, connect_timeout=10) as session:
        row = session.execute(
            "select exists (select from ops.coverage where versioned_at is null)"
        ).fetchone()
    return bool(row and row[0])
