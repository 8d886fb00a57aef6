"""Commands that read the platforms' APIs: sync, sync cancel, backfill, accounts."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from aegis.cli.frame import note
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    from aegis.database import Database
    from dlt_pipelines.common.sync import AccountResult
    from flows.sync import SyncReport

sync_app = typer.Typer(help="Read the platforms' APIs: what is missing or stale, nothing else.")

TenantChoice = Annotated[str | None, typer.Option("--tenant", help="Name or id; all when left out.")]
AccountChoice = Annotated[str | None, typer.Option("--account", help="One ad account; all when left out.")]
FromDay = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="DAY", help="First day, like 2026-11-01; since the first load when left out."
    ),
]
ToDay = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day; today when left out.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DAY", help="As if it were the day after, for an emulator's clock."),
]


def register(app: typer.Typer) -> None:
    app.add_typer(sync_app, name="sync")
    app.command("backfill")(backfill)
    app.command("accounts")(accounts)


@sync_app.callback(invoke_without_command=True)
def sync(
    context: typer.Context,
    tenant: TenantChoice = None,
    account: AccountChoice = None,
    first: FromDay = None,
    last: ToDay = None,
    as_of: AsOf = None,
) -> None:
    """Bring connected ad accounts up to date: days that are missing or stale, nothing else."""
    if context.invoked_subcommand is None:
        _run(tenant, account, first, last, as_of, force=False)


def backfill(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, like 2026-01-01.")],
    last: ToDay = None,
    tenant: TenantChoice = None,
    account: AccountChoice = None,
    as_of: AsOf = None,
) -> None:
    """Ask for a period again, whatever is there already."""
    _run(tenant, account, first, last, as_of, force=True)


@sync_app.command("cancel")
def cancel(tenant: TenantChoice = None, account: AccountChoice = None) -> None:
    """End the syncs under way at their next step; what is loaded stays."""
    from aegis.database import open_database
    from aegis.tenants import operator, resolve_tenant
    from dlt_pipelines.common import sync as engine

    database = open_database(say=note)
    with database.connect("owner") as connection:
        tenant_id = str(resolve_tenant(connection, tenant).tenant_id) if tenant is not None else None
        ended = engine.cancel(connection, tenant_id, _bare(account), operator())
    if not ended:
        typer.echo("No sync is under way.")
    for platform, one in ended:
        typer.echo(f"{platform} {one}: will end at its next step.")


def _bare(account: str | None) -> str | None:
    return account.strip().removeprefix("act_") if account is not None else None


def _run(
    tenant: str | None,
    account: str | None,
    first: str | None,
    last: str | None,
    as_of: str | None,
    *,
    force: bool,
) -> None:
    from aegis.cli.decisions import parse_day
    from aegis.connect import keyring
    from aegis.database import open_database
    from aegis.tenants import operator, resolve_tenant
    from dlt_pipelines.common import on_demand
    from dlt_pipelines.common.windows import Window
    from flows import sync as flow

    now = dt.datetime.now(dt.UTC)
    if as_of is not None:
        now = dt.datetime.combine(parse_day(as_of, "--as-of") + dt.timedelta(days=1), dt.time(14), dt.UTC)
    period = None
    until = parse_day(last, "--to") if last is not None else None
    if first is not None:
        end = until or now.date()
        begin = parse_day(first, "--from")
        if end < begin:
            raise AegisError(f"--to {end} is before --from {begin}.", "Exchange them.")
        period = Window(begin, end)
    database = open_database(say=note)
    with database.connect("owner") as connection:
        found = resolve_tenant(connection, tenant) if tenant is not None else None
    connections = database.connections()
    chosen = flow.connected_accounts(
        connections, str(found.tenant_id) if found is not None else None, _bare(account)
    )
    if not chosen:
        raise AegisError(
            f"There is no connected ad account{f' {account}' if account else ''}"
            f"{f' of {found.name}' if found else ''}.",
            "Connect one with: aegis account connect meta --tenant …",
        )
    keys = keyring(database.settings)
    with database.connect("owner") as connection:
        request_id = on_demand.take(connection, operator(), period, force=force)
    demo_ids = _demo_tenants(database)
    own = [one for one in chosen if one.tenant_id not in demo_ids]
    report = flow.sync(
        connections, keys, own, period=period, until=until, now=now, requested_by=operator(), request_id=request_id,
        force=force, progress=_show, options={"notice": note},
    )  # fmt: skip
    if len(own) < len(chosen):
        from aegis import demo

        report.results += demo.read(
            database, [one for one in chosen if one not in own], period=period, force=force,
            requested_by=operator(), progress=_show,
        ).results  # fmt: skip
        note("The demo's accounts were read as of its own day; `aegis demo advance` brings the next.")
    _print_report(report)
    if any(one.rows for one in report.results):
        note("Next: `aegis optimize` builds the marts from it.")


def _demo_tenants(database: Database) -> set[str]:
    with database.connect("owner") as connection:
        rows = connection.execute("select tenant_id::text from tenancy.tenants where is_demo").fetchall()
    return {row[0] for row in rows}


def _show(result: AccountResult) -> None:
    """One line whenever something moved: days done of total."""
    if result.state == "syncing" and result.days_total:
        failed = f", {result.days_failed} failed" if result.days_failed else ""
        note(f"{result.account}: {result.days_done} of {result.days_total} days{failed} …")


def _print_report(report: SyncReport) -> None:
    from aegis.cli.tenants import _print_table

    _print_table(
        ("tenant", "platform", "account", "state", "days", "rows", "refused", "calls", ""),
        [
            (
                one.account.tenant,
                one.account.platform,
                one.account.account_id,
                one.state,
                f"{one.days_done} of {one.days_total}",
                str(one.rows),
                str(one.refused),
                str(one.calls),
                one.error or "",
            )
            for one in report.results
        ],
    )
    for one in report.results:
        for remark in one.notes:
            note(f"{one.account}: {remark}")
    if report.failed:
        hints = list(dict.fromkeys(one.hint for one in report.failed if one.hint))
        raise AegisError(
            f"{len(report.failed)} of {len(report.results)} accounts were not brought up to date.",
            " ".join(hints) or "The others were; run the command again when the cause is gone.",
        )


ACCOUNTS = """
with

