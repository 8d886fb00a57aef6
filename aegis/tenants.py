"""Tenants, their ad accounts and their configuration, as operators change them.

Tenants and accounts are written as the owner, configuration as the application: policies and
triggers hold for it as for the web page later. Both set saas.user_id, so the audit trail names the person.

Raises    AegisError in one sentence: unknown tenant, platform, key; a value of the wrong kind.
"""

from __future__ import annotations

import difflib
import getpass
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database

EVERYBODY = UUID(int=0)
PLATFORMS = ("meta", "tiktok", "google", "pinterest", "shopify")
CONVERSION_EVENTS = (
    "purchase",
    "lead",
    "add_to_cart",
    "initiate_checkout",
    "complete_registration",
    "view_content",
    "primary",
    "optimized",
)
# What a person may set, and of which kind it is. The table's own checks say the same.
TENANT_KEYS = {"currency": "currency", "timezone": "timezone", "industry": "text", "share_benchmarks": "flag"}
CONFIG_KEYS = {
    "max_cpa": "positive",
    "target_roas": "positive",
    "min_roas": "not negative",
    "auto_pause": "flag",
    "anomaly_detection_enabled": "flag",
    "thresholds": "object",
    "conversion_event": "event",
    "max_daily_budget": "not negative",
    "currency": "currency",
    "legacy_rules": "flag",
}
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


@dataclass(frozen=True)
class Tenant:
    """One row of tenancy.tenants."""

    tenant_id: UUID
    name: str
    currency: str
    timezone: str
    industry: str | None
    share_benchmarks: bool
    is_demo: bool


@dataclass(frozen=True)
class Change:
    """One value that was set. `old` is what was in force before; `source` says whether that was a default."""

    subject: str
    key: str
    old: str
    new: str
    source: str = ""

    def __str__(self) -> str:
        origin = f" ({self.source})" if self.source else ""
        if self.old == self.new and not self.source:
            return f"{self.subject}  {self.key}: {self.new}, unchanged"
        return f"{self.subject}  {self.key}: {self.old}{origin} → {self.new}"


def operator() -> str:
    """Who sits at the keyboard, for the audit trail."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"user {os.getuid()}"


# -- tenants ------------------------------------------------------------------------------------------------

_TENANT_COLUMNS = "tenant_id, name, currency, timezone, industry, share_benchmarks, is_demo"


def list_tenants(connection: psycopg.Connection[Any]) -> list[Tenant]:
    """All tenants by name, without the reserved one."""
    rows = connection.execute(
        f"select {_TENANT_COLUMNS} from tenancy.tenants where tenant_id <> %s order by lower(name), name".encode(),
        (EVERYBODY,),
    ).fetchall()
    return [Tenant(*row) for row in rows]


def resolve_tenant(connection: psycopg.Connection[Any], name_or_id: str) -> Tenant:
    """The tenant of that id or name; upper and lower case do not matter where only one fits.

    Works for the administrator, owner, loader and transformer. Raises AegisError that lists the known names.
    """
    wanted = str(name_or_id).strip()
    tenants = list_tenants(connection)
    as_id = _uuid(wanted)
    found = (
        [one for one in tenants if one.tenant_id == as_id]
        if as_id
        else (
            [one for one in tenants if one.name == wanted]
            or [one for one in tenants if one.name.casefold() == wanted.casefold()]
        )
    )
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise AegisError(
            f"Several tenants are called {wanted!r} in another case: {', '.join(one.name for one in found)}.",
            "Write the name exactly, or give the id.",
        )
    if as_id == EVERYBODY:
        raise AegisError(
            "The reserved tenant holds the rows for everybody; nobody acts for it.", "Name another tenant."
        )
    if not tenants:
        raise AegisError(
            f"There is no tenant {wanted!r}; there are no tenants at all yet.",
            f"Add it with: aegis tenant add {_quoted(wanted) if wanted and not as_id else 'NAME'}",
        )
    raise AegisError(
        f"There is no tenant {wanted!r}.", f"Known tenants: {_some([one.name for one in tenants])}."
    )


def add_tenant(
    connection: psycopg.Connection[Any],
    name: str,
    currency: str | None = None,
    timezone: str | None = None,
    industry: str | None = None,
    is_demo: bool = False,
) -> Tenant:
    """Insert one tenant; what is not given takes the table's defaults. The caller commits."""
    name = name.strip()
    if not name:
        raise AegisError("A tenant needs a name.", "For instance: aegis tenant add 'Northwind Shoes'")
    if len(name) > 200 or not name.isprintable():
        raise AegisError(
            "A tenant's name is one line of at most 200 characters.", "Choose a shorter or simpler one."
        )
    if _uuid(name):
        raise AegisError(
            "A tenant's name must not look like an id: commands could not tell them apart.", "Choose a word."
        )
    for one in list_tenants(connection):
        if one.name.casefold() == name.casefold():
            raise AegisError(
                f"There already is a tenant {one.name!r}, with the id {one.tenant_id}.",
                "Choose another name.",
            )
    values: dict[str, Any] = {"name": name, "is_demo": is_demo}
    given = {"currency": currency, "timezone": timezone, "industry": industry}
    for key, text in given.items():
        if text is not None:
            values[key] = _tenant_value(connection, key, text)
    columns = ", ".join(values)
    places = ", ".join(f"%({key})s" for key in values)
    row = connection.execute(
        f"insert into tenancy.tenants ({columns}) values ({places}) returning {_TENANT_COLUMNS}".encode(),
        values,
    ).fetchone()
    assert row is not None
    return Tenant(*row)


