"""Personal data: hashed with the tenant's salt before it is stored, wherever it may turn up.

A hash is HMAC-SHA-256 of the trimmed, lower-case value: equal within a tenant, so that customers can be counted and
joined, and unlike another tenant's.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

EMAIL = re.compile(r"[^\s<>()\[\],;:\"@]+@[\w-]+(?:\.[\w-]+)+")
# As forms and shops write them, with a country's code; a plain number is an id or an amount.
TELEPHONE = re.compile(r"(?<![\w.])\+\d[\d ()/.-]{6,18}\d")


class Pseudonyms:
    """Hashes of one tenant. Shows its salt to nobody."""

    __slots__ = ("_salt",)

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    def __repr__(self) -> str:
        return "Pseudonyms(…)"

    def of(self, value: str) -> str:
        """`person:` and 32 hexadecimal digits."""
        digest = hmac.new(self._salt, value.strip().lower().encode(), hashlib.sha256)
        return f"person:{digest.hexdigest()[:32]}"

    def in_text(self, text: str) -> str:
        """The text with every e-mail address and telephone number in it replaced by its hash."""
        text = EMAIL.sub(lambda found: self.of(found[0]), text)
        return TELEPHONE.sub(lambda found: self.of(re.sub(r"\D", "", found[0])), text)

    def in_value(self, value: Any) -> Any:
        """The same within the lists, mappings and texts of a decoded JSON value; everything else as it is."""
        if isinstance(value, str):
            return self.in_text(value)
        if isinstance(value, dict):
            return {self.in_value(key): self.in_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.in_value(item) for item in value]
        return value


def pseudonyms(connection: psycopg.Connection[Any], tenant_id: str) -> Pseudonyms:
    """The tenant's, on a loader's connection. Raises psycopg.errors.ForeignKeyViolation for an unknown tenant."""
    row = connection.execute("select tenancy.salt_of(%s::uuid)", (tenant_id,)).fetchone()
    assert row is not None
    return Pseudonyms(bytes(row[0]))
