"""Commands for what people plan: budgets list, show, set; tests list, show, add, start, complete, cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis.cli.decisions import TenantOption, parse_day
from aegis.cli.frame import note

if TYPE_CHECKING:
    from rich.table import Table

    from aegis.database import Database
    from aegis.plans import Kind, Planned
    from aegis.tenants import Tenant

OneTenant = Annotated[str, typer.Option("--tenant", help="Name or id.")]
PlatformOption = Annotated[str, typer.Option(help="meta, tiktok, google or pinterest.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Ids, or beginnings of them.")]
WIDE = ("campaign and period", "test")  # columns that take what the others leave
Json = Annotated[bool, typer.Option("--json", help="One JSON list for programs.")]


def register(app: typer.Typer) -> None:
    budgets = typer.Typer(
        help="Budgets of campaigns and how they pace: list, show, set.",
        no_args_is_help=True, rich_markup_mode=None,
    )  # fmt: skip
    commands: dict[str, Callable[..., None]] = {"list": list_budgets, "show": show_budgets, "set": set_budget}
    for name, command in commands.items():
        budgets.command(name)(command)
    app.add_typer(budgets, name="budgets")

    tests = typer.Typer(
        help="A/B tests and their read-outs: list, show, add, start, complete, cancel.",
        no_args_is_help=True, rich_markup_mode=None,
    )  # fmt: skip
    commands = {
        "list": list_tests, "show": show_tests, "add": add_test, "start": start, "complete": complete, "cancel": cancel,
    }  # fmt: skip
    for name, command in commands.items():
        tests.command(name)(command)
    app.add_typer(tests, name="tests")


# -- budgets ------------------------------------------------------------------------------------------------


def list_budgets(
    tenant: TenantOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Periods that are over, too.")] = False,
    as_json: Json = False,
) -> None:
    """Budgets whose period is not over, with spend, pace and projected end."""
    from aegis import summary_words as words

    def line(table: Table, row: dict[str, Any]) -> None:
        currency = row["currency"]
        table.add_row(
            row["id"][:8],
            words.money(row["budget"], currency, estimate=True),
            words.money(row["spend_to_date"], currency, estimate=True),
            words.money(row["projected_spend"], currency, estimate=True),
            (row["pacing_status"] or "not read yet").replace("_", " "),
            f"{words.where(row)} ({words.platform_name(row['platform'])}), "
            f"{_period(row['period_start'], row['period_end'])}",
        )

    _print_list(
        "budget", tenant, line,
        ("id", "budget", "spent", "projected", "pace", "campaign and period"), 4,
        keep=lambda row: everything or not _is_over(row), as_json=as_json,
        empty="There is no budget of a running period.", following="aegis budgets show ID",
    )  # fmt: skip


def show_budgets(ids: Ids, tenant: TenantOption = None) -> None:
    """Everything about a budget: pace, band, what would meet it, and what another split would earn."""
    from aegis import summary_words as words

    for one in _find("budget", ids, tenant)[1]:
        row, found = one.row, one.row["results"] or {}
        currency = row["currency"]

        def money(amount: Any, currency: str = currency) -> str | None:
            from decimal import Decimal

            return None if amount is None else words.money(Decimal(str(amount)), currency)

        band, gain = found.get("band"), found.get("gain_interval")
        _print_facts(one, [
            ("where", f"{words.where(row)} ({words.platform_name(row['platform'])})"),
            ("period", f"{words.day_text(row['period_start'])} to {words.day_text(row['period_end'])}"),
            ("budget", money(row["budget"])),
            ("spent", money(row["spend_to_date"])),
            ("called for", money(row["expected_to_date"])),
            ("pace", row["pacing"] and f"{words.share(row['pacing'])} of what the weekdays call for"
                + (f", band {band[0] * 100:.0f} to {band[1] * 100:.0f} %" if band else "")),
            ("status", (row["pacing_status"] or "not read yet").replace("_", " ")),
            ("why", found.get("reason")),
            ("projected", money(row["projected_spend"])),
            ("to meet it", (found.get("daily_spend_to_meet_budget") is not None
                and f"{money(found['daily_spend_to_meet_budget'])} on an ordinary day") or None),
            ("advised", money(row["recommended_budget"])),
            ("reallocation", found.get("reallocation")),
            ("gain", gain and f"{money(found['gain_of_all_moves'])} from all moves of the period, "
                f"likely {money(gain[0])} to {money(gain[1])}"),
            ("return", row["expected_return"] and f"{money(row['expected_return'])} in the days left"),
            ("notes", row["notes"]),
            ("set by", row["created_by"]),
            ("read", found.get("as_of") and f"as of {found['as_of']}"),
        ])  # fmt: skip


def set_budget(
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's id at the platform.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="For the whole period.")],
    tenant: OneTenant,
    platform: PlatformOption,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="Default: this month.")] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Default: end of that month.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Default: the tenant's.")] = None,
    notes: Annotated[str | None, typer.Option(help="For whoever reads it later.")] = None,
) -> None:
    """Set the budget of a campaign and period; the next daily run reads it."""
    from aegis import plans
    from aegis import summary_words as words

    database = _database()
    (owner,) = _tenants(database, tenant)
    row = plans.set_budget(
        database, owner, platform, campaign, amount,
        first=None if first is None else parse_day(first, "--from"),
        last=None if last is None else parse_day(last, "--to"),
        currency=currency, notes=notes,
    )  # fmt: skip
    typer.echo(
        f"Set {row['id'][:8]}: {words.money(row['budget'], row['currency'])} for campaign {row['campaign_id']} of "
        f"{owner.name}, {words.day_text(row['period_start'])} to {words.day_text(row['period_end'])}."
    )


# -- tests --------------------------------------------------------------------------------------------------


def list_tests(
    tenant: TenantOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Completed and cancelled ones too.")] = False,
    as_json: Json = False,
) -> None:
    """Tests that run or are being prepared, with what is known so far."""
    from aegis import summary_words as words

    def line(table: Table, row: dict[str, Any]) -> None:
        found = row["results"] or {}
        table.add_row(
            row["id"][:8],
            row["status"],
            (row["verdict"] or "not read yet").replace("_", " "),
            row["metric"],
            _chance(row["sequential_p_value"]),
            f"{row['name']} ({words.platform_name(row['platform'])}, {row['test_type']})\n"
            f"{found.get('reason') or ''}",
            words.short_day(row["start_date"]),
        )

    _print_list(
        "test", tenant, line, ("id", "status", "verdict", "metric", "p", "test", "since"), 0,
        keep=lambda row: everything or row["status"] in ("draft", "running"), as_json=as_json,
        empty="No test is running.", following="aegis tests show ID",
    )  # fmt: skip


def show_tests(ids: Ids, tenant: TenantOption = None) -> None:
    """The read-out of a test: verdict and reason, each variant, each comparison with both intervals."""
    from aegis import summary_words as words

    for one in _find("test", ids, tenant)[1]:
        row, found = one.row, one.row["results"] or {}
        _print_facts(one, [
            ("test", f"{row['name']} ({row['test_type']}, {row['metric']}, {words.platform_name(row['platform'])})"),
            ("status", row["status"]),
            ("verdict", (row["verdict"] or "not read yet").replace("_", " ")),
            ("why", found.get("reason")),
            ("winner", row["winner"]),
            ("ahead", found.get("leader") and row["probability_best"] is not None
                and f"{found['leader']}: best with {words.share(row['probability_best'])} chance, "
                f"expected loss {_figure(float(row['expected_loss']))} {row['metric']}"),
            ("days", found.get("days") is not None and f"{found['days']} of at least {row['min_days']}"),
            ("sample", found.get("sample") is not None
                and f"{found['sample']} {found.get('sample_unit')} of at least {row['min_sample']} in each variant"),
            ("always valid", row["sequential_p_value"] is not None
                and f"p {_chance(row['sequential_p_value'])}, at any look"),
            ("fixed horizon", row["p_value"] is not None and f"p {_chance(row['p_value'])}, for one look at the end"),
            ("split", row["srm_p_value"] is not None and f"p {_chance(row['srm_p_value'])}"),
            ("assignment", row["assignment"].replace("_", " ")),
            ("runs", f"{words.day_text(row['start_date'])} to {words.day_text(row['end_date'])}"),
            ("warnings", "\n".join(found.get("warnings") or [])),
            ("variants", "\n".join(_variant(v, row["metric"]) for v in found.get("variants") or [])),
            ("differences", "\n".join(_comparison(c) for c in found.get("comparisons") or [])),
            ("read", found.get("as_of") and f"as of {found['as_of']}"),
        ])  # fmt: skip


def add_test(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the test is called.")],
    tenant: OneTenant,
    platform: PlatformOption,
    variant: Annotated[
        list[str],
        typer.Option(metavar="NAME=LEVEL:ID", help="Repeat; the first is the control; @WEIGHT if uneven."),
    ],
    kind: Annotated[
        str, typer.Option("--type", help="creative, audience, bidding, placement or timing.")
    ] = "creative",
    metric: Annotated[str, typer.Option(help="ctr, cvr, cpc, cpa or roas.")] = "cpa",
    assignment: Annotated[
        str, typer.Option(help="platform_split_test, geo_split, time_split or observational.")
    ] = "observational",
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="Default: today.")] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Default: until it is completed.")
    ] = None,
    min_sample: Annotated[int | None, typer.Option(help="Events in each variant; default 100.")] = None,
    min_days: Annotated[int | None, typer.Option(help="Default 14.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Write it down only; `start` begins it.")] = False,
) -> None:
    """Start a test; the next daily run reads it. Only a platform's split test or a geo split can have a winner."""
    from aegis import plans

    database = _database()
    (owner,) = _tenants(database, tenant)
    row = plans.add_test(
        database, owner, name, platform, variant, test_type=kind, metric=metric, assignment=assignment,
        start_date=None if first is None else parse_day(first, "--from"),
        end_date=None if last is None else parse_day(last, "--to"),
        min_sample=min_sample, min_days=min_days, status="draft" if draft else "running",
    )  # fmt: skip
    typer.echo(f"Added {row['id'][:8]}: test {row['name']!r} of {owner.name} is {row['status']}.")


