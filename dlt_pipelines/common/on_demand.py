"""Syncs a person asks for, and how many of them a minute: `ops.request_limits` says it, the database counts.

On demand is what `aegis sync`, `aegis backfill` and later an application do in a person's name; the schedule is not
limited. A request counts once however many accounts it concerns: what follows from it is bounded by the calls an
account allows at a time and by the platform's own quota.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dlt_pipelines.common.errors import QuotaError
from dlt_pipelines.common.windows import Window

if TYPE_CHECKING:
    import psycopg

KIND = "on_demand_sync"


def take(
    connection: psycopg.Connection[Any],
    requested_by: str,
    period: Window | None = None,
    *,
    force: bool = False,
) -> int:
    """Note a person's request; returns its number. The caller commits.

    Raises QuotaError, with the seconds to wait, where this user has asked too often.
    """
    # Two commands at once must not both be the last one allowed.
    connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"aegis {KIND} {requested_by}",)
    )
    row = connection.execute(
        """
        select l.most, l.per::text, extract(epoch from min(r.requested_at) + l.per - clock_timestamp())
        from ops.request_limits as l
        cross join lateral (
            select s.requested_at from ops.sync_requests as s
            where s.requested_by = %(user)s and s.requested_at > clock_timestamp() - l.per
            order by s.requested_at desc
            limit l.most
        ) as r
        where l.kind = %(kind)s
        group by l.kind
        having count(*) >= l.most
        """,
        {"user": requested_by, "kind": KIND},
    ).fetchone()
    if row is not None:
        most, per, seconds = row
        wait = max(1, math.ceil(seconds))
        raise QuotaError(
            f"{requested_by} has asked for {most} syncs within {per}, which is as often as one user may.",
            f"Ask again in {wait} s; the schedule goes on meanwhile.",
            float(wait),
        )
    taken = connection.execute(
        """
        insert into ops.sync_requests (requested_by, first_day, last_day, is_forced) values (%s, %s, %s, %s)
        returning request_id
        """,
        (requested_by, period.first if period else None, period.last if period else None, force),
    ).fetchone()
    assert taken is not None
    return int(taken[0])
