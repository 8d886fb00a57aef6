"""Commands that take files in: import csv, import history, import rates."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis.cli.frame import note
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    from aegis.database import Database
    from dlt_pipelines.manual import ImportResult

PARTLY = 3

import_app = typer.Typer(help="Take in files: exports, histories, exchange rates.", no_args_is_help=True)

SHOWN_REFUSALS = 10
# What an import brings up to date by itself; `aegis optimize` builds the rest. One export is small enough to be seen
# in ads.metrics_daily at once, a history of 150,000 rows waits for the daily run.
HISTORY = "+path:models/history"
MODELS = {"csv": (HISTORY, "+metrics_daily"), "history": (HISTORY,), "rates": (HISTORY,)}

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV (or parquet).", show_default=False)]
DecimalOption = Annotated[
    str | None, typer.Option(metavar="point|comma", help="The decimal mark, where the file leaves it open.")
]
DatesOption = Annotated[
    str | None,
    typer.Option(
        metavar="day-first|month-first", help="How 03/04/2026 is meant, where the file leaves it open."
    ),
]
EncodingOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where it is neither UTF-8 nor UTF-16: cp1252, latin-1, …")
]


def register(app: typer.Typer) -> None:
    app.add_typer(import_app, name="import")


@import_app.command("csv")
def import_csv(
    file: FileArgument,
    tenant: Annotated[str, typer.Option(help="Name or id.")],
    platform: Annotated[str, typer.Option(help="meta, tiktok, google or pinterest.")],
    account: Annotated[
        str | None, typer.Option(help="The ad account's id, where the file does not say it.")
    ] = None,
    day: Annotated[
        str | None, typer.Option(metavar="DAY", help="Puts every row on that day, for a file without days.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Three letters, where the file does not say it.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="COLUMN=FIELD", help="What a column means; repeatable. Also =ignore, =breakdown."
        ),
    ] = None,
    decimal: DecimalOption = None,
    dates: DatesOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Take in an export of one tenant and platform, as an ads manager writes it or with columns of your own."""
    from aegis.cli.decisions import parse_day
    from aegis.database import open_database
    from aegis.deploy import ensure_deployed
    from aegis.tenants import resolve_tenant
    from dlt_pipelines import manual
    from dlt_pipelines.manual.headings import parse_mapping

    _check(decimal, dates)
    begun = time.monotonic()
    chosen_day = parse_day(day, "--day") if day is not None else None
    chosen_mapping = parse_mapping(mapping or [])
    database = open_database(say=note)
    ensure_deployed(database, note)
    with database.connect("owner") as connection:
        found = resolve_tenant(connection, tenant)
    note(f"Reading {file.name} for {found.name} …")
    result = manual.import_csv(
        database.connections(),
        file,
        tenant_id=str(found.tenant_id),
        platform=platform.strip().lower(),
        account=account,
        day=chosen_day,
        currency=currency.strip().upper() if currency else None,
        mapping=chosen_mapping,
        decimal=decimal,
        dates=dates,
        encoding=encoding,
    )
    _finish(database, result, begun)


@import_app.command("history")
def import_history(
    ads: Annotated[
        Path, typer.Option(metavar="FILE", help="Figures: one row per entity and day. CSV or parquet.")
    ],
    campaigns: Annotated[
        Path | None, typer.Option(metavar="FILE", help="How campaigns stand at the end of the file.")
    ] = None,
    changes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Changes of campaigns, each with its day.")
    ] = None,
    create_tenants: Annotated[
        bool,
        typer.Option("--create-tenants", help="Create the tenants the files name and Aegis does not know."),
    ] = False,
    decimal: DecimalOption = None,
    dates: DatesOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Take in figures of many tenants, platforms and accounts, with their campaigns and changes."""
    from aegis.database import open_database
    from aegis.deploy import ensure_deployed
    from dlt_pipelines import manual

    _check(decimal, dates)
    begun = time.monotonic()
    database = open_database(say=note)
    ensure_deployed(database, note)
    note(f"Reading {', '.join(file.name for file in (ads, campaigns, changes) if file)} …")
    result = manual.import_history(
        database.connections(), ads, campaigns=campaigns, changes=changes, create_tenants=create_tenants,
        decimal=decimal, dates=dates, encoding=encoding,
    )  # fmt: skip
    _finish(database, result, begun)


@import_app.command("rates")
def import_rates(
    file: FileArgument,
    decimal: DecimalOption = None,
    dates: DatesOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Take in exchange rates per euro: day, currency, rate; or the European Central Bank's history file."""
    from aegis.database import open_database
    from aegis.deploy import ensure_deployed
    from dlt_pipelines import manual

    _check(decimal, dates)
    begun = time.monotonic()
    database = open_database(say=note)
    ensure_deployed(database, note)
    note(f"Reading {file.name} …")
    result = manual.import_rates(
        database.connections(), file, decimal=decimal, dates=dates, encoding=encoding
    )
    _finish(database, result, begun)


