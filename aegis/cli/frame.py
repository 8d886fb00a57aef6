"""What every command shares: one clear sentence for whatever goes wrong, and the exit code.

0 done · 1 an expected failure, said in a sentence · 2 wrong usage · 130 interrupted.
A traceback is shown only with AEGIS_DEBUG=1; without it an unexpected error is named as a bug.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from aegis.settings import Settings, is_on
from dlt_pipelines.common.errors import AegisError


def note(text: str) -> None:
    """Progress and remarks go to stderr, so that `psql "$(aegis dsn)"` stays possible."""
    print(text, file=sys.stderr, flush=True)


def guarded(run: Callable[[], None]) -> int:
    """Run the application; print one sentence and a hint for what failed. Returns the exit code."""
    try:
        run()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        note(str(ended.code))
        return 1
    except KeyboardInterrupt:
        note("Interrupted.")
        return 130
    except Exception as problem:  # the outermost frame: every error becomes a sentence here
        if is_on(os.environ.get("AEGIS_DEBUG")):
            raise
        error = explain(problem)
        note(f"Error: {error.message}")
        if error.hint:
            note(error.hint)
        return 1
    return 0


def explain(problem: BaseException) -> AegisError:
    """The expected failure behind an exception, looking through its causes."""
    seen: BaseException | None = problem
    while seen is not None:
        known = _known(seen)
        if known is not None:
            return known
        seen = seen.__cause__ or seen.__context__
    return AegisError(
        f"Something unexpected happened: {type(problem).__name__}: {_first_line(problem)}",
        "This is a bug in Aegis. Run the command again with AEGIS_DEBUG=1 to see where it comes from.",
    )


def _known(problem: BaseException) -> AegisError | None:
    if isinstance(problem, AegisError):
        return problem
    if isinstance(problem, OSError) and problem.errno is not None:
        place = problem.filename or "a file"
        if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
            return AegisError(
                f"The disk is full: {place} could not be written.", "Free some space and try again."
            )
        if problem.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            return AegisError(
                f"{place} cannot be written or read ({problem.strerror}).",
                "Set AEGIS_DATA_DIR to a folder you may write to, or correct the rights of that place.",
            )
    if isinstance(problem, RuntimeError) and "home directory" in str(problem).lower():
        return AegisError("This user has no home folder.", "Set HOME to a folder you may write to.")
    psycopg = sys.modules.get("psycopg")  # not imported: then it cannot have failed
    if psycopg is not None and isinstance(problem, psycopg.Error):
        return _database_error(problem)
    return None


def _database_error(problem: BaseException) -> AegisError | None:
    import psycopg

    from aegis.database import explain_connection_error

    assert isinstance(problem, psycopg.Error)
    state = problem.sqlstate or ""
    text = problem.diag.message_primary or _first_line(problem)
    if state == "53100":
        return AegisError(
            f"The database's disk is full: {text}.", "Free some space and try again; nothing is lost."
        )
    if state == "25006":
        return AegisError(
            "The database only lets us read: it is a standby or set to read-only.", "Use the primary."
        )
    if state in {"55P03", "57014"}:
        return AegisError(
            f"The database gave up waiting: {text}.", "Try again when other work on it has ended."
        )
    if state in {"3F000", "42P01", "42883"}:
        return AegisError(
            f"The database is not what this version of Aegis expects: {text}.", "Run `aegis deploy`."
        )
    if state == "42501":
        return AegisError(f"The database refused: {text}.", "Use a login that has this right.")
    if isinstance(problem, psycopg.OperationalError) and not state:
        url = Settings.from_environment().database_url
        if url:
            return explain_connection_error(problem, url)
        return AegisError(
            f"The connection to the database broke: {_first_line(problem)}", "Run `aegis status`."
        )
    return None


def _first_line(problem: BaseException) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[0] if lines else type(problem).__name__
