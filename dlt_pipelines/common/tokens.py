"""Credentials at rest: encrypted before they reach the database, with a key that never does.

The key is AEGIS_KEY, else the lines of a key file (`.aegis/key`, mode 0600) outside the tracked files. Several keys
are separated by commas or lines: the first one encrypts, all of them decrypt. A rotation puts a new key first,
encrypts every token again and then forgets the older ones.

Raises  AuthError where there is no key, a key is malformed, or no key fits a token. Never repeats a key or a token.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from dlt_pipelines.common.errors import AuthError

VARIABLE = "AEGIS_KEY"


class Secret:
    """A text that shows itself to nobody by accident: not in repr, str, format, pickles or tracebacks of locals."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the one place that sends or encrypts it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not written anywhere.")


class Keyring:
    """The keys of one deployment. The first encrypts."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise AuthError(
                "There is no key for credentials.", f"Set {VARIABLE} or run `aegis account connect`."
            )
        try:
            fernets = [Fernet(key) for key in keys]
        except (ValueError, TypeError):
            raise AuthError(
                "A key for credentials is malformed: it is not 32 bytes in URL-safe base64.",
                f"Correct {VARIABLE} or the key file; it must be the one that encrypted the credentials.",
            ) from None
        self._keys = list(keys)
        self._all = MultiFernet(fernets)

    def __repr__(self) -> str:
        return f"Keyring({self.key_id}, {len(self._keys)} keys)"

    @property
    def key_id(self) -> str:
        """Fingerprint of the key that encrypts now."""
        return hashlib.sha256(self._keys[0].encode()).hexdigest()[:12]

    def encrypt(self, secret: Secret) -> bytes:
        return self._all.encrypt(secret.reveal().encode())

    def decrypt(self, token: bytes) -> Secret:
        try:
            return Secret(self._all.decrypt(bytes(token)).decode())
        except InvalidToken:
            raise AuthError(
                "A stored credential cannot be decrypted with the present key.",
                f"Put the key that encrypted it back ({VARIABLE} or the key file), or connect the account again.",
            ) from None

    def rotated(self, token: bytes) -> bytes:
        """The same secret under the first key."""
        return self.encrypt(self.decrypt(token))

    def with_new_key(self) -> Keyring:
        """A fresh key first, the present ones after it."""
        return Keyring([Fernet.generate_key().decode(), *self._keys])

    def first_only(self) -> Keyring:
        """Only the key that encrypts; for when nothing is left under the others."""
        return Keyring(self._keys[:1])

    def save(self, path: Path) -> None:
        """Write the key file whole or not at all, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write("\n".join(self._keys) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise


def load(path: Path, environ: Mapping[str, str] | None = None) -> Keyring:
    """The keys of AEGIS_KEY, else of the file. AuthError where neither is usable."""
    environ = os.environ if environ is None else environ
    if (environ.get(VARIABLE) or "").strip():
        return Keyring(_split(environ[VARIABLE]))
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        raise AuthError(
            "There is no key for credentials: neither AEGIS_KEY nor the key file.",
            "Put the key back that encrypted them, or connect the accounts again with `aegis account connect`.",
        ) from None
    if mode & 0o077:
        raise AuthError(f"The key file {path} is open to others.", f"Run: chmod 600 {path}")
    return Keyring(_split(text))


def load_or_create(path: Path, environ: Mapping[str, str] | None = None) -> Keyring:
    """Like `load`; makes the key file where there is no key yet. Two first calls at once end with one key."""
    environ = os.environ if environ is None else environ
    if (environ.get(VARIABLE) or "").strip() or path.exists():
        return load(path, environ)
    fresh = Keyring([Fernet.generate_key().decode()])
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".key-{os.getpid()}")
    fresh.save(draft)
    try:
        os.link(draft, path)  # fails where another process was first: then its key is the key
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return load(path, environ)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