def _check(decimal: str | None, dates: str | None) -> None:
    if decimal not in (None, "point", "comma"):
        raise AegisError(f"--decimal is {decimal!r}.", "Write --decimal point or --decimal comma.")
    if dates not in (None, "day-first", "month-first"):
        raise AegisError(f"--dates is {dates!r}.", "Write --dates day-first or --dates month-first.")


def _finish(database: Database, result: ImportResult, begun: float) -> None:
    """Judge and take into history what arrived, then say what was done. Raises where nothing was taken.

    Ends with code 3 where some rows were refused and the others loaded, so that no script takes a part for the whole.
    """
    if not result.unchanged and not result.rows_imported:
        _print_refusals(result)
        raise AegisError(
            f"Nothing of {result.source_name} was imported: all {result.rows_refused:,} rows were refused.",
            "Nothing was changed. Correct the file, or say with the options (--help) how it is to be read.",
        )
    _take_in(database, result)
    _print_summary(result, time.monotonic() - begun)
    if result.rows_refused and not result.unchanged:
        raise typer.Exit(PARTLY)


def _take_in(database: Database, result: ImportResult) -> None:
    """The quality step and the version model; a build that is under way is waited for."""
    from flows.quality import has_news, judge_files

    connections = database.connections()
    if result.unchanged and not has_news(connections):
        return
    from flows.transform import build

    note("Taking it into the history …")
    judge_files(connections)
    built = build(connections, select=MODELS[result.kind])
    if not built.ok:
        first = built.failures[0] if built.failures else None
        raise AegisError(
            f"{result.source_name} is loaded, but the history could not be built"
            + (f": {first.name}: {first.message}" if first else "."),
            f"Nothing is lost: `aegis optimize` takes it in. Details are in {built.log_path}.",
        )


def _print_summary(result: ImportResult, seconds: float) -> None:
    if result.unchanged:
        typer.echo(f"{result.source_name} is in force already; nothing was changed.")
        for text in result.notes[-1:]:
            typer.echo(text)
        return
    counts = [
        f"{result.rows_read:,} rows read",
        f"{result.rows_imported:,} loaded",
        f"{result.rows_refused:,} refused",
    ]
    if result.rows_skipped:
        counts.append(f"{result.rows_skipped:,} of totals skipped")
    typer.echo(f"{result.source_name}: {', '.join(counts)} in {seconds:.1f} s.")
    if result.first_day is not None:
        covered = f", {result.coverage_days:,} account-days covered" if result.coverage_days else ""
        typer.echo(f"  days  {_days(result.first_day, result.last_day)}{covered}")
    for total in result.totals:
        figures = [
            ("spend", _money(total.spend)),
            ("impressions", _count(total.impressions)),
            ("clicks", _count(total.clicks)),
            ("conversions", _money(total.conversions)),
            ("value", _money(total.conversion_value)),
        ]
        typer.echo(f"  {total.currency}   " + " · ".join(f"{name} {text}" for name, text in figures))
    if result.tenants_created:
        names = ", ".join(result.tenants_created[:10])
        more = f" and {len(result.tenants_created) - 10} more" if len(result.tenants_created) > 10 else ""
        typer.echo(f"  new tenants: {names}{more}")
    for text in result.notes:
        typer.echo(f"  {text}")
    _print_refusals(result)
    if result.kind == "rates":
        typer.echo("Next: `aegis optimize` converts amounts with them.")
    elif result.kind == "csv":
        typer.echo(
            "The figures stand in ads.metrics_daily. Next: `aegis optimize` judges them, then `aegis summary`."
        )
    else:
        typer.echo("Next: `aegis optimize` builds the marts, then `aegis summary`.")


def _print_refusals(result: ImportResult) -> None:
    if not result.refused:
        return
    note(
        f"Refused {result.rows_refused:,} {'row' if result.rows_refused == 1 else 'rows'}, kept in ops.quarantine:"
    )
    for line, reason in result.refused[:SHOWN_REFUSALS]:
        note(f"  line {line} {reason}" if line is not None else f"  {reason}")
    if len(result.refused) > SHOWN_REFUSALS:
        note(
            f"  … and {len(result.refused) - SHOWN_REFUSALS:,} more: select line, reason, payload from ops.quarantine "
            f"where load_id = '{result.load_id}'"
        )


def _days(first: date, last: date | None) -> str:
    return f"{first}" if last is None or first == last else f"{first} to {last}"


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
