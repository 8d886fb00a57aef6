"""People's decisions on recommendations and incidents, taken as the application for one tenant.

Each change is one transaction that sets `saas.tenant_id` and `saas.user_id` and then runs the UPDATE that the
contract quotes: policies decide what is visible, the life-cycle trigger what is legal, the audit trigger records the
person. Ids may be abbreviated as long as one row of the tenants at hand fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from aegis.tenants import Tenant, list_tenants, operator, resolve_tenant
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database

Kind = Literal["recommendation", "anomaly"]
TABLES: dict[Kind, str] = {"recommendation": "ads.optimization_recommendations", "anomaly": "ads.anomalies"}
COMMANDS: dict[Kind, str] = {"recommendation": "recommendations", "anomaly": "anomalies"}
PLURALS: dict[Kind, str] = {"recommendation": "recommendations", "anomaly": "anomalies"}
SHORTEST_PREFIX = 4
LONGEST_REASON = 500


@dataclass(frozen=True)
class Found:
    """One row that an abbreviated id stands for."""

    tenant: Tenant
    row: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.row["id"])


def tenants_at_hand(database: Database, name_or_id: str | None) -> list[Tenant]:
    """The tenant named, else all. Raises AegisError for an unknown one."""
    with database.connect("owner") as connection:
        return (
            [resolve_tenant(connection, name_or_id)] if name_or_id is not None else list_tenants(connection)
        )


@contextmanager
def acting_for(database: Database, tenant: Tenant) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of the application for this tenant and person; committed at the end, or rolled back."""
    from psycopg.rows import dict_row

    with database.connect("app", row_factory=dict_row) as connection:
        connection.execute(
            "select set_config('saas.tenant_id', %s, true), set_config('saas.user_id', %s, true)",
            (str(tenant.tenant_id), operator()),
        )
        yield connection


def read_rows(
    database: Database, kind: Kind, tenant: Tenant, statuses: Sequence[str] | None = None, prefix: str = ""
) -> list[dict[str, Any]]:
    """Rows of one tenant in no particular order, with the names of their entities.

    `rate` is the newest known factor from the row's currency into the reporting one: for ranking money only.
    """
    with acting_for(database, tenant) as connection:
        return connection.execute(
            f"""
            select
                d.*, d.id::text as id,
                e.name as entity_name, c.name as campaign_name, o.name as account_name,
                coalesce(x.fx_rate, 1) as rate
            from {TABLES[kind]} as d
            left join (
                select distinct on (m.currency) m.currency, m.fx_rate
                from ads.metrics_daily as m
                where m.tenant_id = %(tenant_id)s and m.level = 'account' and m.fx_rate is not null
                order by m.currency asc, m.day desc
            ) as x on d.currency = x.currency
            left join ads.entities as e
                on d.tenant_id = e.tenant_id and d.platform = e.platform and d.level = e.level
                and d.platform_id = e.platform_id
            left join ads.entities as c
                on d.tenant_id = c.tenant_id and d.platform = c.platform and c.level = 'campaign'
                and e.campaign_id = c.platform_id
            left join ads.entities as o
                on d.tenant_id = o.tenant_id and d.platform = o.platform and o.level = 'account'
                and d.account_id = o.platform_id
            where d.tenant_id = %(tenant_id)s
                and (%(statuses)s::text[] is null or d.status = any(%(statuses)s::text[]))
                and d.id::text like %(prefix)s || '%%'
            """,
            {
                "tenant_id": tenant.tenant_id,
                "statuses": list(statuses) if statuses else None,
                "prefix": prefix,
            },
        ).fetchall()


def find(database: Database, kind: Kind, tenants: Sequence[Tenant], text: str) -> Found:
    """The only row whose id begins with `text`. Raises AegisError when it is no id, or none or several fit."""
    prefix = text.strip().lower()
    see = f"`aegis {COMMANDS[kind]} list` shows them."
    if not re.fullmatch(r"[0-9a-f-]{1,36}", prefix):
        raise AegisError(f"{text!r} is not the id of {_a(kind)}.", f"An id has the digits 0-9 and a-f; {see}")
    if len(prefix) < SHORTEST_PREFIX:
        raise AegisError(
            f"{text!r} is too short for an id.", f"Give at least its first {SHORTEST_PREFIX} characters."
        )
    found = [
        Found(tenant, row) for tenant in tenants for row in read_rows(database, kind, tenant, prefix=prefix)
    ]
    if not found:
        whose = f" of {tenants[0].name}" if len(tenants) == 1 else ""
        raise AegisError(f"There is no {kind}{whose} whose id begins with {text}.", see)
    if len(found) > 1:
        some = ", ".join(sorted(one.id for one in found)[:3])
        raise AegisError(
            f"{len(found)} {PLURALS[kind]} have an id that begins with {text}: {some}"
            f"{' …' if len(found) > 3 else ''}.",
            "Give more of the id, or --tenant.",
        )
    return found[0]


