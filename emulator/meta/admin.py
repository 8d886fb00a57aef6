"""`/_admin/meta/…`

| call | body | answer |
| --- | --- | --- |
| GET `accounts` | | app id and secret, users, businesses, accounts |
| POST `tokens` | `user`, `kind` (short, long, system), `scopes`, `accounts`, `expires_in`, `login_at` | the token |
| POST `tokens/revoke` | `token`, `subcode` | |
| GET, PATCH `settings` | fields of `api.Settings`; `quota` (fields of `usage.Quota`); `job_script` | all settings |
| PUT, DELETE `entities/<id>` | PUT: field values to show instead (`act_…` for accounts) | the overrides |
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from emulator.meta.entities import business_of
from emulator.meta.tokens import APP_ID, APP_SECRET

if TYPE_CHECKING:
    from emulator.meta.api import Meta


def answer(meta: Meta, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
    """Status and content. Raises KeyError, TypeError or ValueError for a body that makes no sense."""
    match (method, parts):
        case ("GET", ["accounts"]):
            return 200, _accounts(meta)
        case ("POST", ["tokens"]):
            return 201, {"access_token": meta.tokens.issue(**body)}
        case ("POST", ["tokens", "revoke"]):
            meta.tokens.revoke(**body)
            return 200, {"revoked": True}
        case ("GET", ["settings"]):
            return 200, _settings(meta)
        case ("PATCH" | "PUT", ["settings"]):
            change(meta, **body)
            return 200, _settings(meta)
        case ("PUT", ["entities", key]):
            meta.override(key, body)
            return 200, meta.overrides
        case ("DELETE", ["entities", key]):
            meta.override(key, None)
            return 200, meta.overrides
    return 404, {"error": f"No {method} /_admin/meta/{'/'.join(parts)}."}


def change(meta: Meta, **values: Any) -> None:
    """Change settings. Raises KeyError for one that does not exist."""
    known = {each.name for each in fields(meta.settings)}
    for name, value in values.items():
        if name == "job_script":
            meta.jobs.script = tuple((str(status), int(percent)) for status, percent in value)
        elif name == "quota":
            for key, each in value.items():
                if not hasattr(meta.usages.quota, key):
                    raise KeyError(f"The quota has no {key}.")
                setattr(meta.usages.quota, key, tuple(each) if key == "kinds" else each)
        elif name in known:
            setattr(meta.settings, name, value)
        else:
            raise KeyError(
                f"There is no setting {name}. There is: {', '.join(sorted(known))}, quota, job_script."
            )


def _settings(meta: Meta) -> dict[str, Any]:
    return {**asdict(meta.settings), "quota": asdict(meta.usages.quota), "job_script": list(meta.jobs.script)}


def _accounts(meta: Meta) -> dict[str, Any]:
    return {
        "app_id": APP_ID,
        "app_secret": APP_SECRET,
        "users": [asdict(user) for user in meta.tokens.users.values()],
        "businesses": [business_of(each.tenant_id, each.name) for each in meta.world.tenants],
        "accounts": [asdict(account) for account in meta.accounts.values()],
    }