def set_tenant(connection: psycopg.Connection[Any], tenant: Tenant, pairs: Sequence[str]) -> list[Change]:
    """Set KEY=VALUE columns of one tenant; audited by the table's trigger. The caller commits."""
    wanted = {
        key: _tenant_value(connection, key, text)
        for key, text in _split(pairs, TENANT_KEYS, "a tenant").items()
    }
    changes = [
        Change(tenant.name, key, show_value(getattr(tenant, key)), show_value(value))
        for key, value in wanted.items()
    ]
    _name_person(connection)
    assignments = ", ".join(f"{key} = %({key})s" for key in wanted)
    connection.execute(
        f"update tenancy.tenants set {assignments} where tenant_id = %(tenant_id)s".encode(),
        {**wanted, "tenant_id": tenant.tenant_id},
    )
    return changes


def _tenant_value(connection: psycopg.Connection[Any], key: str, text: str) -> Any:
    if TENANT_KEYS[key] == "timezone":
        return check_timezone(connection, text)
    value = _value(key, TENANT_KEYS[key], text)
    if value is None and key != "industry":
        raise AegisError(f"{key} of a tenant cannot be empty.", f"Write {key}=VALUE.")
    return value


def check_timezone(connection: psycopg.Connection[Any], text: str) -> str:
    """An IANA zone the server knows; an error names similar ones."""
    names = [
        row[0]
        for row in connection.execute(
            "select name from pg_timezone_names where name !~ '^(posix|right)/' and (name ~ '/' or name = 'UTC')"
        ).fetchall()
    ]
    text = text.strip()
    if text in names:
        return text
    folded = {name.casefold(): name for name in names}
    if text.casefold() in folded:
        return folded[text.casefold()]
    cities = {name.rpartition("/")[2].casefold(): name for name in sorted(names, reverse=True)}
    key = text.casefold().replace(" ", "_")
    near = [cities[one] for one in difflib.get_close_matches(key, list(cities), n=3)]
    near += [folded[one] for one in difflib.get_close_matches(text.casefold(), list(folded), n=3)]
    raise AegisError(
        f"{text!r} is no time zone.",
        f"Write an IANA name, for instance {', '.join(dict.fromkeys(near)) or 'Europe/Berlin or America/Toronto'}.",
    )


# -- accounts -----------------------------------------------------------------------------------------------