newest as (
    select distinct on (s.tenant_id, s.platform, s.account_id) s.*
    from ops.sync_state as s
    order by s.tenant_id, s.platform, s.account_id, s.sync_id desc
),

covered as (
    select
        c.tenant_id, c.platform, c.account_id, min(c.day) as first_day, max(c.day) as last_day,
        max(c.covered_at) as covered_at, count(distinct c.day) as days
    from ops.coverage as c
    where c.source = 'api'
    group by c.tenant_id, c.platform, c.account_id
)

select
    t.name, a.platform, a.account_id, a.status, c.first_day, c.last_day, c.days, c.covered_at, k.status, k.expires_at,
    n.state, n.error, n.quota_usage ->> 'percent', n.days_done, n.days_total, n.next_retry_at
from tenancy.ad_accounts as a
inner join tenancy.tenants as t on a.tenant_id = t.tenant_id
left join tenancy.account_credentials as l
    on a.tenant_id = l.tenant_id and a.platform = l.platform and a.account_id = l.account_id
left join tenancy.credentials as k
    on l.tenant_id = k.tenant_id and l.platform = k.platform and l.credential_id = k.credential_id
left join newest as n
    on a.tenant_id = n.tenant_id and a.platform = n.platform and a.account_id = n.account_id
left join covered as c
    on a.tenant_id = c.tenant_id and a.platform = c.platform and a.account_id = c.account_id
where (%(tenant)s::uuid is null or a.tenant_id = %(tenant)s::uuid) and (%(all)s or l.credential_id is not null)
order by lower(t.name), a.platform, a.account_id
"""


def accounts(
    tenant: TenantChoice = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Accounts known from files only as well.")
    ] = False,
) -> None:
    """Show how fresh and complete each connected ad account is, its token, its quota and its last error."""
    from aegis.cli.tenants import _print_table
    from aegis.database import open_database
    from aegis.tenants import resolve_tenant

    with open_database(say=note).connect("owner") as connection:
        tenant_id = resolve_tenant(connection, tenant).tenant_id if tenant is not None else None
        rows = connection.execute(ACCOUNTS.encode(), {"tenant": tenant_id, "all": everything}).fetchall()
    if not rows:
        typer.echo("No ad account is connected yet: aegis account connect meta --tenant …")
        return
    now = dt.datetime.now(dt.UTC)
    lines = []
    for row in rows:
        (
            name, platform, account, status, first, last, days, covered_at, key_status, expires_at, state, error,
            percent, done, total, retry_at,
        ) = row  # fmt: skip
        span = (last - first).days + 1 if first is not None else 0
        what = state or "-"
        if state in ("pending", "syncing"):
            what = f"{state}, {done} of {total} days"
        elif state == "rate_limited" and retry_at is not None:
            what = f"rate_limited until {retry_at:%Y-%m-%d %H:%M} UTC"
            if retry_at <= now:
                # The platform answers again: nothing is wrong with the account, it only has to go on.
                what, error = f"stopped, {done} of {total} days; the next sync goes on", None
        lines.append(
            (
                name,
                platform,
                account,
                status,
                str(last or "-"),
                _age(covered_at, now),
                f"{days} of {span} days" if span else "-",
                _token(key_status, expires_at, now),
                f"{float(percent):.0f} %" if percent is not None else "-",
                what,
                error or "",
            )
        )
    headings = ("tenant", "platform", "account", "status", "up to", "read", "complete", "token", "quota")
    _print_table((*headings, "last sync", "last error"), lines)


def _age(moment: dt.datetime | None, now: dt.datetime) -> str:
    if moment is None:
        return "never"
    minutes = max(0, int((now - moment).total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def _token(status: str | None, expires_at: dt.datetime | None, now: dt.datetime) -> str:
    if status is None:
        return "none"
    if status != "active":
        return status
    if expires_at is None:
        return "good"
    if expires_at <= now:
        return "expired"
    left = (expires_at - now).days
    return f"{left} days left{' (renew!)' if left < 14 else ''}"
