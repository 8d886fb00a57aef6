"""Errors that a person is meant to read: what happened, then what to do next.

The command prints ``Error: <message>`` and the hint and ends with exit code 1. Anything that is not an
``AegisError`` is a bug, except what ``aegis/cli/frame.py`` translates (database, disk, read-only checkout).
Messages name tenant, platform, account and window where there is one, and never contain a token or password.
"""

from __future__ import annotations


class AegisError(Exception):
    """Base of every expected failure. ``message`` says what happened, ``hint`` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class AuthError(AegisError):
    """Credentials were refused, expired or lack a permission. Never retried."""


class QuotaError(AegisError):
    """A rate limit was reached. ``retry_after`` is in seconds, None when the vendor gave none."""

    def __init__(self, message: str, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class ContractError(AegisError):
    """What arrived, or what was asked for, is not what was agreed: columns, types, names, keys."""


class PartialDataError(AegisError):
    """Only a part arrived. Nothing of it was made visible."""


# -- what a vendor's API adds -------------------------------------------------------------------------------
# `code` is the vendor's own, as text, for the state tables; a sync decides by the class alone.


class VendorError(AegisError):
    """An answer of a vendor that is no data. Base of the classes below that no other family holds."""

    code: str | None = None


class AccessDeniedError(AuthError):
    """The token is fine but may not see this account: the account is marked, the others go on."""

    code: str | None = None


class SuspendedError(AccessDeniedError):
    """The platform has suspended this account."""


class TransientError(VendorError):
    """Passes by itself: retried with backoff. `tries` limits how often, None means as often as any other."""

    def __init__(self, message: str, hint: str = "", tries: int | None = None) -> None:
        super().__init__(message, hint)
        self.tries = tries


class TooMuchDataError(VendorError):
    """The same request will fail again; a smaller one will not. Halve the window or the page."""


class CancelledError(VendorError):
    """A person cancelled the work."""
