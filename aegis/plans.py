"""What people plan, and what the last build read of it: budgets of campaigns and A/B tests.

Read and written as the application for one tenant (policies, triggers and the audit trail hold). Ids may be
abbreviated as long as one row of the tenants at hand fits.

Raises    AegisError in one sentence: unknown or ambiguous id, unknown campaign, and whatever the table itself refuses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from aegis.decisions import SHORTEST_PREFIX, acting_for
from aegis.tenants import PLATFORMS, Tenant
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    from aegis.database import Database

Kind = Literal["budget", "test"]
COMMANDS: dict[Kind, str] = {"budget": "budgets", "test": "tests"}
TEST_TYPES = ("creative", "audience", "bidding", "placement", "timing")
TEST_METRICS = ("ctr", "cvr", "cpc", "cpa", "roas")
ASSIGNMENTS = ("platform_split_test", "geo_split", "time_split", "observational")
TEST_STATUSES = ("draft", "running", "completed", "cancelled")
LEVELS = ("account", "campaign", "adset", "ad")

_BUDGETS = """
    select
        b.*, b.id::text as id, e.name as entity_name, 'campaign' as level, b.campaign_id as platform_id,
        null as campaign_name, null as account_name
    from ads.budget_allocation as b
    left join ads.entities as e
        on b.tenant_id = e.tenant_id and b.platform = e.platform and e.level = 'campaign'
        and b.campaign_id = e.platform_id
    where b.tenant_id = %(tenant_id)s and b.id::text like %(prefix)s || '%%'
    order by b.period_start desc, b.platform, b.campaign_id
"""
_TESTS = """
    select t.*, t.id::text as id
    from ads.ab_tests as t
    where t.tenant_id = %(tenant_id)s and t.id::text like %(prefix)s || '%%'
    order by t.start_date desc, t.name, t.id
