"""How a person lets Aegis read their Meta ad accounts: the dialog's address, the code, the long-lived token.

A person's token lives about 60 days and has no refresh token: it is exchanged again while it is still good. A system
user's token is better for a server; it comes from the Business Manager and is given as it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlt_pipelines.common.errors import AuthError, ContractError
from dlt_pipelines.common.tokens import Secret
from dlt_pipelines.meta.client import Client, bare_id
from dlt_pipelines.meta.connector import SUSPENDED, client, described
from dlt_pipelines.meta.fields import SCOPES

__all__ = ["SCOPES", "Consent", "FoundAccount", "bare_id", "begin", "from_code", "from_token", "needs_app"]


@dataclass(frozen=True)
class FoundAccount:
    """One ad account a token may read."""

    account_id: str
    name: str | None
    currency: str
    timezone: str | None
    is_suspended: bool


@dataclass
class Consent:
    """A usable token and what it may read. `expires_at` null: never, or the platform did not say."""

    token: Secret = field(repr=False)
    kind: str
    label: str | None
    scopes: list[str]
    issued_at: dt.datetime
    expires_at: dt.datetime | None
    access_expires_at: dt.datetime | None
    accounts: list[FoundAccount]
    notes: list[str] = field(default_factory=list)


def needs_app(options: Mapping[str, Any]) -> bool:
    """True where the app's id and secret are missing, without which nobody can be sent to the dialog."""
    return client(None, **options).app is None


def begin(redirect: str, state: str, dialog_url: str | None = None, **options: Any) -> str:
    """The address to open in a browser."""
    one = client(None, **options)
    app = one.need_app()
    address = one.consent_url(app.app_id, redirect, state)
    if dialog_url is None and one.http.base_url == client(None, environ={}).http.base_url:
        return address
    return one.consent_url(app.app_id, redirect, state, dialog_url or one.http.base_url)


def from_code(code: Secret, redirect: str, now: dt.datetime, **options: Any) -> Consent:
    """The dialog's code to a long-lived token."""
    grant = client(None, **options).redeem(code, redirect, now)
    return from_token(grant.token, now, **options)


def from_token(token: Secret, now: dt.datetime, **options: Any) -> Consent:
    """A token to a consent: a person's is exchanged for a long-lived one where the app's secret is known.

    Raises AuthError for a dead token or one that lacks a scope, and where it may read no ad account.
    """
    one = client(token, **options)
    kind, scopes, notes = "unknown", [], []
    expires_at = access_expires_at = None
    if one.app is not None:
        facts = one.describe_token(token)
        if facts.get("is_valid") is False:
            said = facts.get("error")
            reason = said.get("message") if isinstance(said, dict) else None
            raise AuthError(
                f"Meta does not accept this token: {reason or 'it is not valid'}.",
                "Make a new one and try again.",
            )
        kind = "system" if str(facts.get("type")).upper() == "SYSTEM_USER" else "user"
        scopes = [str(scope) for scope in facts.get("scopes") or []]
        missing = [scope for scope in SCOPES if scope not in scopes and "ads_management" not in scopes]
        if missing:
            raise AuthError(
                f"The token lacks {', '.join(missing)}.",
                "Grant it: " + "; ".join(f"{scope} is needed to {SCOPES[scope]}" for scope in missing) + ".",
            )
        expires_at, access_expires_at = (
            _moment(facts.get("expires_at")),
            _moment(facts.get("data_access_expires_at")),
        )
        if kind == "user":
            grant = one.exchange(token, now)
            token, expires_at = grant.token, grant.expires_at
            one = client(token, **options)
    else:
        notes.append(
            "The app's id and secret are not set (AEGIS_META_APP_ID, AEGIS_META_APP_SECRET): the token is kept as it "
            "is and cannot be renewed, and when it ends is not known."
        )
    return _consent(one, token, kind, scopes, now, expires_at, access_expires_at, notes)


def _consent(
    one: Client,
    token: Secret,
    kind: str,
    scopes: list[str],
    now: dt.datetime,
    expires_at: dt.datetime | None,
    access_expires_at: dt.datetime | None,
    notes: list[str],
) -> Consent:
    label = str(one.me().get("name") or "") or None
    accounts = []
    for row in one.accounts():
        said = described(row)
        if not said.currency:
            raise ContractError("Meta named an ad account without a currency.", "Try again later.")
        accounts.append(
            FoundAccount(
                str(row["account_id"]),
                said.name,
                said.currency,
                said.timezone,
                row.get("account_status") in SUSPENDED,
            )
        )
    if not accounts:
        raise AuthError(
            "This token may read no ad account.",
            "Assign ad accounts to the person or system user in the Business Manager, then try again.",
        )
    return Consent(
        token, kind, label, scopes, now, expires_at, access_expires_at, accounts, [*notes, *one.notes]
    )


def _moment(seconds: Any) -> dt.datetime | None:
    """Unix seconds; 0 means never."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
