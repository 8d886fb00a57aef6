"""Commands that let Aegis read a platform's accounts: account connect, account rotate-key."""

from __future__ import annotations

import datetime as dt
import os
import sys
from typing import Annotated

import typer

from aegis.cli.frame import note
from dlt_pipelines.common.errors import AegisError

DEFAULT_PORT = 8765


def register(app: typer.Typer) -> None:
    """The group `account` is added by tenants.py; this module only hangs its commands in."""
    from aegis.cli.tenants import account_app

    account_app.command("connect")(account_connect)
    account_app.command("rotate-key")(rotate_key)


def account_connect(
    platform: Annotated[str, typer.Argument(help="meta.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Name or id.")],
    account: Annotated[
        list[str] | None, typer.Option("--account", help="An ad account to connect; repeatable.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Connect every ad account the token may read.")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read a token (a system user's, best) from standard input.")
    ] = False,
    code: Annotated[
        str | None,
        typer.Option(help="The consent's code, or the whole address the browser ended at; - reads it."),
    ] = None,
    port: Annotated[int, typer.Option(help="Loopback port the consent comes back to.")] = DEFAULT_PORT,
    wait: Annotated[int, typer.Option(help="Seconds to wait for the consent.")] = 300,
    base_url: Annotated[
        str | None, typer.Option(help="Another address of the API, kept with the credential.")
    ] = None,
    api_version: Annotated[
        str | None, typer.Option(help="Another version, kept with the credential.")
    ] = None,
) -> None:
    """Let Aegis read a tenant's ad accounts: with a consent in the browser, or with a token."""
    from aegis import connect
    from aegis.database import open_database
    from aegis.tenants import operator, resolve_tenant
    from dlt_pipelines import registry

    name = platform.strip().lower()
    consents = registry.get(name).consent
    wanted = [consents.bare_id(one) for one in account or []]
    database = open_database(say=note)
    with database.connect("owner") as connection:
        found_tenant = resolve_tenant(connection, tenant)
    options = {"base_url": base_url, "api_version": api_version}
    now = dt.datetime.now(dt.UTC)
    if token_stdin:
        consent = consents.from_token(_secret_from_stdin("token"), now, **options)
    elif code is not None:
        secret = _secret_from_stdin("code", is_code=True) if code == "-" else connect.pasted_code(code)
        consent = consents.from_code(secret, f"http://{connect.HOST}:{port}{connect.PATH}", now, **options)
    else:
        consent = _ask(consents, port, wait, now, options)
    for remark in consent.notes:
        note(remark)
    chosen = connect.choose(consent.accounts, wanted, everything)
    if not chosen and not token_stdin and sys.stdin.isatty():
        _list(consent.accounts, [])
        answer = typer.prompt("Which accounts (ids with commas, or all)")
        everything = answer.strip().lower() == "all"
        ids = [consents.bare_id(part) for part in answer.split(",")] if not everything else []
        chosen = connect.choose(consent.accounts, ids, everything)
    _list(consent.accounts, chosen)
    if not chosen:
        note("Nothing was connected: choose with --account ID (repeatable) or --all.")
        return
    connect.keep(
        database, found_tenant, name, consent, chosen, base_url=base_url, api_version=api_version,
        created_by=operator(),
    )  # fmt: skip
    ends = f"until {consent.expires_at:%Y-%m-%d}" if consent.expires_at else "without a known end"
    note(f"Connected {len(chosen)} of {len(consent.accounts)} accounts for {found_tenant.name}; good {ends}.")
    note("Next: aegis sync")


def _ask(consents, port: int, wait: int, now: dt.datetime, options: dict[str, str | None]):  # type: ignore[no-untyped-def]
    """Send a person to the dialog and wait for the code."""
    from aegis import connect

    if consents.needs_app(options):
        raise AegisError(
            "The app's id and secret are not known, so nobody can be sent to the consent dialog.",
            "Set AEGIS_META_APP_ID and AEGIS_META_APP_SECRET, or give a system user's token with --token-stdin.",
        )
    state = connect.new_state()
    with connect.Callback(port, state) as callback:
        note("Aegis asks for:")
        for scope, reason in consents.SCOPES.items():
            note(f"  {scope}: {reason}")
        note("Open this address and agree; the answer comes back to this machine:")
        typer.echo(consents.begin(callback.redirect, state, **options))
        note("On another machine: paste the address the browser ends at with --code.")
        sys.stdout.flush()
        secret = callback.wait(wait)
        return consents.from_code(secret, callback.redirect, now, **options)


def _secret_from_stdin(what: str, is_code: bool = False):  # type: ignore[no-untyped-def]
    """One line of standard input; on a terminal it is not shown."""
    import getpass

    from aegis.connect import pasted_code
    from dlt_pipelines.common.tokens import Secret

    text = getpass.getpass(f"{what.capitalize()}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not text.strip():
        raise AegisError(
            f"Standard input holds no {what}.", f"For instance: aegis account connect … --{what}-stdin < FILE"
        )
    if is_code:
        return pasted_code(text)
    if any(sign.isspace() for sign in text.strip()) or len(text) > 4000 or not text.strip().isascii():
        raise AegisError(f"Standard input holds something that is no {what}.", "It is one word.")
    return Secret(text.strip())


def _list(found, chosen) -> None:  # type: ignore[no-untyped-def]
    from aegis.cli.tenants import _print_table

    ids = {one.account_id for one in chosen}
    _print_table(
        ("", "account", "name", "currency", "time zone", ""),
        [
            (
                "+" if one.account_id in ids else " ",
                one.account_id,
                one.name or "-",
                one.currency,
                one.timezone or "-",
                "suspended" if one.is_suspended else "",
            )
            for one in found
        ],
    )


def rotate_key() -> None:
    """Encrypt every stored token under a new key. With AEGIS_KEY: put the new key first, a comma, the old one."""
    from aegis import connect
    from aegis.database import open_database

    count, fingerprint = connect.rotate_key(
        open_database(say=note), bool((os.environ.get("AEGIS_KEY") or "").strip())
    )
    typer.echo(f"{count} {'credential' if count == 1 else 'credentials'} under key {fingerprint}.")
    if os.environ.get("AEGIS_KEY"):
        note("The older keys may leave AEGIS_KEY now.")
