"""Tokens, codes and apps. A token carries its own facts, signed, so it outlives a restart of the emulator; only
what was revoked or already used is remembered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from emulator.clock import Clock
from emulator.meta.errors import MetaError, error, invalid
from emulator.world import Account, Tenant, World

# Known to everyone who reads this: they protect nothing but the protocol's own steps.
APP_ID = "200000000000001"
APP_SECRET = "emulator-app-secret"
_KEY = b"the emulator signs its tokens so that a made-up one is refused"

SHORT_SECONDS = 5400
LONG_SECONDS = 5_183_944
CODE_SECONDS = 600
DATA_ACCESS_SECONDS = 90 * 86_400
ALL_SCOPES = (
    "ads_read", "ads_management", "business_management", "read_insights", "leads_retrieval", "pages_show_list",
    "pages_read_engagement", "pages_manage_metadata", "pages_manage_ads",
)  # fmt: skip
KINDS = ("short", "long", "system")
REVOCATIONS = {
    460: "password_changed",
    458: "app_removed",
    459: "checkpoint",
    464: "unconfirmed",
    467: "invalid_token",
}


@dataclass(frozen=True)
class User:
    """Someone who can log in: one person per tenant and one agency that sees all."""

    user_id: str
    key: str
    name: str
    account_ids: tuple[str, ...]


@dataclass(frozen=True)
class Token:
    """What a token says. Times in unix seconds; `expires_at` 0 means never; `accounts` null means all accounts
    of the user.
    """

    kind: str
    user_id: str
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int
    login_at: int
    accounts: tuple[str, ...] | None
    nonce: str
    redirect: str = ""


class Tokens:
    """Issues, checks, exchanges and revokes."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._clock = clock
        self.users = _users(world)
        self.reset()

    def reset(self) -> None:
        """Forget revocations and used codes."""
        self._revoked: dict[str, int] = {}
        self._used: set[str] = set()

    # issuing

    def user(self, key: str) -> User:
        """By key (`outdoor`, `agency`) or id."""
        for user in self.users.values():
            if key in (user.key, user.user_id):
                return user
        known = ", ".join(user.key for user in self.users.values())
        raise KeyError(f"There is no user {key!r}. There is: {known}.")

    def issue(
        self,
        user: str = "agency",
        *,
        kind: str = "system",
        scopes: Iterable[str] = ("ads_read",),
        accounts: Iterable[str] | None = None,
        expires_in: int | None = None,
        login_at: int | None = None,
    ) -> str:
        """A token of a kind; `expires_in` seconds instead of the kind's own (negative: already expired)."""
        if kind not in KINDS:
            raise KeyError(f"There is no token kind {kind!r}. There is: {', '.join(KINDS)}.")
        now = int(self._clock.now().timestamp())
        lifetime = {"short": SHORT_SECONDS, "long": LONG_SECONDS, "system": 0}[kind]
        if expires_in is not None:
            lifetime = expires_in
        return self._sign(
            Token(
                kind=kind,
                user_id=self.user(user).user_id,
                scopes=tuple(scopes),
                issued_at=now,
                expires_at=now + lifetime if lifetime else 0,
                login_at=now if login_at is None else login_at,
                accounts=None if accounts is None else tuple(each.removeprefix("act_") for each in accounts),
                nonce=secrets.token_hex(4),
            )
        )

    def code(self, user: str, scopes: Iterable[str], redirect: str) -> str:
        """A code of the consent dialog; good once, for ten minutes and that redirect address."""
        now = int(self._clock.now().timestamp())
        token = Token(
            "code", self.user(user).user_id, tuple(scopes), now, now + CODE_SECONDS, now, None, secrets.token_hex(4),
            redirect,
        )  # fmt: skip
        return self._sign(token)

    def revoke(self, token: str, subcode: int = 460) -> None:
        """From now on the token answers 190 with that subcode."""
        if subcode not in REVOCATIONS:
            raise KeyError(f"A token is revoked with one of the subcodes {', '.join(map(str, REVOCATIONS))}.")
        self._revoked[_digest(token)] = subcode

    # checking

    def check(self, text: str | None, now: datetime) -> Token:
        """The facts of a valid token. Raises MetaError: 104 for none, 190 for a dead one."""
        if not text:
            raise error("signature", "An access token is required to request this resource.")
        token = self._read(text)
        if token is None or token.kind == "code":
            raise error("invalid_token", subcode=None)
        dead = self._why_dead(text, token, now)
        if dead is not None:
            raise dead
        return token

    def is_app_token(self, text: str) -> bool:
        """True for the literal APP_ID|APP_SECRET."""
        return hmac.compare_digest(text, f"{APP_ID}|{APP_SECRET}")

    def accounts(self, token: Token) -> tuple[str, ...]:
        """Bare ids of the accounts a token may read."""
        own = self.users[token.user_id].account_ids
        return own if token.accounts is None else tuple(each for each in own if each in token.accounts)

    def describe(self, text: str, now: datetime) -> dict[str, Any]:
        """What debug_token says."""
        token = self._read(text)
        if token is None or token.kind == "code":
            return {
                "is_valid": False,
                "scopes": [],
                "error": {"code": 190, "message": "Invalid OAuth access token"},
            }
        dead = self._why_dead(text, token, now)
        found: dict[str, Any] = {
            "app_id": APP_ID,
            "type": "SYSTEM_USER" if token.kind == "system" else "USER",
            "application": "emulator",
            "is_valid": dead is None,
            "issued_at": token.issued_at,
            "expires_at": token.expires_at,
            "data_access_expires_at": 0 if token.kind == "system" else token.login_at + DATA_ACCESS_SECONDS,
            "scopes": list(token.scopes),
            "user_id": token.user_id,
        }
        if dead is not None:
            found["error"] = {"code": dead.code, "message": dead.message, "subcode": dead.subcode}
        return found

    # exchanging

    def redeem(self, code: str, redirect: str, now: datetime) -> tuple[str, int]:
        """Code to short-lived token and its seconds."""
        found = self._read(code)
        if found is None or found.kind != "code" or found.expires_at <= now.timestamp():
            raise invalid("This authorization code is invalid or has expired.")
        if code in self._used:
            raise invalid("This authorization code has been used.")
        if found.redirect != redirect:
            raise invalid("redirect_uri isn't identical to the one of the dialog.")
        self._used.add(code)
        user = self.users[found.user_id].key
        return self.issue(user, kind="short", scopes=found.scopes), SHORT_SECONDS

    def exchange(self, text: str, now: datetime) -> tuple[str, int]:
        """A valid short- or long-lived token to a fresh long-lived one and its seconds."""
        token = self.check(text, now)
        fresh = self.issue(
            token.user_id, kind="long", scopes=token.scopes, accounts=token.accounts, login_at=token.login_at
        )
        return fresh, LONG_SECONDS

    # inside

    def _why_dead(self, text: str, token: Token, now: datetime) -> MetaError | None:
        revoked = self._revoked.get(_digest(text))
        if revoked is not None:
            return error(REVOCATIONS[revoked])
        moment = now.timestamp()
        if token.expires_at and token.expires_at <= moment:
            return error("expired_token")
        if token.kind != "system" and token.login_at + DATA_ACCESS_SECONDS <= moment:
            return error("expired_token", "Access to the user's data has expired", subcode=None)
        return None

    def _sign(self, token: Token) -> str:
        body = orjson.dumps(asdict(token))
        seal = hmac.new(_KEY, body, hashlib.sha256).digest()[:12]
        return "EAAE" + base64.urlsafe_b64encode(seal + body).decode().rstrip("=")

    def _read(self, text: str) -> Token | None:
        if not text.startswith("EAAE"):
            return None
        packed = text[4:]
        try:
            data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        seal, body = data[:12], data[12:]
        if not hmac.compare_digest(seal, hmac.new(_KEY, body, hashlib.sha256).digest()[:12]):
            return None
        facts = orjson.loads(body)
        accounts = facts["accounts"]
        facts["scopes"] = tuple(facts["scopes"])
        facts["accounts"] = None if accounts is None else tuple(accounts)
        return Token(**facts) if facts["user_id"] in self.users else None


