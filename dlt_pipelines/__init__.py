"""Loading: one folder per source, shared parts in common/. Knows neither the command nor the flows."""

from __future__ import annotations

import os

# dlt reads these when it is first imported, which is later than this line. Errors reach people as exceptions.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
