"""sqlfluff over everything: sql/ as plain Postgres, models as dbt renders them.

    python scripts/lint_sql.py          report, exit code 1 when something is wrong
    python scripts/lint_sql.py --fix    let sqlfluff repair what it can

sqlfluff's dbt templater stops without a live database. So a server of its own is started in .aegis/lint, an empty
schema is deployed there, and all of it is deleted again: the user's data is never touched. 7 s are fixed costs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aegis.database import Database
from aegis.deploy import deploy
from aegis.server import write_private
from aegis.settings import Settings, project_root
from dlt_pipelines.common.errors import AegisError

ROOT = project_root()
PROJECT = ROOT / "dbt_project"


def sqlfluff(command: str, folder: Path, *paths: str, **environ: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "sqlfluff", command, "--disable-progress-bar", *paths],
        cwd=folder,
        env={**os.environ, **environ},
        check=False,
    )
    return done.returncode == 0


def write_profile(database: Database, folder: Path) -> None:
    """A dbt profile for the lint server, named as dbt_project.yml asks for it."""
    text = (PROJECT / "dbt_project.yml").read_text(encoding="utf-8")
    found = re.search(r"^profile:\s*['\"]?([\w-]+)", text, re.MULTILINE)
    parts = urlsplit(database.url("transformer"))
    write_private(
        folder / "profiles.yml",
        f"{found.group(1) if found else 'aegis'}:\n"
        "  target: ci\n"
        "  outputs:\n"
        "    ci:\n"
        "      type: postgres\n"
        f"      host: {parts.hostname}\n"
        f"      port: {parts.port}\n"
        f"      user: {unquote(parts.username or '')}\n"
        f'      password: "{unquote(parts.password or "")}"\n'
        f"      dbname: {parts.path.lstrip('/')}\n"
        "      schema: ads\n"
        "      threads: 1\n",
    )


def lint_models(command: str) -> bool:
    base = Settings.from_environment({})
    settings = replace(base, data_dir=base.root / ".aegis" / "lint")
    database = Database(settings)
    assert database.server is not None
    database.server.durable = False
    database.server.destroy()  # a killed run may have left one, perhaps of another branch
    try:
        database.server.start()
        deploy(database)
        write_profile(database, settings.data_dir)
        os.environ["DBT_PROFILES_DIR"] = str(settings.data_dir)
        # A target folder of its own: linting must not disturb a build's partial parsing.
        os.environ["DBT_TARGET_PATH"] = str(settings.data_dir / "target")
        os.environ["DBT_LOG_PATH"] = str(settings.data_dir / "logs")
        return sqlfluff(command, PROJECT, "models")
    finally:
        database.server.destroy()
        shutil.rmtree(settings.data_dir, ignore_errors=True)


def main(arguments: list[str]) -> int:
    command = "fix" if arguments == ["--fix"] else "lint"
    try:
        # A migration is never edited after merge, not even its layout: its hash is in every database.
        paths = ["sql"] if command == "lint" else ["sql/bootstrap", "sql/functions", "sql/checks"]
        is_fine = sqlfluff(command, ROOT, *paths)
        if (PROJECT / "dbt_project.yml").exists():
            is_fine = lint_models(command) and is_fine
    except AegisError as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
