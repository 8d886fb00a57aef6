"""The morning summary as one read model: what the terminal and the HTML page show.

Figures are read from the marts as the application, one tenant at a time with `saas.tenant_id` set for the
transaction, so row security decides what may be seen. What no mart holds (run state, refused rows, findings) comes
from `ops`. All amounts are in the tenant's reporting currency unless a line says its own.

A ROAS of recent days is still growing: conversions arrive late. Beside the reported figure stands the one expected
once they are in (value over spend weighted with the maturity of its day), and two periods are compared on that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aegis import summary_words as words

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database

EVERYBODY = "00000000-0000-0000-0000-000000000000"
PERIOD_DAYS = 7
CHART_DAYS = 56
NOTE_DAYS = 14
STALE_ACCOUNT_DAYS = 60  # an account silent for longer has ended rather than gone stale
LATE = Decimal("0.97")  # below this share of known conversions, a ROAS is called unfinished


@dataclass(frozen=True)
class Figures:
    """Sums of some account-days; `roas_expected` is what ROAS should reach once late conversions are in."""

    first: date
    last: date
    spend: Decimal | None = None
    value: Decimal | None = None
    conversions: Decimal | None = None
    mature_spend: Decimal | None = None
    days: int = 0

    @property
    def roas(self) -> Decimal | None:
        return _ratio(self.value, self.spend)

    @property
    def roas_expected(self) -> Decimal | None:
        return _ratio(self.value, self.mature_spend)

    @property
    def maturity(self) -> Decimal | None:
        return _ratio(self.mature_spend, self.spend)

    @property
    def is_growing(self) -> bool:
        """Whether a noticeable part of the conversions is still to come."""
        return self.maturity is not None and self.maturity < LATE and self.roas is not None


@dataclass(frozen=True)
class Comparison:
    """One period against the one of equal length before it."""

    current: Figures
    previous: Figures

    @property
    def change_spend(self) -> Decimal | None:
        return _change(self.current.spend, self.previous.spend)

    @property
    def change_roas(self) -> Decimal | None:
        return _change(self.current.roas_expected, self.previous.roas_expected)


@dataclass(frozen=True)
class Incident:
    incident_id: str
    platform: str
    level: str
    where: str
    headline: str
    cause: str
    first_day: date
    last_day: date
    severity: str
    loss_per_day: Decimal | None
    currency: str | None
    folded: int


@dataclass(frozen=True)
class Advice:
    recommendation_id: str
    platform: str
    level: str
    where: str
    description: str
    reason: str
    priority: str
    confidence: Decimal
    impact: Decimal | None
    low: Decimal | None
    high: Decimal | None
    currency: str
    expires_at: datetime


@dataclass(frozen=True)
class Note:
    """Something about the data itself: `kind` is stale, missing, withheld, provisional, refused, no_rate or odd."""

    kind: str
    text: str


@dataclass
class TenantSummary:
    tenant_id: str
    name: str
    currency: str
    timezone: str
    is_demo: bool
    as_of: date | None = None
    total: Comparison | None = None
    platforms: list[tuple[str, Comparison]] = field(default_factory=list)
    days: list[Figures] = field(default_factory=list)
    trailing: list[Figures] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    ended: list[Incident] = field(default_factory=list)
    acknowledged: int = 0
    explained: int = 0
    advice: list[Advice] = field(default_factory=list)
    approved: int = 0
    snoozed: int = 0
    notes: list[Note] = field(default_factory=list)
    failed_run: str = ""

    @property
    def has_figures(self) -> bool:
        return self.total is not None


@dataclass(frozen=True)
class Summary:
    generated_at: datetime
    tenants: list[TenantSummary]


def read_summary(database: Database, tenant_ids: Sequence[str] | None = None) -> Summary:
    """The summary of these tenants (ids; None: all) by name; those without figures come last, and are empty."""
    wanted = None if tenant_ids is None else list(tenant_ids)
    with database.connect("owner") as owner:
        tenants = [
            TenantSummary(*row)
            for row in owner.execute(
                """
                select t.tenant_id::text, t.name, t.currency, t.timezone, t.is_demo
                from tenancy.tenants as t
                where t.tenant_id <> %s and (%s::text[] is null or t.tenant_id::text = any(%s::text[]))
                order by t.name
                """,
                (EVERYBODY, wanted, wanted),
            )
        ]
        with database.connect("app") as app:
            for tenant in tenants:
                with app.transaction(), owner.transaction():
                    app.execute("select set_config('saas.tenant_id', %s, true)", (tenant.tenant_id,))
                    _read_tenant(tenant, app, owner)
    tenants.sort(key=lambda tenant: (not tenant.has_figures, tenant.name))
    return Summary(datetime.now(UTC), tenants)


def _read_tenant(tenant: TenantSummary, app: psycopg.Connection[Any], owner: psycopg.Connection[Any]) -> None:
    tenant.failed_run = _failed_run(tenant, owner)
    tenant.as_of = _value(
        app, "select max(b.as_of) from ads.baselines as b where b.tenant_id = %s", (tenant.tenant_id,)
    )
    if tenant.as_of is None:
        return
    _read_figures(tenant, app)
    if tenant.total is None:
        return
    rates = _rates(tenant, app)
    _read_incidents(tenant, app, rates)
    _read_advice(tenant, app, rates)
    _read_data_state(tenant, app)
    _read_operations(tenant, owner)


# -- figures ------------------------------------------------------------------------------------------------


def _read_figures(tenant: TenantSummary, app: psycopg.Connection[Any]) -> None:
    assert tenant.as_of is not None
    as_of = tenant.as_of
    rows = _rows(
        app,
        """
        select
            m.platform,
            m.day,
            sum(m.spend_reporting) as spend,
            sum(m.conversion_value_reporting) as value,
            sum(m.conversions) as conversions,
            sum(m.spend_reporting * coalesce(m.maturity, 1)) as mature_spend,
            array_agg(distinct m.currency) filter (
                where m.spend_reporting is null and m.spend is not null
            ) as no_rate
        from ads.metrics_daily as m
        where m.tenant_id = %(tenant_id)s and m.level = 'account'
            and m.day > %(as_of)s - %(days)s and m.day <= %(as_of)s
        group by m.platform, m.day
        order by m.platform, m.day
        """,
        {"tenant_id": tenant.tenant_id, "as_of": as_of, "days": CHART_DAYS + PERIOD_DAYS},
    )
    if not rows:
        return

    first = as_of - timedelta(days=PERIOD_DAYS - 1)
    before = first - timedelta(days=PERIOD_DAYS)
    day = timedelta(days=1)

    def compare(some: list[dict[str, Any]]) -> Comparison:
        return Comparison(_sum(some, first, as_of), _sum(some, before, first - day))

    tenant.total = compare(rows)
    for platform in dict.fromkeys(row["platform"] for row in rows):
        line = compare([row for row in rows if row["platform"] == platform])
        if line.current.days or line.previous.days:
            tenant.platforms.append((platform, line))
    tenant.platforms.sort(key=lambda each: (-(each[1].current.spend or Decimal(0)), each[0]))

    oldest = max(min(row["day"] for row in rows), as_of - timedelta(days=CHART_DAYS - 1))
    for offset in range((as_of - oldest).days + 1):
        one = oldest + offset * day
        tenant.days.append(_sum(rows, one, one))
        tenant.trailing.append(_sum(rows, one - timedelta(days=PERIOD_DAYS - 1), one))

    missing: dict[str, list[date]] = {}
    for row in rows:
        for currency in row["no_rate"] or ():
            if row["day"] >= before:
                missing.setdefault(currency, []).append(row["day"])
    for currency, days in sorted(missing.items()):
        tenant.notes.append(Note(
            "no_rate",
            f"No exchange rate from {currency} to {tenant.currency} for {words.span(days)}: those amounts are left out "
            "of the sums. Load rates with `aegis import rates FILE`.",
        ))  # fmt: skip


def _sum(rows: list[dict[str, Any]], first: date, last: date) -> Figures:
    """The rows of first … last, added up; None stays None where no row says anything."""
    some = [row for row in rows if first <= row["day"] <= last]

    def total(name: str) -> Decimal | None:
        known = [row[name] for row in some if row[name] is not None]
        return sum(known, Decimal(0)) if known else None

    return Figures(
        first, last, total("spend"), total("value"), total("conversions"), total("mature_spend"),
        len({row["day"] for row in some}),
    )  # fmt: skip


def _rates(tenant: TenantSummary, app: psycopg.Connection[Any]) -> dict[str | None, Decimal]:
    """Newest known factor into the reporting currency, per currency: only to rank money and to show it alike."""
    rows = _rows(
        app,
        """
        select distinct on (m.currency) m.currency, m.fx_rate
        from ads.metrics_daily as m
        where m.tenant_id = %(tenant_id)s and m.level = 'account' and m.fx_rate is not null
            and m.day > %(as_of)s - 90 and m.day <= %(as_of)s
        order by m.currency asc, m.day desc
        """,
        {"tenant_id": tenant.tenant_id, "as_of": tenant.as_of},
    )
    return {**{row["currency"]: row["fx_rate"] for row in rows}, tenant.currency: Decimal(1)}


# -- what is wrong, what to change --------------------------------------------------------------------------


def _read_incidents(
    tenant: TenantSummary, app: psycopg.Connection[Any], rates: Mapping[str | None, Decimal]
) -> None:
    rows = _rows(
        app,
        """
        select
            a.id::text as id, a.platform, a.level, a.platform_id, a.anomaly_type, a.metric, a.day, a.last_day,
            a.observed, a.expected, a.deviation, a.loss_per_day, a.currency, a.severity, a.status,
            a.is_tracking_outage, a.explained_by, a.parent_id,
            e.name as entity_name, c.name as campaign_name, o.name as account_name,
            (
                select count(*) from ads.anomalies as child
                where child.tenant_id = a.tenant_id and child.parent_id = a.id and child.status = 'active'
            ) as folded
        from ads.anomalies as a
        left join ads.entities as e
            on a.tenant_id = e.tenant_id and a.platform = e.platform and a.level = e.level
            and a.platform_id = e.platform_id
        left join ads.entities as c
            on a.tenant_id = c.tenant_id and a.platform = c.platform and c.level = 'campaign'
            and e.campaign_id = c.platform_id
        left join ads.entities as o
            on a.tenant_id = o.tenant_id and a.platform = o.platform and o.level = 'account'
            and a.account_id = o.platform_id
        where
            a.tenant_id = %(tenant_id)s
            and (
                a.status in ('active', 'acknowledged')
                or (a.status = 'resolved' and a.last_day > %(as_of)s::date - 7)
            )
        """,
        {"tenant_id": tenant.tenant_id, "as_of": tenant.as_of},
    )
    for row in rows:
        if row["parent_id"] is not None:
            continue
        if row["explained_by"] is not None:
            tenant.explained += row["status"] != "resolved"
        elif row["status"] == "acknowledged":
            tenant.acknowledged += 1
        else:
            loss, currency = _in_reporting(row["loss_per_day"], row["currency"], rates, tenant.currency)
            listed = tenant.ended if row["status"] == "resolved" else tenant.incidents
            listed.append(Incident(
                row["id"], row["platform"], row["level"], words.where(row), words.incident_headline(row),
                words.incident_cause(row), row["day"], row["last_day"], row["severity"], loss, currency,
                row["folded"],
            ))  # fmt: skip
    for listed in (tenant.incidents, tenant.ended):
        listed.sort(
            key=lambda each: (
                -_weight(each.loss_per_day, each.currency, tenant),
                each.where,
                each.incident_id,
            )
        )


def _read_advice(
    tenant: TenantSummary, app: psycopg.Connection[Any], rates: Mapping[str | None, Decimal]
) -> None:
    rows = _rows(
        app,
        """
        select
            r.id::text as id, r.platform, r.level, r.platform_id, r.description, r.rationale, r.priority, r.confidence,
            r.estimated_impact, r.estimated_impact_low, r.estimated_impact_high, r.currency, r.expires_at, r.status,
            coalesce(r.snoozed_until > now(), false) as is_snoozed,
            e.name as entity_name, c.name as campaign_name, o.name as account_name
        from ads.optimization_recommendations as r
        left join ads.entities as e
            on r.tenant_id = e.tenant_id and r.platform = e.platform and r.level = e.level
            and r.platform_id = e.platform_id
        left join ads.entities as c
            on r.tenant_id = c.tenant_id and r.platform = c.platform and c.level = 'campaign'
            and e.campaign_id = c.platform_id
        left join ads.entities as o
            on r.tenant_id = o.tenant_id and r.platform = o.platform and o.level = 'account'
            and r.account_id = o.platform_id
        where r.tenant_id = %(tenant_id)s and r.status in ('pending', 'approved')
        """,
        {"tenant_id": tenant.tenant_id},
    )
    for row in rows:
        if row["status"] == "approved":
            tenant.approved += 1
        elif row["is_snoozed"]:
            tenant.snoozed += 1
        else:
            money = [
                _in_reporting(row[name], row["currency"], rates, tenant.currency)
                for name in ("estimated_impact", "estimated_impact_low", "estimated_impact_high")
            ]
            tenant.advice.append(Advice(
                row["id"], row["platform"], row["level"], words.where(row), row["description"], row["rationale"],
                row["priority"], row["confidence"], money[0][0], money[1][0], money[2][0],
                money[0][1] or row["currency"], row["expires_at"],
            ))  # fmt: skip
    tenant.advice.sort(
        key=lambda each: (-_weight(each.impact, each.currency, tenant), each.where, each.recommendation_id)
    )


# -- the state of the data ----------------------------------------------------------------------------------


def _read_data_state(tenant: TenantSummary, app: psycopg.Connection[Any]) -> None:
    assert tenant.as_of is not None
    rows = _rows(
        app,
        """
        select
            s.platform, s.account_id, coalesce(e.name, s.account_id) as account_name, s.state, s.reason, s.day
        from ads.data_status as s
        left join ads.entities as e
            on s.tenant_id = e.tenant_id and s.platform = e.platform and e.level = 'account'
            and s.account_id = e.platform_id
        where s.tenant_id = %(tenant_id)s and s.day > %(as_of)s - %(days)s and s.day <= %(as_of)s
        """,
        {"tenant_id": tenant.tenant_id, "as_of": tenant.as_of, "days": STALE_ACCOUNT_DAYS},
    )
    newest: dict[tuple[str, str, str], date] = {}
    problems: dict[tuple[str, str, str, str], list[date]] = {}
    withheld: dict[tuple[str, str], tuple[date, str]] = {}  # why, of an account's newest withheld day
    since = tenant.as_of - timedelta(days=NOTE_DAYS)
    for row in rows:
        account = (row["platform"], row["account_id"], row["account_name"])
        if row["state"] in ("final", "provisional"):
            newest[account] = max(newest.get(account, row["day"]), row["day"])
        if row["state"] != "final" and row["day"] > since:
            reason = row["reason"] or ""
            if row["state"] == "withheld":
                # The reason tells that day's figures: a line a day would say the same seven times.
                place = (row["platform"], row["account_name"])
                withheld[place] = max(withheld.get(place, (row["day"], reason)), (row["day"], reason))
                reason = ""
            problems.setdefault((row["state"], row["platform"], row["account_name"], reason), []).append(
                row["day"]
            )

    # An account that reported until the as-of day's eve and then stopped is stale; its days after are no zeros.
    for (platform, _, name), day in sorted(newest.items()):
        if day < tenant.as_of:
            behind = words.plural((tenant.as_of - day).days, "day")
            tenant.notes.append(Note(
                "stale",
                f"{words.platform_name(platform)}, {name}: figures end on {words.short_day(day)}, {behind} before.",
            ))  # fmt: skip
    texts = {
        "missing": "no figures arrived for",
        "withheld": "figures are withheld for",
        "provisional": "figures may still change for",
    }
    for kind, text in texts.items():
        for (state, platform, name, reason), days in sorted(problems.items()):
            if state == kind:
                if state == "withheld":
                    newest_day, reason = withheld[platform, name]
                    if reason and len(days) > 1:
                        reason = f"on {words.short_day(newest_day)}, {reason}"
                because = f": {reason}" if reason else ""
                tenant.notes.append(
                    Note(
                        kind, f"{words.platform_name(platform)}, {name}: {text} {words.span(days)}{because}."
                    )
                )


def _read_operations(tenant: TenantSummary, owner: psycopg.Connection[Any]) -> None:
    refused = _value(
        owner,
        """
        select count(*) from ops.quarantine as q
        where q.tenant_id = %s and q.quarantined_at > now() - interval '7 days'
        """,
        (tenant.tenant_id,),
    )
    if refused:
        reason = _value(
            owner,
            """
            select q.reason from ops.quarantine as q
            where q.tenant_id = %s and q.quarantined_at > now() - interval '7 days'
            group by q.reason order by count(*) desc, q.reason limit 1
            """,
            (tenant.tenant_id,),
        )
        tenant.notes.append(Note(
            "refused", f"{words.plural(refused, 'row')} of files could not be used this week; most often: {reason}."
        ))  # fmt: skip
    findings = _rows(
        owner,
        """
        select f.check_name, min(f.message) as message, count(*) as times
        from ops.findings as f
        where f.tenant_id = %(tenant_id)s and f.severity <> 'info' and f.day > %(as_of)s - %(days)s
            and f.day <= %(as_of)s
        group by f.check_name
        order by times desc, f.check_name
        limit 5
        """,
        {"tenant_id": tenant.tenant_id, "as_of": tenant.as_of, "days": NOTE_DAYS},
    )
    for row in findings:
        more = f" ({row['times'] - 1:,} more like this)" if row["times"] > 1 else ""
        tenant.notes.append(Note("odd", row["message"].rstrip(".") + more + "."))
    if not tenant.is_demo:
        assert tenant.as_of is not None
        behind = _value(
            owner,
            "select (now() at time zone t.timezone)::date - 1 - %s from tenancy.tenants as t where t.tenant_id = %s",
            (tenant.as_of, tenant.tenant_id),
        )
        if behind and behind > 0:
            tenant.notes.insert(0, Note(
                "stale",
                f"This summary ends {words.plural(behind, 'day')} before yesterday: nothing newer has been loaded "
                "and run.",
            ))  # fmt: skip


def _failed_run(tenant: TenantSummary, owner: psycopg.Connection[Any]) -> str:
    """Why the newest daily run of this tenant failed; empty when it did not."""
    row = owner.execute(
        """
        select r.as_of, r.status, r.error from ops.daily_runs as r
        where r.tenant_id = %s and r.status <> 'running'
        order by r.as_of desc
        limit 1
        """,
        (tenant.tenant_id,),
    ).fetchone()
    if row is None or not row[2]:
        return ""
    return f"The daily run as of {words.day_text(row[0])} did not finish ({row[2].splitlines()[0][:200]})."


# -- arithmetic ---------------------------------------------------------------------------------------------


def _in_reporting(
    amount: Decimal | None, currency: str | None, rates: Mapping[str | None, Decimal], reporting: str
) -> tuple[Decimal | None, str | None]:
    """The amount in the reporting currency; where no rate is known, as it is."""
    rate = rates.get(currency)
    if amount is None or rate is None:
        return amount, currency
    return amount * rate, reporting


def _weight(amount: Decimal | None, currency: str | None, tenant: TenantSummary) -> Decimal:
    """What rows are ranked by: money in the reporting currency; unknown money and unknown rates come last."""
    return amount if amount is not None and currency == tenant.currency else Decimal(-1)


def _ratio(above: Decimal | None, below: Decimal | None) -> Decimal | None:
    return above / below if above is not None and below else None


def _change(now: Decimal | None, before: Decimal | None) -> Decimal | None:
    return now / before - 1 if now is not None and before else None


def _rows(connection: psycopg.Connection[Any], query: str, parameters: Any) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _value(connection: psycopg.Connection[Any], query: str, parameters: Any) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None