def start(ids: Ids, tenant: TenantOption = None) -> None:
    """Begin tests that are drafts."""
    _change_status(ids, tenant, "running")


def complete(ids: Ids, tenant: TenantOption = None) -> None:
    """End tests; days after today no longer count."""
    _change_status(ids, tenant, "completed")


def cancel(ids: Ids, tenant: TenantOption = None) -> None:
    """Give tests up; their last read-out stays."""
    _change_status(ids, tenant, "cancelled")


def _change_status(ids: list[str], tenant: str | None, status: str) -> None:
    from aegis import plans

    database, found = _find("test", ids, tenant)
    for one in found:
        row = plans.set_status(database, one, status)
        typer.echo(f"{row['id'][:8]}: test {row['name']!r} of {one.tenant.name} is {row['status']}.")


# -- shared -------------------------------------------------------------------------------------------------


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _chance(value: Any) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _variant(variant: dict[str, Any], metric: str) -> str:
    best = variant.get("probability_best")
    return (
        f"{variant['name']}{' (control)' if variant['is_control'] else ''}: {metric} {_figure(variant['value'])} "
        f"± {_figure(variant['standard_error'])} in {variant['days']} days"
        + ("" if best is None else f", best with {best * 100:.0f} % chance")
    )


def _comparison(found: dict[str, Any]) -> str:
    def interval(bounds: Sequence[float] | None) -> str:
        return "unbounded" if bounds is None else f"{_figure(bounds[0])} to {_figure(bounds[1])}"

    relative = found.get("relative_difference")
    return (
        f"{found['variant']} against {found['control']}: {_figure(found['difference'])}"
        + ("" if relative is None else f" ({relative * 100:+.1f} %)")
        + f"; always valid {interval(found['sequential_interval'])}, fixed horizon {interval(found['interval'])}"
    )


