"""The morning summary for a terminal of 80 columns or more. Colour repeats what the words already say."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from aegis import summary_words as words

if TYPE_CHECKING:
    from aegis.summary import Advice, Figures, Incident, Summary, TenantSummary

SHOWN = 5
WIDEST = 120
_SEVERITY_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
_NOTE_WORDS = {
    "stale": "stale", "missing": "missing", "withheld": "withheld", "provisional": "provisional",
    "refused": "refused", "no_rate": "no rate", "odd": "odd",
}  # fmt: skip


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print all tenants of the summary, one after the other."""
    console = console or make_console()
    if not summary.tenants:
        console.print("There are no tenants yet: `aegis tenant add NAME` adds one, `aegis demo load` three.")
        return
    for tenant in summary.tenants:
        console.print(render_tenant(tenant))


def make_console() -> Console:
    """Standard output, at most WIDEST columns wide; names are never taken for markup."""
    console = Console(markup=False, highlight=False, emoji=False)
    if console.width > WIDEST:
        console = Console(markup=False, highlight=False, emoji=False, width=WIDEST)
    return console


def render_tenant(tenant: TenantSummary) -> RenderableType:
    """One tenant: heading, figures, incidents, recommendations, state of the data."""
    title = Text(tenant.name, style="bold")
    title.append(
        f"  as of {words.day_text(tenant.as_of)}" if tenant.as_of else "  no figures yet", style="dim"
    )
    if tenant.is_demo:
        title.append("  demo", style="dim")
    parts: list[RenderableType] = [Text(""), Rule(title, align="left", style="dim")]
    if tenant.failed_run:
        parts.append(Text(f"! {tenant.failed_run}", style="bold red"))
    if tenant.total is None:
        parts.append(Text(
            "No figures yet. Import a file (`aegis import csv FILE …`), then run `aegis optimize`.", style="dim"
        ))  # fmt: skip
        return Group(*parts)
    parts.append(_figures(tenant))
    parts.extend(_incidents(tenant))
    parts.extend(_advice(tenant))
    parts.extend(_notes(tenant))
    return Group(*parts)