def add_account(
    connection: psycopg.Connection[Any],
    tenant: Tenant,
    platform: str,
    account_id: str,
    name: str | None = None,
    currency: str | None = None,
    timezone: str | None = None,
    conversion_event: str | None = None,
) -> tuple[bool, list[Change]]:
    """Make an ad account known, or correct one that is. Returns (is new, what changed). The caller commits.

    conversion_event    what conversions and conversion_value of a connected account are of; the next build follows
    """
    platform = check_platform(platform)
    account_id = account_id.strip()
    if not account_id or not account_id.isprintable():
        raise AegisError("An ad account needs an id.", "Give the platform's own with --account.")
    given: dict[str, str | None] = {}
    if name is not None:
        given["name"] = name.strip() or None
    if currency is not None:
        given["currency"] = _value("currency", "currency", currency)
        if given["currency"] is None:
            raise AegisError(
                "The currency of an account cannot be empty.", "Leave --currency out for the tenant's."
            )
    if timezone is not None:
        given["timezone"] = check_timezone(connection, timezone) if timezone.strip() else None
    if conversion_event is not None:
        given["conversion_event"] = _value("conversion_event", "event", conversion_event)
    key = {"tenant_id": tenant.tenant_id, "platform": platform, "account_id": account_id}
    old = connection.execute(
        """
        select name, currency, timezone, conversion_event from tenancy.ad_accounts
        where tenant_id = %(tenant_id)s and platform = %(platform)s and account_id = %(account_id)s
        for update
        """,
        key,
    ).fetchone()
    _name_person(connection)
    if old is None:
        connection.execute(
            """
            insert into tenancy.ad_accounts (
                tenant_id, platform, account_id, name, currency, timezone, conversion_event, source
            )
            values (
                %(tenant_id)s, %(platform)s, %(account_id)s, %(name)s, %(currency)s, %(timezone)s,
                %(conversion_event)s, 'manual'
            )
            """,
            {
                "name": None,
                "timezone": None,
                "conversion_event": None,
                "currency": tenant.currency,
                **given,
                **key,
            },
        )
        return True, []
    before = dict(zip(("name", "currency", "timezone", "conversion_event"), old, strict=True))
    changes = [
        Change(f"{platform} {account_id}", one, show_value(before[one]), show_value(value))
        for one, value in given.items()
        if value != before[one]
    ]
    if changes:
        assignments = ", ".join(f"{one} = %({one})s" for one in given)
        connection.execute(
            f"""
            update tenancy.ad_accounts set {assignments}
            where tenant_id = %(tenant_id)s and platform = %(platform)s and account_id = %(account_id)s
            """.encode(),
            {**given, **key},
        )
    return False, changes


def list_accounts(connection: psycopg.Connection[Any], tenant: Tenant | None = None) -> list[tuple[Any, ...]]:
    """(tenant, platform, account, name, currency, time zone, source, status), for one tenant or all."""
    return connection.execute(
        """
        select
            t.name, a.platform, a.account_id, a.name, a.currency, coalesce(a.timezone, t.timezone), a.source, a.status
        from tenancy.ad_accounts as a
        inner join tenancy.tenants as t on a.tenant_id = t.tenant_id
        where %(tenant)s::uuid is null or a.tenant_id = %(tenant)s::uuid
        order by lower(t.name), a.platform, a.account_id
        """,
        {"tenant": tenant.tenant_id if tenant else None},
    ).fetchall()


# -- configuration ------------------------------------------------------------------------------------------


def default_config(
    connection: psycopg.Connection[Any], platforms: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Platform to the reserved tenant's row. For the transformer's connection."""
    from psycopg.rows import dict_row

    columns = ", ".join(CONFIG_KEYS)
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            select platform, {columns} from ads.platform_configs where tenant_id = %s and platform = any(%s)
            """.encode(),
            (EVERYBODY, list(platforms)),
        ).fetchall()
    return {row.pop("platform"): row for row in rows}


