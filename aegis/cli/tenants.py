"""Commands about tenants, their ad accounts and their configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from aegis.cli.frame import note

tenant_app = typer.Typer(help="Add, list and change tenants.", no_args_is_help=True)
account_app = typer.Typer(help="Add and list ad accounts.", no_args_is_help=True)
config_app = typer.Typer(help="Show and set targets, limits and thresholds.", no_args_is_help=True)

TenantOption = Annotated[str, typer.Option("--tenant", help="Name or id.")]


def register(app: typer.Typer) -> None:
    app.add_typer(tenant_app, name="tenant")
    app.add_typer(account_app, name="account")
    app.add_typer(config_app, name="config")


@tenant_app.command("add")
def tenant_add(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    currency: Annotated[
        str | None, typer.Option(help="Reporting currency, three letters; USD when left out.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA time zone; America/Toronto when left out.")
    ] = None,
    industry: Annotated[str | None, typer.Option(help="For comparing with benchmarks.")] = None,
) -> None:
    """Add a tenant and print its id."""
    from aegis.database import open_database
    from aegis.tenants import add_tenant

    with open_database(say=note).connect("admin") as connection:
        tenant = add_tenant(connection, name, currency, timezone, industry)
    typer.echo(tenant.tenant_id)
    note(f"Added {tenant.name}: reports in {tenant.currency}, days of {tenant.timezone}.")
    note(
        "Next: `aegis import csv FILE --tenant … --platform …`, or `aegis config set --tenant … target_roas=3`."
    )


@tenant_app.command("list")
def tenant_list() -> None:
    """List the tenants."""
    from aegis.database import open_database
    from aegis.tenants import list_accounts, list_tenants

    with open_database(say=note).connect("owner") as connection:
        tenants = list_tenants(connection)
        accounts = [row[0] for row in list_accounts(connection)]
    if not tenants:
        typer.echo("There are no tenants yet. Add one with: aegis tenant add NAME")
        return
    _print_table(
        ("name", "id", "currency", "time zone", "industry", "accounts", "shares benchmarks", ""),
        [
            (
                one.name,
                str(one.tenant_id),
                one.currency,
                one.timezone,
                one.industry or "-",
                str(accounts.count(one.name)),
                "yes" if one.share_benchmarks else "no",
                "demo" if one.is_demo else "",
            )
            for one in tenants
        ],
    )


@tenant_app.command("set")
def tenant_set(
    tenant: Annotated[str, typer.Argument(help="Name or id.")],
    pairs: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE…", help="currency, timezone, industry, share_benchmarks."),
    ],
) -> None:
    """Change a tenant; prints the old and the new value."""
    from aegis.database import open_database
    from aegis.tenants import resolve_tenant, set_tenant

    with open_database(say=note).connect("admin") as connection:
        changes = set_tenant(connection, resolve_tenant(connection, tenant), pairs)
    for change in changes:
        typer.echo(str(change))
    if any(change.key in ("currency", "timezone") and change.old != change.new for change in changes):
        note("Figures in the reporting currency and the as-of day follow with the next `aegis optimize`.")


@account_app.command("add")
def account_add(
    tenant: TenantOption,
    platform: Annotated[str, typer.Option(help="meta, tiktok, google, pinterest or shopify.")],
    account: Annotated[str, typer.Option(help="The platform's id of the account.")],
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    currency: Annotated[str | None, typer.Option(help="Three letters; the tenant's when left out.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA time zone of its days; the tenant's when left out.")
    ] = None,
    conversion_event: Annotated[
        str | None,
        typer.Option(
            help="What its conversions are of: purchase, lead, …; chosen at the first sync when left out."
        ),
    ] = None,
) -> None:
    """Make an ad account known, or correct one that is."""
    from aegis.database import open_database
    from aegis.tenants import add_account, resolve_tenant

    with open_database(say=note).connect("admin") as connection:
        found = resolve_tenant(connection, tenant)
        is_new, changes = add_account(
            connection, found, platform, account, name, currency, timezone, conversion_event
        )
    if is_new:
        typer.echo(f"Added the {platform.strip().lower()} account {account.strip()} of {found.name}.")
        return
    typer.echo(f"{found.name} already has that account{':' if changes else '; nothing to change.'}")
    for change in changes:
        typer.echo(str(change))


@account_app.command("list")
def account_list(
    tenant: Annotated[str | None, typer.Option(help="Name or id; all when left out.")] = None,
) -> None:
    """List ad accounts."""
    from aegis.database import open_database
    from aegis.tenants import list_accounts, resolve_tenant

    with open_database(say=note).connect("owner") as connection:
        found = resolve_tenant(connection, tenant) if tenant is not None else None
        accounts = list_accounts(connection, found)
    if not accounts:
        typer.echo("There are no ad accounts yet: imports add them, or `aegis account add`.")
        return
    _print_table(
        ("tenant", "platform", "account", "name", "currency", "time zone", "source", "status"),
        [tuple("-" if value is None else str(value) for value in row) for row in accounts],
    )


@config_app.command("show")
def config_show(
    tenant: Annotated[str | None, typer.Option(help="Name or id; the defaults when left out.")] = None,
    platform: Annotated[str | None, typer.Option(help="One platform; all when left out.")] = None,
) -> None:
    """Show what is in force. A star marks what the tenant set itself; everything else is the default."""
    from aegis.database import open_database
    from aegis.tenants import CONFIG_KEYS, PLATFORMS, check_platform, read_config_tables, show_value

    platforms = (check_platform(platform),) if platform is not None else PLATFORMS
    found, tables = read_config_tables(open_database(say=note), tenant, platforms)
    typer.echo(
        f"{found.name}, in {found.currency} where nothing else is set"
        if found
        else "Defaults for every tenant"
    )
    rows = []
    for key in CONFIG_KEYS:
        cells = []
        for one in platforms:
            in_force, own = tables.get(one, ({}, {}))
            cells.append(show_value(in_force.get(key)) + (" *" if own.get(key) is not None else ""))
        rows.append((key, *cells))
    _print_table(("", *platforms), rows)
    if found:
        typer.echo(
            "* set by this tenant; the others are defaults, converted into its currency where a rate is known"
        )


@config_app.command("set")
def config_set(
    tenant: TenantOption,
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE…", help="A column, or thresholds.NAME; an empty value is the default again."
        ),
    ],
    platform: Annotated[
        list[str] | None, typer.Option(help="May be repeated; all platforms when left out.")
    ] = None,
) -> None:
    """Set targets, limits and thresholds of a tenant; prints the old and the new value."""
    from aegis.database import open_database
    from aegis.tenants import PLATFORMS, check_platform, resolve_tenant, set_config

    platforms = [check_platform(one) for one in platform] if platform else list(PLATFORMS)
    database = open_database(say=note)
    with database.connect("owner") as connection:
        found = resolve_tenant(connection, tenant)
    with database.connect("app") as connection:
        changes = set_config(connection, found, list(dict.fromkeys(platforms)), pairs)
    typer.echo(found.name)
    for change in changes:
        typer.echo(f"  {change}")
    if any(change.key == "auto_pause" for change in changes):
        note("auto_pause is kept for old calls and does nothing: Aegis never writes to a platform.")


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Plain columns, as wide as their content: nothing is cut when the output goes to a file."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    for row in (header, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