def _figures(tenant: TenantSummary) -> RenderableType:
    assert tenant.total is not None
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(f"{words.span(_days_of(tenant.total.current))} against the 7 days before")
    table.add_column("Spend", justify="right", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("ROAS", justify="right", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    for name, line, style in [
        ("All platforms", tenant.total, "bold"),
        *((words.platform_name(platform), line, "") for platform, line in tenant.platforms),
    ]:
        table.add_row(
            Text(name, style=style),
            Text(words.money(line.current.spend, tenant.currency), style=style),
            Text(words.change(line.change_spend), style="dim"),
            Text(words.ratio(line.current.roas), style=style),
            _good_or_bad(line.change_roas),
        )
    lines: list[RenderableType] = [table]
    growing = _growing(tenant.total.current)
    if growing:
        lines.append(Text(growing, style="dim"))
    return Group(*lines)


def _days_of(figures: Figures) -> list[date]:
    return [figures.first + timedelta(days=n) for n in range((figures.last - figures.first).days + 1)]


def _growing(current: Figures) -> str:
    if not current.is_growing:
        return ""
    return (
        f"About {words.share(current.maturity)} of the conversions are known so far; ROAS should reach about "
        f"{words.ratio(current.roas_expected)}. Changes are compared at full maturity."
    )


def _good_or_bad(value: Decimal | None) -> Text:
    if value is None:
        return Text(words.NOTHING, style="dim")
    style = "green" if value >= Decimal("0.05") else "red" if value <= Decimal("-0.05") else "dim"
    return Text(words.change(value), style=style)


def _section(title: str, remark: str = "") -> Text:
    line = Text(f"\n{title}", style="bold")
    if remark:
        line.append(f"  {remark}", style="dim not bold")
    return line


def _incidents(tenant: TenantSummary) -> Iterable[RenderableType]:
    aside = [
        text for count, text in (
            (tenant.acknowledged, f"{tenant.acknowledged} acknowledged"),
            (tenant.explained, f"{tenant.explained} explained by the change log"),
        ) if count
    ]  # fmt: skip
    yield _section(f"What is wrong ({len(tenant.incidents)})", ", ".join(["by money at stake a day", *aside]))
    if not tenant.incidents:
        yield Text(words.nothing_wrong(bool(tenant.failed_run)), style="dim")
    else:
        table = _list_table()
        for one in tenant.incidents[:SHOWN]:
            table.add_row(_incident_amount(one), _incident_text(one))
        yield table
        yield from _more(len(tenant.incidents), "anomalies", tenant)
    for one in tenant.ended[:SHOWN]:
        yield Text(
            words.ended(one.where, one.platform, one.headline, one.first_day, one.last_day), style="dim"
        )


def _incident_amount(one: Incident) -> Text:
    amount = words.money(one.loss_per_day, one.currency, estimate=True)
    return Text(amount, style=_SEVERITY_STYLES.get(one.severity, ""))


def _incident_text(one: Incident) -> Text:
    text = Text(one.where, style="bold")
    since = words.short_day(one.first_day)
    aside = f"{words.platform_name(one.platform)}, {one.severity}, since {since}, id {one.incident_id[:8]}"
    text.append(f"  {aside}", "dim not bold")
    text.append(f"\n{one.headline}. {one.cause}", "not bold")
    if one.folded:
        text.append(f" {words.plural(one.folded, 'smaller incident')} with it.", "dim not bold")
    return text


def _advice(tenant: TenantSummary) -> Iterable[RenderableType]:
    aside = [
        text for count, text in (
            (tenant.approved, f"{tenant.approved} approved, waiting to be applied"),
            (tenant.snoozed, f"{tenant.snoozed} snoozed"),
        ) if count
    ]  # fmt: skip
    yield _section(
        f"What to change ({len(tenant.advice)})", ", ".join(["by expected gain in 30 days", *aside])
    )
    if not tenant.advice:
        yield Text(words.nothing_to_change(bool(tenant.failed_run)), style="dim")
        return
    table = _list_table()
    for one in tenant.advice[:SHOWN]:
        amount = Text(
            words.money(one.impact, one.currency, estimate=True), style="green" if one.impact else "dim"
        )
        table.add_row(amount, _advice_text(one))
    yield table
    yield from _more(len(tenant.advice), "recommendations", tenant)


def _advice_text(one: Advice) -> Text:
    text = Text(one.where, style="bold")
    aside = f"{words.platform_name(one.platform)}, {one.priority}, id {one.recommendation_id[:8]}"
    text.append(f"  {aside}", "dim not bold")
    text.append(f"\n{one.description.rstrip('.')}. {one.reason}", "not bold")
    return text


def _list_table() -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False, expand=True)
    table.add_column(justify="right", no_wrap=True, min_width=10)
    table.add_column(ratio=1)
    return table


def _more(count: int, command: str, tenant: TenantSummary) -> Iterable[RenderableType]:
    if count > SHOWN:
        yield Padding(
            Text(
                f"… and {count - SHOWN} more (aegis {command} list --tenant {shlex.quote(tenant.name)})",
                style="dim",
            ),
            (0, 0, 0, 12),
        )


def _notes(tenant: TenantSummary) -> Iterable[RenderableType]:
    yield _section("About the data")
    if not tenant.notes:
        yield Text("Complete: nothing is stale, provisional or missing.", style="dim")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False, expand=True)
    table.add_column(justify="right", no_wrap=True, min_width=10, style="yellow")
    table.add_column(ratio=1)
    for note in tenant.notes[:SHOWN]:
        table.add_row(_NOTE_WORDS.get(note.kind, note.kind), note.text)
    yield table
    if len(tenant.notes) > SHOWN:
        yield Padding(
            Text(f"… and {len(tenant.notes) - SHOWN} more (all are in .aegis/summary.html)", style="dim"),
            (0, 0, 0, 12),
        )
