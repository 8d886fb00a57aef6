"""What the environment decides, in one place.

AEGIS_DATABASE_URL   use this PostgreSQL 16-18 instead of the embedded one (nothing is started then)
AEGIS_DATA_DIR       where the embedded server, credentials and outputs live; default <checkout>/.aegis
AEGIS_PG_VERSION     version of the embedded server: 18 (default) or 16
AEGIS_ROLE_PREFIX    prefix of the cluster's roles, default aegis_; lets two deployments share a cluster
AEGIS_ALLOW_PROD     1 lets a build of target prod run from a laptop
AEGIS_KEY            key that encrypts platforms' credentials; default the file `key` in the data folder
AEGIS_META_*         APP_ID, APP_SECRET, BASE_URL and API_VERSION of Meta's API
AEGIS_DEBUG          1 shows tracebacks

A file `.env` in the checkout (see .env.example) fills what the environment leaves unset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dlt_pipelines.common.errors import AegisError

EMBEDDED_VERSIONS = (18, 16)
DEFAULT_PREFIX = "aegis_"
SERVICES = ("owner", "loader", "transformer", "app")
TENANT_ROLES = ("reader", "buyer", "analyst")
GROUP_ROLES = SERVICES + TENANT_ROLES


def project_root() -> Path:
    """The folder of pyproject.toml above this package: the checkout, since the install is editable."""
    here = Path(__file__).resolve().parent
    for folder in here.parents:
        if (folder / "pyproject.toml").is_file():
            return folder
    return here.parent


def is_on(value: str | None) -> bool:
    return (value or "").strip().lower() in {"1", "true", "yes", "on"}


def load_env_file(path: Path, environ: dict[str, str] | os._Environ[str] = os.environ) -> None:
    """Fill unset variables from KEY=VALUE lines; comments, blank lines and `export ` are understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (PermissionError, UnicodeDecodeError) as problem:
        raise AegisError(f"{path} cannot be read: {problem}.", "Fix the file or remove it.") from problem
    for line in text.splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$", line)
        if match and not line.lstrip().startswith("#"):
            name, value = match.groups()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            if value:
                environ.setdefault(name, value)


@dataclass(frozen=True, repr=False)
class Settings:
    """Immutable. `database_url` is None for the embedded server. Not printable: the URL may carry a password."""

    root: Path
    data_dir: Path
    database_url: str | None = None
    pg_version: int = EMBEDDED_VERSIONS[0]
    role_prefix: str = DEFAULT_PREFIX
    allow_prod: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        env = os.environ if environ is None else environ
        root = project_root()
        data_dir = (
            Path(os.path.abspath(Path(env["AEGIS_DATA_DIR"])))
            if env.get("AEGIS_DATA_DIR")
            else root / ".aegis"
        )

        version_text = env.get("AEGIS_PG_VERSION") or str(EMBEDDED_VERSIONS[0])
        if version_text not in {str(v) for v in EMBEDDED_VERSIONS}:
            raise AegisError(
                f"AEGIS_PG_VERSION is {version_text!r}; the embedded server exists in versions 18 and 16.",
                "Unset it, or set it to 18 or 16.",
            )

        prefix = env.get("AEGIS_ROLE_PREFIX") or DEFAULT_PREFIX
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,15}", prefix) or prefix.startswith("pg_"):
            raise AegisError(
                f"AEGIS_ROLE_PREFIX is {prefix!r}, which cannot begin the name of a role.",
                "Use up to 16 lower-case letters, digits and underscores, beginning with a letter.",
            )

        return cls(
            root=root,
            data_dir=data_dir,
            database_url=check_url(env.get("AEGIS_DATABASE_URL")),
            pg_version=int(version_text),
            role_prefix=prefix,
            allow_prod=is_on(env.get("AEGIS_ALLOW_PROD")),
        )

    @property
    def embedded(self) -> bool:
        return self.database_url is None

    def role(self, kind: str) -> str:
        """Name of a group role in the cluster: role("loader") is aegis_loader."""
        if kind not in GROUP_ROLES:
            raise AegisError(f"There is no role {kind!r}.", f"Roles: {', '.join(GROUP_ROLES)}.")
        return self.role_prefix + kind

    def __repr__(self) -> str:
        return f"Settings(data_dir={str(self.data_dir)!r}, embedded={self.embedded}, role_prefix={self.role_prefix!r})"


def check_url(url: str | None) -> str | None:
    """A postgresql:// URL with a host and a user, or None when unset. Never repeats the URL: it may hold a password."""
    if not url or not url.strip():
        return None
    example = "It should look like postgresql://user:password@host:5432/database."
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as problem:
        raise AegisError(
            "AEGIS_DATABASE_URL is not a URL: its host or port cannot be read.", example
        ) from problem
    if parts.scheme not in {"postgresql", "postgres"}:
        shown = parts.scheme if re.fullmatch(r"[a-z0-9+.-]{1,30}", parts.scheme) else ""
        raise AegisError(
            f"AEGIS_DATABASE_URL does not begin with postgresql://{f' but with {shown}://' if shown else ''}.",
            example,
        )
    if not parts.hostname or not parts.username or not port_is_fine:
        raise AegisError("AEGIS_DATABASE_URL names no host or no user.", example)
    return url.strip()
