"""Aegis: paid-media figures of many tenants in one Postgres, and the `aegis` command over them."""

from __future__ import annotations

import os

__version__ = "0.1.0"

# dbt, dlt, great-expectations and their helpers report home unless told not to. Set before any of them is imported.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DBT_ENGINE_SEND_ANONYMOUS_USAGE_STATS": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "GX_ANALYTICS_ENABLED": "false",
}
for _name, _value in TELEMETRY_OFF.items():
    os.environ.setdefault(_name, _value)
