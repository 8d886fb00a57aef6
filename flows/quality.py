"""The quality step: nothing is built from an account-day before it was judged here.

Files and hand rows are judged in SQL alone (sql/functions/ops.quality.sql). What a platform's API delivered is counted
in SQL, asserted by great-expectations and then judged in SQL (ops.raw_quality.sql): all of it, or, where a check cannot
be made, nothing.
"""

from __future__ import annotations

import json
import os
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import AegisError
from flows.expectations import PLATFORMS, RawFacts

LOCK = "aegis quality"
# The load's own notes; great-expectations has nothing to count there.
NOTES = frozenset({"not_over", "refused"})


class QualityError(AegisError):
    """The checks could not be made. Nothing of the platforms' loads was judged: their days stay pending."""


@dataclass(frozen=True)
class QualityResult:
    """Account-days judged by one call, what looked odd in them, and the pages of the checks where any were made."""

    accepted: int
    withheld: int
    findings: int
    provisional: int = 0
    pages: Path | None = None


def judge_coverage(connections: Connections) -> QualityResult:
    """Judge every account-day that is still pending. Calling it again at once changes nothing.

    Raises QualityError after files and hand rows were judged, where the platforms' loads could not be.
    """
    files = judge_files(connections)
    loads = judge_loads(connections)
    return replace(
        loads,
        accepted=files.accepted + loads.accepted,
        withheld=files.withheld + loads.withheld,
        findings=files.findings + loads.findings,
    )


def judge_files(connections: Connections) -> QualityResult:
    """Judge files and hand rows."""
    with _session(connections) as session:
        row = session.execute("select accepted, withheld, findings from ops.judge_coverage()").fetchone()
    return QualityResult(0, 0, 0) if row is None else QualityResult(*row)


def judge_loads(connections: Connections) -> QualityResult:
    """Judge what the platforms' APIs delivered. Without a pending load nothing heavy is imported."""
    with _session(connections) as session:
        session.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (LOCK,))
        pending = [
            name
            for (name,) in session.execute(
                """
                select distinct platform from ops.coverage where state = 'pending' and source = 'api'
                order by platform
                """
            )
        ]
        if not pending:
            return QualityResult(0, 0, 0)
        try:
            pages = _check(connections, pending)
        except QualityError:
            raise
        except Exception as problem:  # noqa: BLE001  whatever broke: the days stay pending, and the run says so
            raise QualityError(
                f"The figures of {', '.join(pending)} could not be checked: {_said(problem, connections)}. "
                "They stay pending.",
                "Nothing was judged or lost; when the cause is mended, run `aegis optimize` again.",
            ) from (problem if _is_harmless(problem, connections) else None)
        row = session.execute(
            "select accepted, withheld, findings, provisional from ops.judge_api_coverage()"
        ).fetchone()
    assert row is not None
    return replace(QualityResult(*row), pages=pages)


def has_news(connections: Connections) -> bool:
    """Whether an account-day waits to be taken into history."""
    with _session(connections) as session:
        row = session.execute(
            "select exists (select from ops.coverage where versioned_at is null)"
        ).fetchone()
    return bool(row and row[0])


def pages_folder() -> Path:
    """Where the checks' pages lie: the folder `data_docs` of AEGIS_DATA_DIR, by default of .aegis in the checkout."""
    home = os.environ.get("AEGIS_DATA_DIR")
    return (Path(home).resolve() if home else Path(__file__).resolve().parent.parent / ".aegis") / "data_docs"


def _check(connections: Connections, platforms: Sequence[str]) -> Path:
    """Columns first, then the counts, then what great-expectations and SQL each make of them: they must agree."""
    from flows.raw_checks import opened

    unknown = [name for name in platforms if name not in PLATFORMS]
    if unknown:
        raise QualityError(
            f"Nothing is declared about the raw tables of {', '.join(unknown)}: their days stay pending.",
            "Declare them in flows/expectations.py.",
        )
    with opened(connections.transformer, pages_folder()) as checks:
        try:
            for name in platforms:
                wrong = checks.columns_that_differ(name)
                if wrong:
                    raise QualityError(
                        f"The raw tables of {name} are not as declared: {'; '.join(wrong[:5])}"
                        f"{f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''}. Its days stay pending.",
                        "`aegis deploy` brings the schema to this checkout's state; `aegis validate` proves it.",
                    )
            declared = [facts for name in platforms for facts in PLATFORMS[name].facts]
            account_days, said = _observe(connections, declared)
            for facts in declared:
                counted = checks.failing(facts, account_days[facts.platform])
                if counted != said.get(facts.name, Counter()):
                    raise QualityError(
                        f"{facts.name}: great-expectations and SQL count failing account-days differently "
                        f"({dict(counted)} and {dict(said.get(facts.name, {}))}). They stay pending.",
                        "This is a bug in flows/expectations.py or in ops.raw_failures().",
                    )
        finally:
            checks.write_pages()
    return checks.folder


def _observe(
    connections: Connections, declared: Sequence[RawFacts]
) -> tuple[dict[str, int], dict[str, Counter[str]]]:
    """Count what is declared. Returns account-days by platform, and by raw table how many fail each check."""
    with _session(connections) as session:
        # A load may arrive meanwhile: it is neither counted nor missed.
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.execute(
            "select ops.observe_raw_tables(%s)", (json.dumps([facts.as_json() for facts in declared]),)
        )
        account_days = dict(
            session.execute(
                """
                select platform, count(*) from ops.coverage where state = 'pending' and source = 'api'
                group by platform
                """
            ).fetchall()
        )
        failing: dict[str, Counter[str]] = {}
        for raw_table, check, count in session.execute(
            "select raw_table, check_name, count(*) from ops.raw_failures() group by raw_table, check_name"
        ):
            if check not in NOTES:
                failing.setdefault(raw_table, Counter())[check] = count
    return account_days, failing


def _said(problem: Exception, connections: Connections) -> str:
    """An unexpected exception in one line, without the database's address: that may hold a password."""
    kind = type(problem).__name__
    text = str(problem).splitlines()
    return f"{kind}: {text[0][:300]}" if text and _is_harmless(problem, connections) else kind


def _is_harmless(problem: Exception, connections: Connections) -> bool:
    password = urlsplit(connections.transformer).password
    return not password or password not in "".join(traceback.format_exception(problem))


def _session(connections: Connections) -> psycopg.Connection[Any]:
    return psycopg.connect(connections.transformer, connect_timeout=10, application_name="aegis quality")
