"""great-expectations over the raw tables of connected platforms: counts are SQL's, the assertion is its own.

Runs on query assets of one row per account-day under judgement, never on raw rows: it lists twenty failing rows
whatever it is told, so it decides about days and refuses no row. Importing it takes seconds: call it only where there
is something to judge. Its pages lie in `data_docs/` of the data folder, for the operator: they show every tenant.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.expectations import PLATFORMS, RawFacts
from flows.raw_pages import Page, make_local

if TYPE_CHECKING:
    from great_expectations import Checkpoint, ExpectationSuite
    from great_expectations.checkpoint import CheckpointResult
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.datasource.fluent import PostgresDatasource
    from great_expectations.expectations import Expectation

QUIET = {"GX_ANALYTICS_ENABLED": "False", "DO_NOT_TRACK": "1"}
SITE = "data_docs"


class ChecksFailedError(Exception):
    """great-expectations could not look, or saw something else than SQL did."""


class RawChecks:
    """One run of great-expectations; use `opened`."""

    def __init__(
        self, context: EphemeralDataContext, source: PostgresDatasource, gx: Any, folder: Path
    ) -> None:
        self._context = context
        self._source = source
        self._gx = gx
        self._pages: list[Page] = []
        self.folder = folder

    def columns_that_differ(self, platform: str) -> list[str]:
        """In words, each declared column of a platform that its raw tables lack or hold in another type."""
        declared = PLATFORMS[platform].columns()
        e = self._gx.expectations
        result = self._run(
            f"raw_{platform} columns",
            _columns_query(declared),
            [
                e.ExpectColumnValuesToNotBeNull(column="found", meta={"check": "there"}),
                e.ExpectColumnPairValuesToBeEqual(
                    column_A="declared",
                    column_B="found",
                    ignore_row_if="either_value_is_missing",
                    meta={"check": "type"},
                ),
            ],
            ["raw_table", "column_name"],
        )
        wrong = []
        for check, each in result.items():
            for row in each.get("unexpected_index_list") or ():
                place = f"{row['raw_table']}.{row['column_name']}"
                wrong.append(
                    f"{place} is missing"
                    if check == "there"
                    else f"{place} is {row['found']}, declared {row['declared']}"
                )
        return sorted(wrong)

    def failing(self, facts: RawFacts, account_days: int) -> Counter[str]:
        """How many account-days fail each check of one raw table.

        Raises ChecksFailedError where another number of account-days was counted than is under judgement.
        """
        result = self._run(
            facts.name, _account_days_query(facts), self._expected(facts, account_days), ["tenant", "account_id", "day"]
        )  # fmt: skip
        found = result.pop("account_days")["observed_value"]
        if found != account_days:
            raise ChecksFailedError(
                f"{facts.name}: {found} account-days were counted of {account_days} to judge"
            )
        return Counter(
            {check: each["unexpected_count"] for check, each in result.items() if each["unexpected_count"]}
        )

    def _expected(self, facts: RawFacts, account_days: int) -> list[Expectation]:
        e = self._gx.expectations
        found: list[Expectation] = [
            e.ExpectTableRowCountToEqual(
                value=account_days, meta={"check": "account_days"}, notes="Every covered account-day is looked at."
            ),
            e.ExpectColumnValuesToBeBetween(
                column="days_ahead", max_value=0, meta={"check": "not_begun"}, notes="No day of the future."
            ),
            e.ExpectColumnValuesToBeBetween(
                column="repeated_keys", max_value=0, meta={"check": "repeated_keys"},
                notes=f"{', '.join(facts.key)} once per account-day and load.",
            ),
        ]  # fmt: skip
        if facts.is_counted:
            found.append(
                e.ExpectColumnPairValuesToBeEqual(
                    column_A="rows_arrived", column_B="rows_covered", meta={"check": "rows_arrived"},
                    notes="What the load counted is there.",
                )
            )  # fmt: skip
        for name in facts.not_negative:
            found.append(
                e.ExpectColumnValuesToBeBetween(
                    column=f"sum_{name}", min_value=0, meta={"check": f"negative:{name}"}
                )
            )
        for name in facts.required:
            found.append(
                e.ExpectColumnValuesToBeBetween(
                    column=f"without_{name}", max_value=0, meta={"check": f"without:{name}"}, severity="warning"
                )
            )  # fmt: skip
        if facts.totals:
            found.append(
                e.ExpectColumnPairValuesAToBeGreaterThanB(
                    column_A="finding_gap", column_B="gap", or_equal=True, ignore_row_if="either_value_is_missing",
                    meta={"check": "totals"}, severity="warning",
                    notes=f"Ads add up to {facts.totals}: {', '.join(facts.compared)}.",
                )
            )  # fmt: skip
            found.append(
                e.ExpectColumnValuesToBeBetween(
                    column="rows_without_totals", max_value=0, meta={"check": "no_totals"}, severity="warning"
                )
            )
        return found

    def _run(
        self, name: str, query: str, expectations: Sequence[Expectation], index: list[str]
    ) -> dict[str, Any]:
        """Results by check. Raises ChecksFailedError where an expectation could not be looked at."""
        suite: ExpectationSuite = self._context.suites.add(self._gx.ExpectationSuite(name=name))
        for expectation in expectations:
            suite.add_expectation(expectation)
        batch = self._source.add_query_asset(name, query=query).add_batch_definition_whole_table("pending")
        definition = self._context.validation_definitions.add(
            self._gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
        checkpoint: Checkpoint = self._gx.Checkpoint(
            name=name,
            validation_definitions=[definition],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": index},
        )
        result: CheckpointResult = self._context.checkpoints.add(checkpoint).run()
        (done,) = result.run_results.values()
        self._pages.append(Page(name, len(done.results), sum(not each.success for each in done.results)))
        found: dict[str, Any] = {}
        for each in done.results:
            config = each.expectation_config
            assert config is not None and config.meta is not None, name
            check = config.meta["check"]
            problem = each.exception_info or {}
            if problem.get("raised_exception", True):
                raise ChecksFailedError(f"{name}: {check} could not be looked at: {_words(problem)}")
            found[check] = each.result
        if len(found) != len(expectations):
            raise ChecksFailedError(f"{name}: {len(found)} of {len(expectations)} checks gave a result")
        return found

    def write_pages(self) -> None:
        """Replace the pages of the run before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        self._context.build_data_docs()
        make_local(self.folder, self._pages, f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC")


@contextmanager
def opened(url: str, folder: Path) -> Iterator[RawChecks]:
    """great-expectations on this database, whose pages will lie in `folder`. Nothing reports home."""
    os.environ |= QUIET  # whatever was set: it must not report home
    import great_expectations as gx
    import great_expectations.expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    for site in list(context.variables.data_docs_sites or {}):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        SITE,
        {
            "class_name": "SiteBuilder",
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    source = context.data_sources.add_postgres("warehouse", connection_string=_for_sqlalchemy(url))
    try:
        yield RawChecks(context, source, gx, folder)
    finally:
        source.get_engine().dispose()


def _for_sqlalchemy(url: str) -> str:
    """The same address for psycopg2; a dollar would be taken for the name of a setting."""
    return "postgresql+psycopg2://" + url.partition("://")[2].replace("$", "%24")


def _words(problem: Mapping[str, Any]) -> str:
    """The first line of an exception; great-expectations keeps one, or one per metric."""
    message = problem.get("exception_message")
    if message is None:
        message = next(
            (each.get("exception_message") for each in problem.values() if isinstance(each, dict)), None
        )
    return str(message or "no reason given").splitlines()[0][:300]


def _columns_query(declared: Mapping[str, Mapping[str, str]]) -> str:
    """One row per declared column: its type as declared and as found. Names and types are ours, not a vendor's."""
    rows = ", ".join(
        f"('{table}', '{column}', '{kind}')" for table, columns in declared.items() for column, kind in columns.items()
    )  # fmt: skip
    return f"""
        select d.raw_table, d.column_name, d.declared, format_type(a.atttypid, a.atttypmod) as found
        from (values {rows}) as d (raw_table, column_name, declared)
        left join pg_attribute as a
            on a.attrelid = to_regclass(d.raw_table) and a.attname = d.column_name and not a.attisdropped
    """


def _account_days_query(facts: RawFacts) -> str:
    """One row per account-day under judgement: what SQL counted in this raw table."""
    figures = [f"(o.sums ->> '{name}')::numeric as sum_{name}" for name in facts.not_negative]
    figures += [f"(o.without_value ->> '{name}')::bigint as without_{name}" for name in facts.required]
    return f"""
        select
            t.name as tenant, o.account_id, o.day, o.load_id, o.days_ahead, o.rows_covered, o.rows_arrived,
            o.repeated_keys, o.rows_without_totals, o.gap, o.finding_gap, {", ".join(figures)}
        from ops.raw_account_days as o
        inner join tenancy.tenants as t on o.tenant_id = t.tenant_id
        where o.raw_table = '{facts.name}'
    """
