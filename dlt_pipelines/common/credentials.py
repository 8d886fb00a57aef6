"""Stored consents: tenancy.credentials, read and written by the owner only, tokens as ciphertext."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlt_pipelines.common.tokens import Keyring, Secret

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Credential:
    """One consent. `expires_at` null: never, or the platform did not say. The token does not show itself."""

    tenant_id: str
    platform: str
    credential_id: str
    kind: str
    token: Secret = field(repr=False)
    base_url: str | None = None
    api_version: str | None = None
    issued_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    status: str = "active"


def store(
    connection: psycopg.Connection[Any],
    keyring: Keyring,
    *,
    tenant_id: str,
    platform: str,
    kind: str,
    token: Secret,
    label: str | None = None,
    scopes: Sequence[str] = (),
    base_url: str | None = None,
    api_version: str | None = None,
    issued_at: dt.datetime | None = None,
    expires_at: dt.datetime | None = None,
    access_expires_at: dt.datetime | None = None,
    created_by: str | None = None,
) -> str:
    """Keep a new consent; returns its id. The caller commits."""
    row = connection.execute(
        """
        insert into tenancy.credentials (
            tenant_id, platform, kind, label, token, key_id, scopes, base_url, api_version, issued_at, expires_at,
            access_expires_at, checked_at, created_by
        )
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now(), coalesce(%s, session_user))
        returning credential_id::text
        """,
        (
            tenant_id, platform, kind, label, keyring.encrypt(token), keyring.key_id, list(scopes), base_url,
            api_version, issued_at, expires_at, access_expires_at, created_by,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return str(row[0])


def link(
    connection: psycopg.Connection[Any],
    tenant_id: str,
    platform: str,
    account_id: str,
    credential_id: str,
    *,
    name: str | None,
    currency: str,
    timezone: str | None,
    status: str = "active",
) -> None:
    """Connect an account through a consent; the account describes itself from now on. The caller commits."""
    connection.execute(
        """
        insert into tenancy.ad_accounts as a (
            tenant_id, platform, account_id, name, currency, timezone, source, status
        )
        values (%s, %s, %s, %s, %s, %s, 'api', %s)
        on conflict (tenant_id, platform, account_id) do update
        set name = excluded.name, currency = excluded.currency, timezone = excluded.timezone, source = 'api',
            status = excluded.status
        """,
        (tenant_id, platform, account_id, name, currency, timezone, status),
    )
    connection.execute(
        """
        insert into tenancy.account_credentials as a (tenant_id, platform, account_id, credential_id)
        values (%s, %s, %s, %s)
        on conflict (tenant_id, platform, account_id) do update
        set credential_id = excluded.credential_id, connected_at = now()
        """,
        (tenant_id, platform, account_id, credential_id),
    )
    # A consent that reads nothing any more is not kept.
    connection.execute(
        """
        delete from tenancy.credentials as c
        where c.tenant_id = %s and c.platform = %s and not exists (
            select from tenancy.account_credentials as a
            where a.tenant_id = c.tenant_id and a.platform = c.platform and a.credential_id = c.credential_id
        )
        """,
        (tenant_id, platform),
    )


def read(
    connection: psycopg.Connection[Any], keyring: Keyring, tenant_id: str, platform: str, account_id: str
) -> Credential | None:
    """The consent an account is read with, decrypted; none where the account is not connected."""
    row = connection.execute(
        """
        select
            c.tenant_id::text, c.platform, c.credential_id::text, c.kind, c.token, c.base_url, c.api_version,
            c.issued_at, c.expires_at, c.status
        from tenancy.account_credentials as a
        inner join tenancy.credentials as c
            on a.tenant_id = c.tenant_id and a.platform = c.platform and a.credential_id = c.credential_id
        where a.tenant_id = %s and a.platform = %s and a.account_id = %s
        """,
        (tenant_id, platform, account_id),
    ).fetchone()
    if row is None:
        return None
    return Credential(row[0], row[1], row[2], row[3], keyring.decrypt(row[4]), *row[5:])


def renew(
    connection: psycopg.Connection[Any],
    keyring: Keyring,
    credential: Credential,
    token: Secret,
    issued_at: dt.datetime,
    expires_at: dt.datetime | None,
) -> None:
    """Put a fresh token in an old one's place. The caller commits."""
    connection.execute(
        """
        update tenancy.credentials
        set token = %s, key_id = %s, issued_at = %s, expires_at = %s, status = 'active', last_error = null,
            checked_at = now()
        where tenant_id = %s and platform = %s and credential_id = %s
        """,
        (
            keyring.encrypt(token), keyring.key_id, issued_at, expires_at, credential.tenant_id,
            credential.platform, credential.credential_id,
        ),
    )  # fmt: skip


def mark(connection: psycopg.Connection[Any], credential: Credential, status: str, error: str | None) -> None:
    """Say what became of a consent: `active`, `expired`, `refused`. The caller commits."""
    connection.execute(
        """
        update tenancy.credentials set status = %s, last_error = %s, checked_at = now()
        where tenant_id = %s and platform = %s and credential_id = %s
        """,
        (status, error, credential.tenant_id, credential.platform, credential.credential_id),
    )


def rotate(connection: psycopg.Connection[Any], keyring: Keyring) -> int:
    """Encrypt every token under the keyring's first key; returns how many there are. The caller commits.

    Raises AuthError when one cannot be decrypted: then none was changed.
    """
    rows = connection.execute(
        "select tenant_id, platform, credential_id, token from tenancy.credentials for update"
    ).fetchall()
    for tenant_id, platform, credential_id, token in rows:
        connection.execute(
            """
            update tenancy.credentials set token = %s, key_id = %s
            where tenant_id = %s and platform = %s and credential_id = %s
            """,
            (keyring.rotated(token), keyring.key_id, tenant_id, platform, credential_id),
        )
    return len(rows)
