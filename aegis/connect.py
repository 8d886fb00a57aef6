"""Connecting an ad account: waiting for a consent's code on a loopback address, keeping the token, rotating the key.

A token passes through memory only: it is encrypted before it is written, and no message, log or table holds it.
"""

from __future__ import annotations

import http.server
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from aegis.settings import Settings
from dlt_pipelines.common import credentials, tokens
from dlt_pipelines.common.errors import AegisError, AuthError
from dlt_pipelines.common.tokens import Keyring, Secret

if TYPE_CHECKING:
    from aegis.database import Database
    from aegis.tenants import Tenant

HOST = "127.0.0.1"
PATH = "/aegis/consent"


def key_file(settings: Settings) -> Path:
    """Where the key for credentials lies unless AEGIS_KEY is set."""
    return settings.data_dir / "key"


def keyring(settings: Settings, *, create: bool = False) -> Keyring:
    """The keys; with `create` a new key file where there is none."""
    path = key_file(settings)
    return tokens.load_or_create(path) if create else tokens.load(path)


def new_state() -> str:
    """What the redirect must bring back, so that nobody else's code is taken."""
    return secrets.token_urlsafe(24)


# -- the code -----------------------------------------------------------------------------------------------


class Callback:
    """Listens on a loopback address for one redirect. A context manager."""

    def __init__(self, port: int, state: str) -> None:
        self._found: dict[str, str] = {}
        found, expected = self._found, state

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                address = urlsplit(self.path)
                given = {name: values[0] for name, values in parse_qs(address.query).items()}
                if address.path != PATH or not secrets.compare_digest(given.get("state", ""), expected):
                    self._say(404, "This address is waiting for another answer.")
                    return
                found.update(given)
                self._say(
                    200,
                    "Thank you. You can close this page." if "code" in given else "Nothing was connected.",
                )

            def _say(self, status: int, text: str) -> None:
                body = f"<!DOCTYPE html><title>Aegis</title><p>{text}</p>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Silent: the request line holds the code."""

        try:
            self._server = http.server.HTTPServer((HOST, port), Handler)
        except OSError as problem:
            raise AegisError(
                f"Port {port} on {HOST} is taken: the consent cannot come back here.",
                "Choose another with --port, or paste the code with --code.",
            ) from problem
        self._server.timeout = 0.5
        self.redirect = f"http://{HOST}:{self._server.server_port}{PATH}"

    def __enter__(self) -> Callback:
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.server_close()

    def wait(self, seconds: float) -> Secret:
        """The code. Raises AuthError when the person declined or nobody answered in time."""
        until = time.monotonic() + seconds
        while not self._found and time.monotonic() < until:
            try:
                self._server.handle_request()
            except TimeoutError:
                continue
        return code_of(self._found, f"Nobody answered within {seconds:.0f} s.")


def code_of(found: dict[str, str], otherwise: str = "There is no code in it.") -> Secret:
    """The code among a redirect's parameters."""
    if found.get("code"):
        return Secret(found["code"])
    if found.get("error"):
        reason = found.get("error_description") or found.get("error_reason") or found["error"]
        raise AuthError(f"The consent was not given: {reason}.", "Nothing was connected.")
    raise AuthError(
        otherwise, "Open the address again, or paste what the browser's address bar shows with --code."
    )


def pasted_code(text: str) -> Secret:
    """A code as it is, or the whole address the browser ended at."""
    text = text.strip()
    if "?" in text:
        return code_of({name: values[0] for name, values in parse_qs(urlsplit(text).query).items()})
    if not text:
        raise AuthError("The code is empty.", "Paste what the browser's address bar shows after the consent.")
    return Secret(text)


# -- keeping it ---------------------------------------------------------------------------------------------


def choose(found: Sequence[Any], wanted: Sequence[str], everything: bool) -> list[Any]:
    """The accounts a person named. Raises AegisError for one the token may not read."""
    if everything:
        return list(found)
    known = {account.account_id: account for account in found}
    missing = [one for one in wanted if one not in known]
    if missing:
        raise AegisError(
            f"The token may not read the ad account {', '.join(missing)}.",
            f"It may read: {', '.join(known)}.",
        )
    return [known[one] for one in dict.fromkeys(wanted)]


def keep(
    database: Database,
    tenant: Tenant,
    platform: str,
    consent: Any,
    accounts: Sequence[Any],
    *,
    base_url: str | None,
    api_version: str | None,
    created_by: str,
) -> None:
    """Encrypt and store the consent and connect these accounts; all or nothing."""
    keys = keyring(database.settings, create=True)
    with database.connect("owner") as connection:
        credential_id = credentials.store(
            connection,
            keys,
            tenant_id=str(tenant.tenant_id),
            platform=platform,
            kind=consent.kind,
            token=consent.token,
            label=consent.label,
            scopes=consent.scopes,
            base_url=base_url,
            api_version=api_version,
            issued_at=consent.issued_at,
            expires_at=consent.expires_at,
            access_expires_at=consent.access_expires_at,
            created_by=created_by,
        )
        for account in accounts:
            credentials.link(
                connection,
                str(tenant.tenant_id),
                platform,
                account.account_id,
                credential_id,
                name=account.name,
                currency=account.currency,
                timezone=account.timezone,
                status="suspended" if account.is_suspended else "active",
            )


def rotate_key(database: Database, environ_has_key: bool) -> tuple[int, str]:
    """Encrypt every credential under a new key; returns how many, and the new key's fingerprint.

    With AEGIS_KEY the new key is the first one given there. With a key file a new key is made: it is written beside
    the old one first, so that a crash at any point leaves every token readable.
    """
    path = key_file(database.settings)
    keys = keyring(database.settings)
    if not environ_has_key:
        keys = keys.with_new_key()
        keys.save(path)
    with database.connect("owner") as connection:
        count = credentials.rotate(connection, keys)
    if not environ_has_key:
        keys.first_only().save(path)
    return count, keys.key_id
