"""Syncing: every connected account, side by side within limits; one account's failure never stops another's.

Plain functions; `aegis sync` and the scheduled flow call them. A token the platform has refused is not tried again for
the next account that uses it.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg

from dlt_pipelines import registry
from dlt_pipelines.common import credentials
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.credentials import Credential
from dlt_pipelines.common.errors import AegisError, AuthError
from dlt_pipelines.common.sync import Account, AccountResult, Connector, Progress, sync_account
from dlt_pipelines.common.tokens import Keyring
from dlt_pipelines.common.windows import Window

SIDE_BY_SIDE = 4  # accounts at once; each account has its own limit of calls
WARN_BEFORE = dt.timedelta(days=14)

Work = Callable[[Account], AccountResult]
FanOut = Callable[[Work, Sequence[Account]], list[AccountResult]]


@dataclass
class SyncReport:
    """What became of each account, in the order of the list."""

    results: list[AccountResult] = field(default_factory=list)

    @property
    def failed(self) -> list[AccountResult]:
        return [result for result in self.results if not result.is_fine]


def connected_accounts(
    connections: Connections,
    tenant_id: str | None = None,
    account_id: str | None = None,
    platform: str | None = None,
) -> list[Account]:
    """The accounts that have a credential, by tenant, platform and id."""
    with psycopg.connect(connections.owner, connect_timeout=10) as connection:
        rows = connection.execute(
            """
            select
                a.tenant_id::text, t.name, a.platform, a.account_id, a.currency, coalesce(a.timezone, t.timezone),
                a.name
            from tenancy.ad_accounts as a
            inner join tenancy.tenants as t on a.tenant_id = t.tenant_id
            inner join tenancy.account_credentials as c
                on a.tenant_id = c.tenant_id and a.platform = c.platform and a.account_id = c.account_id
            where (%(tenant)s::uuid is null or a.tenant_id = %(tenant)s::uuid)
                and (%(account)s::text is null or a.account_id = %(account)s::text)
                and (%(platform)s::text is null or a.platform = %(platform)s::text)
            order by lower(t.name), a.platform, a.account_id
            """,
            {"tenant": tenant_id, "account": account_id, "platform": platform},
        ).fetchall()
    return [Account(*row) for row in rows]


def sync(
    connections: Connections,
    keyring: Keyring,
    accounts: Sequence[Account],
    *,
    period: Window | None = None,
    until: dt.date | None = None,
    now: dt.datetime | None = None,
    requested_by: str | None = None,
    request_id: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    side_by_side: int = SIDE_BY_SIDE,
    options: Mapping[str, Any] | None = None,
    patience: float = 0.0,
    fan_out: FanOut | None = None,
    bugs_raise: bool = True,
) -> SyncReport:
    """Bring these accounts up to date. Expected failures are in the report.

    until        where there is no period: its last day, instead of today
    options      handed to the platform's `build`: patience, polling, sleep
    request_id   of `on_demand.take`, where a person asked; the schedule has none
    patience     seconds to wait for another sync of the same account
    fan_out      runs the work on each account; left out: `side_by_side` threads
    bugs_raise   False: what is no expected failure fails its account instead of everything
    """
    moment = now or dt.datetime.now(dt.UTC)
    dead: dict[str, AuthError] = {}
    turn = threading.Lock()  # accounts of one consent: one of them renews it
    stop = threading.Event()  # an interrupt at the keyboard reaches the other threads

    def one(account: Account) -> AccountResult:
        try:
            with turn:
                credential, remark = _credential(connections, keyring, account, moment, options or {})
            if credential.credential_id in dead:
                raise dead[credential.credential_id]
        except AegisError as problem:
            return _not_begun(account, problem, progress)
        result = sync_account(
            connections,
            _maker(credential, options or {}, stop),
            account,
            period=period,
            until=until,
            now=moment,
            requested_by=requested_by,
            request_id=request_id,
            force=force,
            progress=progress,
            patience=patience,
        )
        if result.is_token_dead:
            dead[credential.credential_id] = AuthError(result.error or "The token was refused.", result.hint)
        _note_credential(connections, credential, result)
        result.notes += [remark] if remark else []
        if credential.expires_at is not None and credential.expires_at - moment < WARN_BEFORE:
            result.notes.append(
                f"The token ends on {credential.expires_at:%Y-%m-%d}: connect the account anew."
            )
        return result

    def work(account: Account) -> AccountResult:
        if bugs_raise:
            return one(account)
        try:
            return one(account)
        except Exception as problem:  # noqa: BLE001 - a bug in one account's sync must not cost the others
            return _bug(account, problem)

    if fan_out is not None:
        try:
            return SyncReport(fan_out(work, accounts))
        except BaseException:
            stop.set()
            raise
    if side_by_side <= 1 or len(accounts) <= 1:
        return SyncReport([work(account) for account in accounts])
    with ThreadPoolExecutor(max_workers=side_by_side, thread_name_prefix="sync") as pool:
        try:
            return SyncReport(list(pool.map(work, accounts)))
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _maker(
    credential: Credential, options: Mapping[str, Any], stop: threading.Event
) -> Callable[[Callable[[], bool]], Connector]:
    def make(cancelled: Callable[[], bool]) -> Connector:
        connector: Connector = registry.get(credential.platform).connector.build(
            credential, cancelled=lambda: stop.is_set() or cancelled(), **options
        )
        return connector

    return make


def _credential(
    connections: Connections,
    keyring: Keyring,
    account: Account,
    now: dt.datetime,
    options: Mapping[str, Any],
) -> tuple[Credential, str]:
    """The account's consent, renewed where its platform says it is time, and what went wrong with that.

    Raises AuthError where there is none, or it has ended.
    """
    with psycopg.connect(connections.owner, connect_timeout=10) as connection:
        found = credentials.read(connection, keyring, account.tenant_id, account.platform, account.account_id)
        if found is None:
            raise AuthError(
                f"{account} is not connected.",
                f"Connect it with: aegis account connect {account.platform} --tenant …",
            )
        if found.expires_at is not None and found.expires_at <= now:
            credentials.mark(connection, found, "expired", f"The token ended on {found.expires_at:%Y-%m-%d}.")
            connection.execute(
                """
                update tenancy.ad_accounts set status = 'reauthorise'
                where tenant_id = %s and platform = %s and account_id = %s
                """,
                (account.tenant_id, account.platform, account.account_id),
            )
            connection.commit()
            raise AuthError(
                f"The token of {account} ended on {found.expires_at:%Y-%m-%d}.",
                f"Log in again: aegis account connect {account.platform} --tenant …",
            )
        try:
            grant = registry.get(account.platform).connector.renewed(found, now, **options)
        except AegisError as problem:
            # The stored one is still good: what it cannot do any more, the sync itself will find out.
            return found, f"The token could not be renewed: {problem.message}"
        if grant is not None:
            credentials.renew(connection, keyring, found, grant.token, now, grant.expires_at)
            connection.commit()
            renewed = credentials.read(
                connection, keyring, account.tenant_id, account.platform, account.account_id
            )
            assert renewed is not None
            return renewed, ""
    return found, ""


def _bug(account: Account, problem: Exception) -> AccountResult:
    return AccountResult(
        account,
        "failed",
        error=f"{type(problem).__name__}: a bug, or the database was lost.",
        hint=f"See it with: AEGIS_DEBUG=1 aegis sync --account {account.account_id}",
    )


def _not_begun(account: Account, problem: AegisError, progress: Progress | None) -> AccountResult:
    result = AccountResult(account, "failed", error=problem.message, hint=problem.hint)
    result.is_token_dead = isinstance(problem, AuthError)
    if progress is not None:
        progress(result)
    return result


def _note_credential(connections: Connections, credential: Credential, result: AccountResult) -> None:
    if result.calls == 0:
        return
    with psycopg.connect(connections.owner, connect_timeout=10) as connection:
        if result.is_token_dead:
            credentials.mark(connection, credential, "refused", result.error)
        else:
            credentials.mark(connection, credential, "active", None)
