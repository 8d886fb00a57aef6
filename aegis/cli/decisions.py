"""Commands for what a person decides.

recommendations list, show, approve, apply, reject, snooze, outcomes; anomalies list, show, ack.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis.cli.frame import note
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    from rich.table import Table

    from aegis.database import Database
    from aegis.decisions import Found, Kind
    from aegis.tenants import Tenant

TenantOption = Annotated[str | None, typer.Option("--tenant", help="Name or id; without it all tenants.")]
Ids = Annotated[
    list[str], typer.Argument(metavar="ID…", help="Ids, or beginnings of them that fit only one row.")
]

RECOMMENDATION_STATUSES = ("pending", "approved", "applied", "rejected", "expired", "superseded")
ANOMALY_STATUSES = ("active", "acknowledged", "resolved", "withdrawn")


def register(app: typer.Typer) -> None:
    recommendations = typer.Typer(
        help="What to change: list, show, approve, apply, reject, snooze, outcomes.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    commands: dict[str, Any] = {
        "list": list_recommendations, "show": show_recommendation, "approve": approve, "apply": apply,
        "reject": reject, "snooze": snooze, "outcomes": outcomes,
    }  # fmt: skip
    for name, command in commands.items():
        recommendations.command(name)(command)
    app.add_typer(recommendations, name="recommendations")

    anomalies = typer.Typer(
        help="What is wrong: list, show, ack.", no_args_is_help=True, rich_markup_mode=None
    )
    commands = {"list": list_anomalies, "show": show_anomaly, "ack": acknowledge}
    for name, command in commands.items():
        anomalies.command(name)(command)
    app.add_typer(anomalies, name="anomalies")


# -- recommendations ----------------------------------------------------------------------------------------


def list_recommendations(
    tenant: TenantOption = None,
    status: Annotated[str | None, typer.Option(help=f"One of: {', '.join(RECOMMENDATION_STATUSES)}.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Decided, expired and snoozed ones too.")] = False,
) -> None:
    """The open recommendations, by expected gain."""
    from aegis import summary_words as words

    statuses = _statuses(status, everything, RECOMMENDATION_STATUSES, ("pending", "approved"))

    def line(table: Table, row: dict[str, Any]) -> None:
        table.add_row(
            row["id"][:8],
            words.money(row["estimated_impact"], row["currency"], estimate=True),
            row["priority"],
            _status_of(row),
            f"{words.where(row)}\n{row['description']}",
            words.short_day(row["expires_at"].date()),
        )

    _print_list(
        "recommendation", tenant, statuses, ("id", "in 30 days", "priority", "status", "what to change", "until"), line,
        keep=lambda row: everything or status is not None or not _is_snoozed(row),
        order=lambda row: (-(row["estimated_impact"] or 0) * row["rate"], row["id"]),
        empty="No recommendations are open.",
    )  # fmt: skip


def show_recommendation(ids: Ids, tenant: TenantOption = None) -> None:
    """Everything about a recommendation: reason, evidence, expected gain, and who decided."""
    from aegis import summary_words as words

    database, found = _find("recommendation", ids, tenant)
    for one in found:
        row = one.row
        gain = words.money(row["estimated_impact"], row["currency"], estimate=True)
        between = words.bounds(row["estimated_impact_low"], row["estimated_impact_high"], row["currency"])
        _print_facts(one, [
            ("what", row["description"]),
            ("where", f"{words.where(row)} ({words.platform_name(row['platform'])}, {words.LEVELS[row['level']]})"),
            ("why", row["rationale"]),
            ("change", _action(row["action"])),
            ("gain", f"{gain} in 30 days{f', likely {between}' if between else ''}"),
            ("confidence", words.share(row["confidence"])),
            ("priority", row["priority"]),
            ("status", _status_of(row)),
            ("raised", f"as of {words.day_text(row['as_of'])}, expires {_instant(row['expires_at'], one.tenant)}"),
            ("decided by", row["decided_by"]),
            ("reason", row["rejection_reason"]),
            ("rule", row["rule_id"]),
            ("evidence", "\n".join(f"{key}: {_plain(value)}" for key, value in row["evidence"].items())),
            ("history", _history(database, "recommendation", one)),
        ])  # fmt: skip


def approve(ids: Ids, tenant: TenantOption = None) -> None:
    """Agree with recommendations. Then do it on the platform and say `apply`."""
    from aegis import decisions

    database, found = _find("recommendation", ids, tenant)
    for one in found:
        if _already(one, "approved"):
            continue
        decisions.approve(database, one)
        _said(one, "approved", "Do it on the platform, then: aegis recommendations apply")


def apply(ids: Ids, tenant: TenantOption = None) -> None:
    """Record that you did it on the platform. Aegis itself never writes to a platform."""
    from aegis import decisions

    database, found = _find("recommendation", ids, tenant)
    for one in found:
        if _already(one, "applied"):
            continue
        decisions.apply(database, one)
        _said(one, "applied")


def reject(
    ids: Ids,
    tenant: TenantOption = None,
    reason: Annotated[str | None, typer.Option(help="Why not, in a sentence.")] = None,
) -> None:
    """Turn recommendations down. The same advice comes back only when its evidence changes by a fifth."""
    from aegis import decisions

    database, found = _find("recommendation", ids, tenant)
    for one in found:
        if _already(one, "rejected"):
            continue
        decisions.reject(database, one, reason)
        _said(one, "rejected")


def snooze(
    ids: Ids,
    tenant: TenantOption = None,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="First day it is shown again, YYYY-MM-DD.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=365, help="Or: for this many days.")] = None,
) -> None:
    """Keep recommendations out of the lists for a while; they stay pending."""
    from aegis import decisions
    from aegis import summary_words as words

    day = parse_day(until, "--until") if until is not None else None
    database, found = _find("recommendation", ids, tenant)
    for one in found:
        instant = decisions.snooze(database, one, day, days)
        typer.echo(f"Snoozed {_name(one)} until {words.day_text(instant.date())}.")
        if instant >= one.row["expires_at"]:
            typer.echo(f"It expires before that, on {_instant(one.row['expires_at'], one.tenant)}.")


def outcomes(tenant: TenantOption = None) -> None:
    """Per rule how often advice that was followed was right, 7, 14 and 28 days later."""
    from rich.table import Table

    from aegis import decisions, plans
    from aegis import summary_words as words
    from aegis.summary_terminal import make_console

    console = make_console()
    database = _database()
    tenants = decisions.tenants_at_hand(database, tenant)
    rows = plans.read_outcomes(database, tenants)
    for owner in tenants:
        own = [row for row in rows if row["tenant_id"] == owner.tenant_id]
        if not own:
            continue
        table = Table(
            title=owner.name, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0), pad_edge=False,
            header_style="dim",
        )  # fmt: skip
        for number, heading in enumerate(
            (
                "rule",
                "after days",
                "followed",
                "right",
                "surely right",
                "surely wrong",
                "gain in 30 days",
                "expected",
            )
        ):
            table.add_column(heading, justify="right" if number else "left")
        for row in own:
            table.add_row(
                row["rule_id"],
                str(row["horizon_days"]),
                str(row["n_followed"]),
                "–"
                if row["share_right"] is None
                else f"{row['n_right']} ({words.share(row['share_right'])})",
                str(row["n_surely_right"]),
                str(row["n_surely_wrong"]),
                words.money(row["gain"], row["currency"], estimate=True),
                words.money(row["expected_gain"], row["currency"], estimate=True),
            )
        console.print(table)
        console.print()
    if not rows:
        console.print(
            "Nothing that was followed is old enough yet: outcomes are read after 7, 14 and 28 days."
        )


# -- anomalies ----------------------------------------------------------------------------------------------


def list_anomalies(
    tenant: TenantOption = None,
    status: Annotated[str | None, typer.Option(help=f"One of: {', '.join(ANOMALY_STATUSES)}.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Closed, explained and folded ones too.")] = False,
) -> None:
    """The open incidents, by money at stake."""
    from aegis import summary_words as words

    statuses = _statuses(status, everything, ANOMALY_STATUSES, ("active", "acknowledged"))

    def line(table: Table, row: dict[str, Any]) -> None:
        table.add_row(
            row["id"][:8],
            words.money(row["loss_per_day"], row["currency"], estimate=True),
            row["severity"],
            row["status"],
            f"{words.where(row)}\n{words.incident_headline(row)}",
            words.short_day(row["day"]),
        )

    _print_list(
        "anomaly", tenant, statuses, ("id", "a day", "severity", "status", "what is wrong", "since"), line,
        keep=lambda row: everything or (row["parent_id"] is None and row["explained_by"] is None),
        order=lambda row: (-(row["loss_per_day"] or 0) * row["rate"], row["id"]),
        empty="No incidents are open.",
    )  # fmt: skip


def show_anomaly(ids: Ids, tenant: TenantOption = None) -> None:
    """Everything about an incident: figures, likely cause, money, and who acknowledged it."""
    from aegis import summary_words as words

    database, found = _find("anomaly", ids, tenant)
    for one in found:
        row = one.row
        band = [
            words.metric_value(row["metric"], row[name], row["currency"])
            for name in ("lower_bound", "upper_bound")
        ]
        _print_facts(one, [
            ("what", words.incident_headline(row)),
            ("where", f"{words.where(row)} ({words.platform_name(row['platform'])}, {words.LEVELS[row['level']]})"),
            ("cause", words.incident_cause(row)),
            ("usual range", f"{band[0]} to {band[1]}" if words.NOTHING not in band else None),
            ("at stake", f"{words.money(row['loss_per_day'], row['currency'], estimate=True)} a day"),
            ("severity", row["severity"]),
            ("confidence", None if row["confidence"] is None else words.share(row["confidence"])),
            ("days", f"{words.day_text(row['day'])} to {words.day_text(row['last_day'])}"),
            ("status", row["status"]),
            ("explained", row["explained_by"] and f"by {row['explained_by'].replace('_', ' ')}"),
            ("part of", row["parent_id"] and str(row["parent_id"])),
            ("acknowledged", row["acknowledged_by"] and f"by {row['acknowledged_by']}"),
            ("known", f"as of {words.day_text(row['known_as_of'])}"),
            ("history", _history(database, "anomaly", one)),
        ])  # fmt: skip


def acknowledge(ids: Ids, tenant: TenantOption = None) -> None:
    """Say that you look after incidents: they leave the summary and stay open until they end."""
    from aegis import decisions

    database, found = _find("anomaly", ids, tenant)
    for one in found:
        if _already(one, "acknowledged"):
            continue
        decisions.acknowledge(database, one)
        _said(one, "acknowledged")


# -- shared -------------------------------------------------------------------------------------------------


def parse_day(text: str, option: str) -> Any:
    """A day as YYYY-MM-DD. Raises AegisError naming the option."""
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").date()
    except ValueError as problem:
        raise AegisError(
            f"{option} is {text!r}, which is no day.", "Write it as YYYY-MM-DD, as in 2026-03-01."
        ) from problem


def _database() -> Database:
    from aegis.database import open_database

    return open_database(say=note)


def _find(kind: Kind, ids: list[str], tenant: str | None) -> tuple[Database, list[Found]]:
    """All rows first, so that a wrong id changes nothing."""
    from aegis import decisions

    database = _database()
    tenants = decisions.tenants_at_hand(database, tenant)
    found = [decisions.find(database, kind, tenants, text) for text in ids]
    return database, list({one.id: one for one in found}.values())


def _statuses(
    status: str | None, everything: bool, known: tuple[str, ...], usual: tuple[str, ...]
) -> tuple[str, ...]:
    if status is None:
        return known if everything else usual
    if status.lower() not in known:
        raise AegisError(f"There is no status {status!r}.", f"Statuses: {', '.join(known)}.")
    return (status.lower(),)


def _print_list(
    kind: Kind, tenant: str | None, statuses: tuple[str, ...], headings: tuple[str, ...], line: Any, *, keep: Any,
    order: Any, empty: str,
) -> None:  # fmt: skip
    from rich.table import Table

    from aegis import decisions
    from aegis.summary_terminal import make_console

    console = make_console()
    database = _database()
    shown = 0
    for owner in decisions.tenants_at_hand(database, tenant):
        rows = sorted(
            (row for row in decisions.read_rows(database, kind, owner, statuses) if keep(row)), key=order
        )
        if not rows:
            continue
        shown += len(rows)
        table = Table(
            title=f"{owner.name} ({len(rows)})", title_justify="left", title_style="bold", box=None,
            padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True,
        )  # fmt: skip
        for number, heading in enumerate(headings):
            wide = number == len(headings) - 2
            table.add_column(
                heading,
                ratio=1 if wide else None,
                no_wrap=not wide,
                justify="right" if number == 1 else "left",
            )
        for row in rows:
            line(table, row)
        console.print(table)
        console.print()
    if not shown:
        console.print(empty)
        return
    command = decisions.COMMANDS[kind]
    follow = "approve, apply, reject or snooze ID" if kind == "recommendation" else "ack ID"
    console.print(f"Next: aegis {command} show ID, then {follow}.", style="dim")


def _print_facts(one: Found, facts: list[tuple[str, str | None]]) -> None:
    from rich.table import Table

    from aegis.summary_terminal import make_console

    table = Table(
        title=f"{one.id}  {one.tenant.name}", title_justify="left", title_style="bold", box=None, show_header=False,
        padding=(0, 2, 0, 0), pad_edge=False,
    )  # fmt: skip
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(name, value)
    make_console().print(table)


def _history(database: Database, kind: Kind, one: Found) -> str:
    from aegis import decisions

    lines = []
    for change in decisions.history(database, kind, one):
        what = ", ".join(
            f"{name} {_plain((change['old_values'] or {}).get(name))} → {_plain(value)}"
            for name, value in (change["new_values"] or {}).items()
        )
        lines.append(f"{_instant(change['changed_at'], one.tenant)}  {change['person']}  {what}")
    return "\n".join(lines)


def _action(action: dict[str, Any]) -> str:
    field = str(action.get("field", "")).replace("_", " ")
    before, after = action.get("from"), action.get("to")
    if before is None and after is None:
        return field
    return f"{field}: {_plain(before)} → {_plain(after)}"


def _plain(value: Any) -> str:
    import json

    return (
        value if isinstance(value, str) else "–" if value is None else json.dumps(value, ensure_ascii=False)
    )


def _instant(instant: datetime, owner: Tenant) -> str:
    from zoneinfo import ZoneInfo

    return f"{instant.astimezone(ZoneInfo(owner.timezone)):%Y-%m-%d %H:%M}"


def _is_snoozed(row: dict[str, Any]) -> bool:
    return row["snoozed_until"] is not None and row["snoozed_until"] > datetime.now(
        row["snoozed_until"].tzinfo
    )


def _status_of(row: dict[str, Any]) -> str:
    return "snoozed" if row["status"] == "pending" and _is_snoozed(row) else str(row["status"])


def _name(one: Found) -> str:
    from aegis import summary_words as words

    return f"{one.id[:8]}, {words.where(one.row)} of {one.tenant.name}"


def _already(one: Found, status: str) -> bool:
    if one.row["status"] != status:
        return False
    typer.echo(f"Already {status}: {_name(one)}. Nothing was changed.")
    return True


def _said(one: Found, done: str, following: str = "") -> None:
    what = one.row.get("description")
    typer.echo(f"{done.capitalize()} {_name(one)}{f': {what}' if what else ''}")
    if following:
        typer.echo(f"{following} {one.id[:8]}")