def check_proof(token: str, proof: str | None, *, required: bool) -> None:
    """Verify appsecret_proof where it is sent. Raises code 100 when it is wrong, or missing though required."""
    if proof is None:
        if required:
            raise invalid("API calls from the server require an appsecret_proof argument")
        return
    expected = hmac.new(APP_SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), proof.encode()):
        raise invalid("Invalid appsecret_proof provided in the API argument")


def check_app(client_id: str | None, client_secret: str | None) -> None:
    """Raise unless id and secret are the app's."""
    if client_id != APP_ID:
        raise error("signature", "Error validating application: unknown client_id.", code=101)
    if not hmac.compare_digest((client_secret or "").encode(), APP_SECRET.encode()):
        raise error("unknown", "Error validating client secret.", subcode=None, status=400)


def _users(world: World) -> dict[str, User]:
    found = []
    everything: list[str] = []
    for number, tenant in enumerate(world.tenants, start=1):
        accounts = tuple(account.account_id for account in meta_accounts(world, tenant))
        everything += accounts
        found.append(User(f"1000000{number}", tenant.key, f"Ads at {tenant.name}", accounts))
    found.append(User("10000009", "agency", "The agency", tuple(everything)))
    return {user.user_id: user for user in found}


def meta_accounts(world: World, tenant: Tenant | None = None) -> list[Account]:
    """The world's ad accounts on this platform."""
    return [account for account in world.accounts(tenant) if account.platform == "meta"]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def iso(moment: int) -> str:
    """A unix time as text, for the admin endpoint."""
    return datetime.fromtimestamp(moment, UTC).isoformat()