def effective_config(
    connection: psycopg.Connection[Any], tenant: Tenant, platforms: Sequence[str]
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Platform to (values in force, the tenant's own values, {} without a row). For the application's connection."""
    from psycopg.rows import dict_row

    _enter(connection, tenant)
    columns = ", ".join(CONFIG_KEYS)
    result = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        own = {
            row.pop("platform"): row
            for row in cursor.execute(
                f"select platform, {columns} from ads.platform_configs where tenant_id = %s".encode(),
                (tenant.tenant_id,),
            ).fetchall()
        }
        for platform in platforms:
            row = cursor.execute(
                f"select {columns} from tenancy.effective_config(%s, %s)".encode(),
                (tenant.tenant_id, platform),
            ).fetchone()
            result[platform] = (row or {}, own.get(platform, {}))
    return result


def set_config(
    connection: psycopg.Connection[Any], tenant: Tenant, platforms: Sequence[str], pairs: Sequence[str]
) -> list[Change]:
    """Set KEY=VALUE columns for the platforms; `thresholds.NAME=VALUE` sets one key of the jsonb, an empty value
    falls back to the default. On the application's connection, so policies, checks and the audit trail hold.
    The caller commits.
    """
    from psycopg.types.json import Jsonb

    wanted = _config_values(pairs)
    before = effective_config(connection, tenant, platforms)
    changes = []
    for platform in platforms:
        in_force, own = before[platform]
        values: dict[str, Any] = {}
        for key, value in wanted.items():
            name, _, threshold = key.partition(".")
            if not threshold:
                values[name] = value
                old = own.get(name)
                was_default = old is None
                shown_old = in_force.get(name) if was_default else old
                shown_new = value
            else:
                mine = dict(values.get("thresholds", own.get("thresholds")) or {})
                old = mine.get(threshold)
                was_default = old is None
                shown_old = (in_force.get("thresholds") or {}).get(threshold) if was_default else old
                if value is None:
                    mine.pop(threshold, None)
                else:
                    mine[threshold] = value
                values["thresholds"] = mine or None
                shown_new = value
            new_text = show_value(shown_new) if shown_new is not None else "the default"
            old_text = show_value(shown_old)
            if was_default and shown_new is None:
                changes.append(Change(platform, key, new_text, new_text))
            else:
                changes.append(Change(platform, key, old_text, new_text, "default" if was_default else ""))
        if all(own.get(name) == value for name, value in values.items()) and (
            own or not any(value is not None for value in values.values())
        ):
            continue  # nothing to write: the audit trail stays quiet
        columns = ", ".join(values)
        places = ", ".join(f"%({name})s" for name in values)
        assignments = ", ".join(f"{name} = excluded.{name}" for name in values)
        connection.execute(
            f"""
            insert into ads.platform_configs (tenant_id, platform, {columns})
            values (%(tenant_id)s, %(platform)s, {places})
            on conflict (tenant_id, platform) do update set {assignments}
            """.encode(),
            {
                **{
                    name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()
                },
                "tenant_id": tenant.tenant_id,
                "platform": platform,
            },
        )
    return changes


def _config_values(pairs: Sequence[str]) -> dict[str, Any]:
    values = {}
    for key, text in _split(pairs, CONFIG_KEYS, "the configuration", dotted=("thresholds",)).items():
        name, _, threshold = key.partition(".")
        values[key] = _json(text) if threshold else _value(name, CONFIG_KEYS[name], text)
    return values


def _enter(connection: psycopg.Connection[Any], tenant: Tenant) -> None:
    """Act for the tenant until the end of the transaction, as the application must."""
    connection.execute("select set_config('saas.tenant_id', %s, true)", (str(tenant.tenant_id),))
    _name_person(connection)


def _name_person(connection: psycopg.Connection[Any]) -> None:
    connection.execute("select set_config('saas.user_id', %s, true)", (operator(),))


# -- reading what people write ------------------------------------------------------------------------------


def check_platform(text: str) -> str:
    """The platform's key, or an error that lists them."""
    platform = text.strip().lower()
    if platform not in PLATFORMS:
        raise AegisError(f"There is no platform {text!r}.", f"Platforms: {', '.join(PLATFORMS)}.")
    return platform


def _split(
    pairs: Sequence[str], known: dict[str, str], of_what: str, dotted: Sequence[str] = ()
) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        key = key.strip()
        if not separator or not key:
            raise AegisError(
                f"{pair!r} sets nothing.",
                "Write KEY=VALUE, for instance "
                + ("target_roas=3.5." if "target_roas" in known else "currency=EUR."),
            )
        name, dot, rest = key.partition(".")
        if name not in known or (dot and (name not in dotted or not rest)):
            more = f", {', '.join(f'{one}.NAME' for one in dotted)}" if dotted else ""
            near = difflib.get_close_matches(name, list(known), n=1)
            meant = f" Did you mean {near[0]}?" if near and near[0] != name else ""
            raise AegisError(
                f"{of_what.capitalize()} has no {key!r}.{meant}", f"Known: {', '.join(known)}{more}."
            )
        if key in wanted:
            raise AegisError(f"{key} is given twice.", "Give it once.")
        wanted[key] = value.strip()
    if not wanted:
        raise AegisError("Nothing to set.", f"Write KEY=VALUE; known: {', '.join(known)}.")
    return wanted


def _value(key: str, kind: str, text: str) -> Any:
    """Text to the column's type; None for an empty text."""
    text = text.strip()
    if not text:
        return None
    if kind in ("positive", "not negative"):
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("nan")
        if not number.is_finite():
            raise AegisError(f"{key} is a number, not {text!r}.", f"Write it with a point: {key}=12.5")
        if number < 0 or (kind == "positive" and number == 0):
            raise AegisError(
                f"{key} is {'more than zero' if kind == 'positive' else 'zero or more'}, not {text}.",
                f"To fall back to the default write {key}=",
            )
        if abs(number) >= Decimal(10) ** 14:
            raise AegisError(
                f"{key} of {text} is too large.", "Amounts have at most 14 digits before the point."
            )
        return number
    if kind == "flag":
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise AegisError(f"{key} is true or false, not {text!r}.", f"Write {key}=true or {key}=false.")
    if kind == "currency":
        if not re.fullmatch(r"[A-Za-z]{3}", text):
            raise AegisError(f"{text!r} is no currency.", "Write its three letters: EUR, USD, CAD.")
        return text.upper()
    if kind == "event":
        if text not in CONVERSION_EVENTS and not re.fullmatch(r"vendor:\S+", text):
            raise AegisError(
                f"There is no conversion event {text!r}.",
                f"Events: {', '.join(CONVERSION_EVENTS)}, or vendor:NAME under the platform's own name.",
            )
        return text
    if kind == "object":
        value = _json(text)
        if not isinstance(value, dict):
            raise AegisError(
                f"{key} is a JSON object, not {text!r}.", f"Write {key}.NAME=VALUE for one of its keys."
            )
        return value
    return text


def _json(text: str) -> Any:
    """A threshold: JSON where it is, else the text itself; None for an empty text."""
    if not text:
        return None
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text


def show_value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _uuid(text: str) -> UUID | None:
    if not re.fullmatch(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?", text):
        return None
    return UUID(text)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20} more (aegis tenant list)" if len(names) > 20 else shown


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def read_config_tables(
    database: Database, tenant_name: str | None, platforms: Sequence[str]
) -> tuple[Tenant | None, dict[str, tuple[dict[str, Any], dict[str, Any]]]]:
    """What `aegis config show` prints: the tenant, and platform to (values in force, own values)."""
    if tenant_name is None:
        with database.connect("transformer") as connection:
            return None, {key: (row, {}) for key, row in default_config(connection, platforms).items()}
    with database.connect("owner") as connection:
        tenant = resolve_tenant(connection, tenant_name)
    with database.connect("app") as connection:
        return tenant, effective_config(connection, tenant, platforms)
