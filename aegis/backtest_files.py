"""The newest replay as two CSV files, to be compared with labels."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aegis.database import Database

COLUMNS = ("tenant_id", "platform", "level", "entity_id", "day", "type", "severity")

# What the change log explains is nobody's alarm; a child folded into its parent is one all the same.
ANOMALIES = """
    select tenant_id, platform, level, platform_id, replay_day, anomaly_type, severity
    from ads_internal.backtest_anomalies
    where tenant_id = any(%s::uuid[]) and status in ('active', 'acknowledged') and explained_by is null
    order by tenant_id, replay_day, platform, level, platform_id, anomaly_type, metric, day
"""
RECOMMENDATIONS = """
    select tenant_id, platform, level, platform_id, replay_day, recommendation_type, priority
    from ads_internal.backtest_recommendations
    where tenant_id = any(%s::uuid[]) and status in ('pending', 'approved')
    order by tenant_id, replay_day, platform, level, platform_id, recommendation_type, rule_id, raised_on
"""
FILES = {"anomalies.csv": ANOMALIES, "recommendations.csv": RECOMMENDATIONS}


def write_files(database: Database, tenants: Sequence[str], folder: Path) -> list[tuple[Path, int]]:
    """Write anomalies.csv and recommendations.csv; returns each with its number of rows.

    One line per tenant, as-of day and incident that was open at its end, or recommendation that was; `day` is that
    as-of day, `severity` of a recommendation its priority. A file appears whole or not at all.
    """
    written = []
    with database.connect("transformer") as connection:
        for name, query in FILES.items():
            rows = connection.execute(query, (list(tenants),)).fetchall()
            handle, draft = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
            try:
                with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow(COLUMNS)
                    writer.writerows(rows)
                os.chmod(draft, 0o644)
                os.replace(draft, folder / name)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
            written.append((folder / name, len(rows)))
    return written
