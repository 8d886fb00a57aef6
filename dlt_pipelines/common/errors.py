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
