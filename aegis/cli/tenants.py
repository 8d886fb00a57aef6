"""Commands about tenants, their ad accounts and their configuration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis.cli.frame import note

if TYPE_CHECKING:
    import psycopg

    from aegis.tenants import Tenant

tenant_app = typer.Typer(help="Add, list and change tenants.", no_args_is_help=True)
account_app = typer.Typer(help="Add and list ad accounts.", no_args_is_help=True)
config_app = typer.Typer(help="Show and set targets, limits and thresholds.", no_args_is_help=True)

login_app = typer.Typer(help="Logins bound to tenants, for people and BI tools.", no_args_is_help=True)

TenantOption = Annotated[str, typer.Option("--tenant", help="Name or id.")]


def register(app: typer.Typer) -> None:
    tenant_app.add_typer(login_app, name="login")
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
    from aegis.deploy import ensure_deployed
    from aegis.tenants import add_tenant

    database = open_database(say=note)
    ensure_deployed(database, note)
    with database.connect("owner") as connection:
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

    with open_database(say=note).connect("owner") as connection:
        changes = set_tenant(connection, resolve_tenant(connection, tenant), pairs)
    for change in changes:
        typer.echo(str(change))
    if any(change.key in ("currency", "timezone") and change.old != change.new for change in changes):
        note("Figures in the reporting currency and the as-of day follow with the next `aegis optimize`.")


@login_app.command("add")
def login_add(
    tenant: TenantOption,
    name: Annotated[str, typer.Option(help="Of the login: small letters, digits and _.")],
    also: Annotated[
        list[str] | None, typer.Option(help="Further tenants it sees: names or ids, separated by commas.")
    ] = None,
    role: Annotated[str, typer.Option(help="reader, buyer or analyst.")] = "reader",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Take the password from standard input.")
    ] = False,
) -> None:
    """Make a login that sees these tenants only. Its password is printed once and kept nowhere."""
    from aegis.database import open_database
    from aegis.logins import add_login

    database = open_database(say=note)
    with database.connect("owner") as connection:
        tenants = _named(connection, [tenant, *(also or [])])
    password = add_login(database, tenants, name, role, _password_from_stdin(password_stdin))
    note(f"Made the login {name}, a {role} of {', '.join(one.name for one in tenants)}.")
    _print_password(password, password_stdin)


@login_app.command("list")
def login_list(
    tenant: Annotated[str | None, typer.Option(help="Name or id; all when left out.")] = None,
) -> None:
    """List the logins that are bound to tenants, those of `aegis dsn` included."""
    from aegis.database import open_database
    from aegis.logins import list_logins
    from aegis.tenants import resolve_tenant

    with open_database(say=note).connect("owner") as connection:
        logins = list_logins(connection, resolve_tenant(connection, tenant) if tenant is not None else None)
    if not logins:
        typer.echo("There are no logins yet. Make one with: aegis tenant login add --tenant T --name N")
        return
    _print_table(
        ("login", "role", "tenants", "since", "by", "state"),
        [
            (
                one.name,
                one.kind,
                ", ".join(one.tenants),
                f"{one.granted_at:%Y-%m-%d}",
                one.granted_by,
                one.state,
            )
            for one in logins
        ],
    )


@login_app.command("rotate")
def login_rotate(
    name: Annotated[str, typer.Argument(help="Of the login.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Take the password from standard input.")
    ] = False,
) -> None:
    """Give a login a new password, printed once. The old one ends at once; open sessions go on."""
    from aegis.database import open_database
    from aegis.logins import rotate_login

    password = rotate_login(open_database(say=note), name, _password_from_stdin(password_stdin))
    note(f"{name} has a new password.")
    _print_password(password, password_stdin)


@login_app.command("revoke")
def login_revoke(name: Annotated[str, typer.Argument(help="Of the login.")]) -> None:
    """End a login: unbound, its sessions ended, dropped. An analyst's work stays until it is dropped by hand."""
    from aegis.database import open_database
    from aegis.logins import revoke_login

    ended, is_gone = revoke_login(open_database(say=note), name)
    sessions = f" {ended} open session{'s' if ended != 1 else ''} ended." if ended else ""
    if is_gone:
        typer.echo(f"Revoked and dropped {name}.{sessions}")
    else:
        typer.echo(f"Revoked {name}.{sessions} The role stays, without login, because it owns something.")


def _named(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[Tenant]:
    """The tenants of these names; a name that is none may be several, separated by commas."""
    from aegis.tenants import resolve_tenant
    from dlt_pipelines.common.errors import AegisError

    found: list[Tenant] = []
    for name in names:
        try:
            found.append(resolve_tenant(connection, name))
        except AegisError:
            if "," not in name:
                raise
            found += [resolve_tenant(connection, part) for part in name.split(",") if part.strip()]
    return list({one.tenant_id: one for one in found}.values())


def _password_from_stdin(wanted: bool) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if wanted else None


def _print_password(password: str, given: bool) -> None:
    if given:
        return
    note("Its password, shown this once:")
    typer.echo(password)


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

    with open_database(say=note).connect("owner") as connection:
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