"""


@dataclass(frozen=True)
class Planned:
    """One budget or test that an abbreviated id stands for."""

    tenant: Tenant
    row: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.row["id"])


def read(database: Database, kind: Kind, tenant: Tenant, prefix: str = "") -> list[dict[str, Any]]:
    """Budgets (newest period first) or tests (newest first) of one tenant."""
    with acting_for(database, tenant) as connection:
        return connection.execute(
            (_BUDGETS if kind == "budget" else _TESTS).encode(),
            {"tenant_id": tenant.tenant_id, "prefix": prefix},
        ).fetchall()


def find(database: Database, kind: Kind, tenants: Sequence[Tenant], text: str) -> Planned:
    """The only row whose id begins with `text`. Raises AegisError when it is no id, or none or several fit."""
    prefix = text.strip().lower()
    see = f"`aegis {COMMANDS[kind]} list` shows them."
    if not re.fullmatch(r"[0-9a-f-]{1,36}", prefix):
        raise AegisError(f"{text!r} is not the id of a {kind}.", f"An id has the digits 0-9 and a-f; {see}")
    if len(prefix) < SHORTEST_PREFIX:
        raise AegisError(
            f"{text!r} is too short for an id.", f"Give at least its first {SHORTEST_PREFIX} characters."
        )
    found = [Planned(tenant, row) for tenant in tenants for row in read(database, kind, tenant, prefix)]
    if not found:
        whose = f" of {tenants[0].name}" if len(tenants) == 1 else ""
        raise AegisError(f"There is no {kind}{whose} whose id begins with {text}.", see)
    if len(found) > 1:
        some = ", ".join(sorted(one.id for one in found)[:3])
        raise AegisError(
            f"{len(found)} {COMMANDS[kind]} have an id that begins with {text}: {some}.",
            "Give more of the id, or --tenant.",
        )
    return found[0]


def set_budget(
    database: Database,
    tenant: Tenant,
    platform: str,
    campaign_id: str,
    amount: str,
    *,
    first: date | None = None,
    last: date | None = None,
    currency: str | None = None,
    notes: str | None = None,
) -> dict[str, Any]:
    """Set a campaign's budget of a period; the period that begins on the same day is changed.

    first     None means the running calendar month
    last      None means the end of that month
    """
    _one_of("platform", platform, PLATFORMS)
    given = {"period_start": first, "period_end": last, "currency": currency, "notes": notes}
    columns = {
        "tenant_id": tenant.tenant_id, "platform": platform, "campaign_id": campaign_id,
        "budget": _amount(amount), **{name: value for name, value in given.items() if value is not None},
    }  # fmt: skip
    changed = [name for name in ("budget", "period_end", "currency", "notes") if name in columns]
    return _write(
        database,
        tenant,
        f"insert into ads.budget_allocation ({', '.join(columns)}) values ({', '.join(['%s'] * len(columns))})"
        " on conflict (tenant_id, platform, campaign_id, period_start) do update set "
        + ", ".join(f"{name} = excluded.{name}" for name in changed)
        + " returning id::text as id, campaign_id, budget, currency, period_start, period_end",
        list(columns.values()),
        f"The budget of campaign {campaign_id} ({platform}) of {tenant.name}",
    )


def add_test(
    database: Database, tenant: Tenant, name: str, platform: str, variants: Sequence[str], **columns: Any
) -> dict[str, Any]:
    """Write a test down. `variants` are NAME=LEVEL:ID or NAME=LEVEL:ID@WEIGHT; the first one is the control.

    columns   test_type, metric, assignment, start_date, end_date, min_sample, min_days, alpha, status; None is left out
    """
    from psycopg.types.json import Jsonb

    _one_of("platform", platform, PLATFORMS)
    for option, known in (
        ("test_type", TEST_TYPES), ("metric", TEST_METRICS), ("assignment", ASSIGNMENTS), ("status", TEST_STATUSES),
    ):  # fmt: skip
        if columns.get(option) is not None:
            _one_of(option.replace("test_", ""), columns[option], known)
    row = {
        "tenant_id": tenant.tenant_id, "name": name, "platform": platform,
        "variants": Jsonb([parse_variant(text, number == 0) for number, text in enumerate(variants)]),
        **{column: value for column, value in columns.items() if value is not None},
    }  # fmt: skip
    return _write(
        database,
        tenant,
        f"insert into ads.ab_tests ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})"
        " returning id::text as id, name, status, start_date, end_date",
        list(row.values()),
        f"Test {name!r} of {tenant.name}",
    )


def set_status(database: Database, one: Planned, status: str) -> dict[str, Any]:
    """Start, complete or cancel a test."""
    return _write(
        database,
        one.tenant,
        "update ads.ab_tests set status = %s where tenant_id = %s and id = %s"
        " returning id::text as id, name, status, end_date",
        [status, one.tenant.tenant_id, one.id],
        f"Test {one.row['name']!r} of {one.tenant.name}",
    )


def parse_variant(text: str, is_control: bool) -> dict[str, Any]:
    """NAME=LEVEL:ID, with @WEIGHT where the platform split unevenly. Raises AegisError saying how it is written."""
    found = re.fullmatch(r"([^=]+)=([a-z]+):([^@]+)(?:@(\d+(?:\.\d+)?))?", text.strip())
    if not found or found[2] not in LEVELS:
        raise AegisError(
            f"{text!r} is no variant.",
            f"Write NAME=LEVEL:ID, as in 'Blue=ad:120210'; levels are {', '.join(LEVELS)}.",
        )
    variant: dict[str, Any] = {
        "name": found[1].strip(), "level": found[2], "platform_id": found[3].strip(), "is_control": is_control,
    }  # fmt: skip
    if found[4]:
        variant["weight"] = float(found[4])
    return variant


def read_outcomes(database: Database, tenants: Sequence[Tenant]) -> list[dict[str, Any]]:
    """Per tenant, rule and horizon how often advice that was followed was right. For operators only."""
    import psycopg
    from psycopg.rows import dict_row

    with database.connect("transformer", row_factory=dict_row) as connection:
        try:
            return connection.execute(
                "select * from ads_internal.rule_outcomes where tenant_id = any(%s) order by rule_id, horizon_days",
                ([tenant.tenant_id for tenant in tenants],),
            ).fetchall()
        except psycopg.errors.UndefinedTable:
            return []


def _write(
    database: Database, tenant: Tenant, statement: str, parameters: list[Any], subject: str
) -> dict[str, Any]:
    import psycopg

    try:
        with acting_for(database, tenant) as connection:
            row = connection.execute(statement.encode(), parameters).fetchone()
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as problem:
        raise AegisError(
            f"{subject}: {problem.diag.message_primary}.", problem.diag.message_hint or ""
        ) from problem
    assert row is not None, subject
    return dict(row)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text.replace(",", ""))
    except InvalidOperation as problem:
        raise AegisError(f"{text!r} is no amount.", "Write it as 1500 or 1500.50.") from problem
    if not amount.is_finite() or amount < 0:
        raise AegisError(f"A budget cannot be {text}.", "Write it as 1500 or 1500.50.")
    return amount


def _one_of(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise AegisError(f"There is no {what} {value!r}.", f"Known: {', '.join(known)}.")