def history(database: Database, kind: Kind, one: Found) -> list[dict[str, Any]]:
    """Who changed the row, oldest first, from the audit trail."""
    with acting_for(database, one.tenant) as connection:
        return connection.execute(
            """
            select c.changed_at, c.person, c.old_values, c.new_values
            from audit.changes as c
            where c.tenant_id = %s and c.relation = %s and c.row_key ->> 'id' = %s
            order by c.change_id
            """,
            (one.tenant.tenant_id, TABLES[kind], one.id),
        ).fetchall()


def approve(database: Database, one: Found) -> None:
    """Agree with a recommendation. Applying it on the platform remains a person's work."""
    _change(database, "recommendation", one, "status = 'approved', approved_at = now()", {})


def apply(database: Database, one: Found) -> None:
    """Record that a person did it on the platform."""
    _change(database, "recommendation", one, "status = 'applied', applied_at = now()", {})


def reject(database: Database, one: Found, reason: str | None) -> None:
    """Turn a recommendation down; the same advice returns only when its evidence changes by a fifth."""
    if reason is not None and len(reason) > LONGEST_REASON:
        raise AegisError(f"The reason has {len(reason)} characters.", f"Say it in {LONGEST_REASON} or fewer.")
    _change(
        database, "recommendation", one,
        "status = 'rejected', rejected_at = now(), rejection_reason = %(reason)s", {"reason": reason or None},
    )  # fmt: skip


def snooze(database: Database, one: Found, until: date | None, days: int | None) -> datetime:
    """Keep a recommendation out of the lists until the beginning of a day of its tenant. Returns that instant."""
    if (until is None) == (days is None):
        raise AegisError("Say until when.", "Give either --until DAY or --days NUMBER.")
    if one.row["status"] != "pending":
        raise AegisError(
            f"Recommendation {one.id[:8]} is {one.row['status']}; only a pending one can be snoozed.",
            f"`aegis recommendations show {one.id[:8]}` tells what happened to it.",
        )
    zone = ZoneInfo(one.tenant.timezone)
    today = datetime.now(zone).date()
    day = until if until is not None else today + timedelta(days=days or 0)
    if day <= today:
        raise AegisError(
            f"{day} has already begun for {one.tenant.name} ({one.tenant.timezone}).", "Give a later day."
        )
    instant = datetime.combine(day, time(), zone)
    _change(database, "recommendation", one, "snoozed_until = %(until)s", {"until": instant})
    return instant


def acknowledge(database: Database, one: Found) -> None:
    """Say that somebody looks after an incident; it leaves the summary but stays open until it ends."""
    _change(database, "anomaly", one, "status = 'acknowledged', acknowledged_at = now()", {})


def _change(database: Database, kind: Kind, one: Found, assignments: str, parameters: dict[str, Any]) -> None:
    import psycopg

    try:
        with acting_for(database, one.tenant) as connection:
            changed = connection.execute(
                f"update {TABLES[kind]} set {assignments} "
                "where tenant_id = %(tenant_id)s and id = %(id)s and status = %(status)s",
                {"tenant_id": one.tenant.tenant_id, "id": one.id, "status": one.row["status"], **parameters},
            ).rowcount
    except psycopg.errors.CheckViolation as problem:
        raise AegisError(
            f"{kind.capitalize()} {one.id[:8]}: {problem.diag.message_primary}.",
            problem.diag.message_hint or "",
        ) from problem
    if not changed:
        raise AegisError(
            f"{kind.capitalize()} {one.id[:8]} changed while you decided; nothing was written.",
            f"Look again with `aegis {COMMANDS[kind]} show {one.id[:8]}`.",
        )


def _a(kind: Kind) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
