"""Whatever holds a token shows itself without it: in repr, str, format, and in the values of its own attributes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import pkgutil
from typing import Any

import pytest

import dlt_pipelines
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.credentials import Credential
from dlt_pipelines.common.http import Http, _Bearer
from dlt_pipelines.common.tokens import Keyring, Secret
from dlt_pipelines.meta import connector as meta
from dlt_pipelines.meta.client import App, Grant
from dlt_pipelines.meta.consent import Consent
from dlt_pipelines.meta.ladder import Ladder
from dlt_pipelines.meta.reports import Reports

TEXT = "EAAthisisnotforanyoneseyes123456"
KEY = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
SECRET = Secret(TEXT)
NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def holders() -> list[Any]:
    environ = {"AEGIS_META_APP_ID": "1", "AEGIS_META_APP_SECRET": TEXT}
    client = meta.client(SECRET, environ=environ)
    credential = Credential("t", "meta", "c", "user", SECRET)
    consent = {
        field.name: SECRET if "Secret" in str(field.type) else None for field in dataclasses.fields(Consent)
    }
    url = f"postgresql://u:{TEXT}@h/d"
    return [
        SECRET, Http("http://h", SECRET), _Bearer(SECRET), client, client.http, App("1", SECRET), Grant(SECRET, NOW),
        credential, Consent(**consent), meta.MetaConnector(client), meta.build(credential, environ=environ),
        Reports(client, "1"), Ladder(client, "1", NOW.date(), is_async=False), Keyring([KEY]),
        Connections(url, url, url),
    ]  # fmt: skip


@pytest.mark.parametrize("one", holders(), ids=lambda one: type(one).__name__)
def test_a_holder_does_not_show_it(one: Any) -> None:
    shown = f"{one!r} {one} {[one]}"
    if not isinstance(one, (Secret, Connections, Keyring)):
        shown += repr(vars(one))
    assert TEXT not in shown and KEY not in shown and TEXT[:12] not in shown


def test_every_dataclass_with_a_secret_is_looked_at() -> None:
    found = set()
    for module in pkgutil.walk_packages(dlt_pipelines.__path__, "dlt_pipelines."):
        for one in vars(importlib.import_module(module.name)).values():
            if dataclasses.is_dataclass(one) and any(
                "Secret" in str(f.type) for f in dataclasses.fields(one)
            ):
                found.add(one)
    assert found and found <= {type(one) for one in holders()}
