"""The `aegis` command: builds the application out of the modules of this folder."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated

import typer

import aegis
from aegis.cli.frame import guarded
from aegis.settings import Settings, load_env_file, project_root

MODULES = ("server", "schema", "tenants", "connect", "imports", "sync", "daily", "backtest", "decisions", "demo")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aegis {aegis.__version__}")
        raise typer.Exit


def build() -> typer.Typer:
    app = typer.Typer(
        name="aegis",
        help="Figures of many advertisers in one Postgres: anomalies and recommendations every morning.",
        no_args_is_help=True,
        rich_markup_mode=None,  # rich costs 0.1 s at the start of every command
        pretty_exceptions_enable=False,  # frame.py says it in a sentence
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    for name in MODULES:
        importlib.import_module(f"aegis.cli.{name}").register(app)
    return app


def prepare_environment() -> None:
    """What libraries read from the environment, before any of them is imported."""
    load_env_file(project_root() / ".env")
    data_dir = Settings.from_environment().data_dir
    # dlt would write to ~/.dlt, dbt to ~/.dbt: there may be no home, and two checkouts would share it.
    os.environ.setdefault("DLT_DATA_DIR", str(data_dir / "dlt"))


def main() -> None:
    def run() -> None:
        prepare_environment()
        build()(prog_name="aegis")

    sys.exit(guarded(run))


if __name__ == "__main__":
    main()