def _is_over(row: dict[str, Any]) -> bool:

    return bool(row["period_end"] < date.today())


def _database() -> Database:
    from aegis.database import open_database

    return open_database(say=note)


def _tenants(database: Database, tenant: str | None) -> list[Tenant]:
    from aegis.decisions import tenants_at_hand

    return tenants_at_hand(database, tenant)


def _find(kind: Kind, ids: list[str], tenant: str | None) -> tuple[Database, list[Planned]]:
    """All rows first, so that a wrong id changes nothing."""
    from aegis import plans

    database = _database()
    tenants = _tenants(database, tenant)
    found = [plans.find(database, kind, tenants, text) for text in ids]
    return database, list({one.id: one for one in found}.values())


def _period(first: date, last: date) -> str:
    from aegis import summary_words as words

    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    return words.span(days)


def _print_list(
    kind: Kind, tenant: str | None, line: Callable[[Table, dict[str, Any]], None], headings: tuple[str, ...],
    amounts: int, *, keep: Callable[[dict[str, Any]], bool], as_json: bool, empty: str, following: str,
) -> None:  # fmt: skip
    from rich.table import Table

    from aegis import plans
    from aegis.summary_terminal import make_console

    database = _database()
    lists = [
        (owner, [row for row in plans.read(database, kind, owner) if keep(row)])
        for owner in _tenants(database, tenant)
    ]
    if as_json:
        import json

        typer.echo(json.dumps([row for _, rows in lists for row in rows], default=str, indent=1))
        return
    console = make_console()
    for owner, rows in lists:
        if not rows:
            continue
        table = Table(
            title=f"{owner.name} ({len(rows)})", title_justify="left", title_style="bold", box=None,
            padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True,
        )  # fmt: skip
        for number, heading in enumerate(headings):
            wide = heading in WIDE
            table.add_column(
                heading, ratio=1 if wide else None, no_wrap=not wide,
                justify="right" if 0 < number < amounts else "left",
            )  # fmt: skip
        for row in rows:
            line(table, row)
        console.print(table)
        console.print()
    if not any(rows for _, rows in lists):
        console.print(empty)
        return
    console.print(f"Next: {following}.", style="dim")


def _print_facts(one: Planned, facts: list[tuple[str, Any]]) -> None:
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
            table.add_row(name, str(value))
    make_console().print(table)
