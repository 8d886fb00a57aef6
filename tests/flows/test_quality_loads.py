"""What Meta's API delivers, with every fault that arrives as data, ends as the state and reason it deserves."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dlt_pipelines.common import credentials
from dlt_pipelines.common.http import Patience
from dlt_pipelines.common.tokens import Keyring, Secret
from dlt_pipelines.common.windows import Window
from dlt_pipelines.meta.client import Polling
from emulator.server import Server, running
from flows import quality, raw_checks
from flows.expectations import META
from flows.quality import QualityError, QualityResult, judge_coverage
from flows.sync import connected_accounts, sync

AS_OF = dt.date(2026, 11, 19)
DAY = dt.timedelta(days=1)
TODAY = AS_OF + DAY
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
ACCOUNT = "238461750920317"  # Toronto, CAD
OTHER = "238490113377405"  # Berlin, EUR
ADS = f"*/act_{ACCOUNT}/insights"
KEY = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="


@pytest.fixture(scope="module")
def one_server() -> Iterator[Server]:
    with running(as_of=AS_OF) as server:
        yield server


@dataclass
class Desk:
    """A tenant whose accounts are connected to the emulator, and what the quality step makes of a pull."""

    warehouse: Any
    server: Server
    tenant_id: str
    token: str

    def connect(self, *accounts: str) -> None:
        keyring = Keyring([KEY])
        with self.warehouse.connect("owner") as connection:
            credential = credentials.store(
                connection, keyring, tenant_id=self.tenant_id, platform="meta", kind="system",
                token=Secret(self.token), base_url=self.server.url("meta"),
            )  # fmt: skip
            for one in self.server.emulator.meta.accounts.values():
                if one.account_id in accounts:
                    credentials.link(
                        connection, self.tenant_id, "meta", one.account_id, credential,
                        name=one.name, currency=one.currency, timezone=one.timezone,
                    )  # fmt: skip

    def pull(self, first: dt.date = AS_OF, last: dt.date = AS_OF, **more: Any) -> None:
        """One forced pull of these days, of every connected account; each must succeed."""
        connections = self.warehouse.database.connections()
        report = sync(
            connections,
            Keyring([KEY]),
            connected_accounts(connections, self.tenant_id),
            **{
                "period": Window(first, last),
                "now": NOW,
                "side_by_side": 1,
                "force": True,
                "options": {
                    "sleep": lambda seconds: None,
                    "patience": Patience(timeout=(5, 5)),
                    "polling": Polling(),
                    "environ": {},
                },
                **more,
            },
        )
        assert [result.state for result in report.results] == ["completed"] * len(report.results)

    def fault(self, kind: str, path: str = ADS, **options: Any) -> None:
        self.server.emulator.faults.add(kind, path=path, **options)

    def judge(self) -> QualityResult:
        return judge_coverage(self.warehouse.database.connections())

    def states(self, account: str = ACCOUNT) -> list[tuple[dt.date, str, str | None]]:
        """Of each day's newest load."""
        found: list[tuple[dt.date, str, str | None]] = self.warehouse.rows(
            """
            select distinct on (day) day, state, reason from ops.coverage where account_id = %s
            order by day, coverage_id desc
            """,
            (account,),
        )
        return found

    def findings(self) -> dict[str, str]:
        return dict(self.warehouse.rows("select check_name, message from ops.findings"))

    def change(self, statement: str) -> None:
        """What no load can do: rows changed after they arrived."""
        with self.warehouse.connect("admin") as connection:
            connection.execute(statement)


@pytest.fixture
def desk(
    warehouse: Any, one_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Desk:
    monkeypatch.setenv("AEGIS_DATA_DIR", str(tmp_path))
    one_server.emulator.reset()
    token = one_server.emulator.meta.tokens.issue("agency")
    found = Desk(warehouse, one_server, warehouse.add_tenant("Acme", "EUR", "Europe/Berlin"), token)
    found.connect(ACCOUNT)
    return found


@pytest.mark.parametrize("cluster", [18, 16], indirect=True)
def test_a_good_pull_is_accepted_and_today_is_provisional(desk: Desk) -> None:
    desk.pull(AS_OF - DAY, TODAY)
    result = desk.judge()
    assert (result.accepted, result.provisional, result.withheld, result.findings) == (2, 1, 0, 0)
    assert desk.states() == [
        (AS_OF - DAY, "accepted", None),
        (AS_OF, "accepted", None),
        (TODAY, "provisional", "the day was not over"),
    ]
    counted = desk.warehouse.rows(
        """
        select count(*), count(distinct coverage_id), max(gap), min(rows_arrived) > 0, max(repeated_keys)
        from ops.raw_account_days
        """
    )
    assert counted == [(6, 3, 0, True, 0)]
    assert desk.warehouse.rows("select distinct quality_score from ops.coverage") == [(100,)]
    desk.warehouse.rows("select judged_at from ops.coverage order by coverage_id")
    assert desk.judge() == QualityResult(0, 0, 0), "judging again changes nothing"


FAULTS: list[tuple[str, dict[str, Any], str, str | None, str | None]] = [
    ("lost_rows", {}, "withheld", "of the platform's own 29371 impressions the ads add up to 10614", None),
    ("repeated_page", {}, "accepted", None, None),
    ("duplicate_row", {}, "accepted", None, None),
    ("null", {"field": "spend"}, "provisional", "1 row has no spend", "missing_values"),
    ("null", {"field": "impressions"}, "provisional", "1 row has no impressions", "missing_values"),
    ("missing_field", {"field": "campaign_id"}, "provisional", "1 row has no campaign_id", "missing_values"),
    ("number_as_text", {}, "accepted", None, None),
    ("text_as_number", {}, "accepted", None, None),
    (
        "number_as_text", {"field": "spend", "text": "n/a"}, "provisional",
        "1 row was refused (spend is no number: 'n/a'; see ops.quarantine)", "refused_rows",
    ),
    ("foreign_day", {}, "provisional", "1 row was refused without a day of this window", "refused_rows"),
    (
        "number_as_text", {"field": "clicks", "text": "999999"}, "withheld",
        "of the platform's own 579 clicks the ads add up to 1000525", "clicks_exceed_impressions",
    ),
    ("new_field", {}, "accepted", None, "new_fields"),
    ("late_conversion", {}, "accepted", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "state", "reason", "finding"), FAULTS)
def test_what_a_fault_leads_to(
    desk: Desk, kind: str, options: dict[str, Any], state: str, reason: str | None, finding: str | None
) -> None:
    # The account has 14 ads that day: one of them is more than a twentieth of it.
    desk.change("update ops.quality_limits set withheld_gap = 0.2")
    if kind == "repeated_page":
        desk.fault("reduce_data", times=None, above_limit=5)  # several pages are needed for it
    desk.fault(kind, **options)
    desk.pull()
    if kind == "repeated_page":
        assert [each["kind"] for each in desk.server.emulator.faults.listed()] == ["reduce_data"], "it struck"
    desk.judge()
    ((_, found, words),) = desk.states()
    assert found == state
    assert words is None if reason is None else reason in str(words)
    kinds = set(desk.findings())
    assert kinds - {"ads_and_totals_differ"} == ({finding} if finding else set())
    assert desk.judge() == QualityResult(0, 0, 0)
    assert desk.states() == [(AS_OF, state, words)] and set(desk.findings()) == kinds
