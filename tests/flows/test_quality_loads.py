"""What Meta's API delivers, with every fault that arrives as data, ends as the state and reason it deserves."""

from __future__ import annotations

import datetime as dt
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
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
from flows.daily_optimization import optimize
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
def desk(warehouse: Any, one_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
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
    assert ("ads_and_totals_differ" in kinds) == (
        state == "provisional" and "of the platform's own" in str(words)
    )
    assert kinds - {"ads_and_totals_differ"} == ({finding} if finding else set())
    assert desk.judge() == QualityResult(0, 0, 0)
    assert desk.states() == [(AS_OF, state, words)] and set(desk.findings()) == kinds


# Rows spoiled after they arrived, each on a day of its own; {day} brings the account's condition along.
SPOILED: list[tuple[str, str, str | None]] = [
    ("", "accepted", None),
    (
        """
        delete from raw_meta.insights
        where ctid = (select min(ctid) from raw_meta.insights where day = '{day}')
        """,
        "withheld",
        "of the 14 rows that were read are there",
    ),
    (
        """
        insert into raw_meta.insights
        select * from raw_meta.insights where day = '{day}' order by spend limit 1
        """,
        "withheld",
        "1 row repeats the key of another in raw_meta.insights",
    ),
    (
        """
        insert into raw_meta.insights_totals
        select * from raw_meta.insights_totals where day = '{day}' and level = 'account'
        """,
        "withheld",
        "1 row repeats the key of another in raw_meta.insights_totals",
    ),
    (
        "update raw_meta.insights set unique_clicks = -unique_clicks where day = '{day}'",
        "withheld",
        "the sum of unique_clicks is -",
    ),
    ("update raw_meta.insights set currency = null where day = '{day}'", "withheld", "no row has currency"),
    (
        "update raw_meta.insights_totals set spend = spend * 1.004 where day = '{day}'",
        "accepted",
        None,
    ),
    (
        "update raw_meta.insights_totals set spend = spend * 1.02 where day = '{day}'",
        "provisional",
        "of the platform's own",
    ),
    (
        "update raw_meta.insights_totals set spend = spend / 1.02 where day = '{day}'",
        "provisional",
        "of the platform's own",
    ),
    (
        "update raw_meta.insights_totals set spend = spend * 1.06 where day = '{day}' and level = 'campaign'",
        "withheld",
        "of the platform's own",
    ),
    (
        "delete from raw_meta.insights where day = '{day}'",
        "withheld",
        "0 of the 14 rows that were read are there; of the platform's own",
    ),
    (
        "delete from raw_meta.insights_totals where day = '{day}'",
        "provisional",
        "the platform gave no totals of its own to compare the ads with",
    ),
    (
        "update ops.coverage set covered_at = covered_at - interval '40 days' where day = '{day}'",
        "withheld",
        "the day had not begun when it was asked for",
    ),
]


@pytest.mark.parametrize("cluster", [18, 16], indirect=True)
def test_each_day_is_judged_by_itself_and_a_good_pull_replaces_it(desk: Desk) -> None:
    desk.connect(OTHER)
    first = AS_OF - (len(SPOILED) - 1) * DAY
    desk.pull(first, TODAY)
    for number, (statement, _, _) in enumerate(SPOILED):
        if statement:
            only = f" and account_id = '{ACCOUNT}'"
            desk.change(statement.format(day=f"{first + number * DAY}'{only} and '' = '"))
    # While the day runs, a total that is ahead of the ads is no reason to withhold it.
    desk.change(f"update raw_meta.insights_totals set spend = spend * 2 where day = '{TODAY}'")
    result = desk.judge()
    found = desk.states()
    for (day, state, reason), (statement, expected, words) in zip(found, SPOILED, strict=False):
        assert state == expected, (day, statement, reason)
        assert reason is None if words is None else words in str(reason), (day, statement, reason)
    assert found[-1][1] == "provisional" and "the day was not over" in str(found[-1][2])
    assert {state for _, state, _ in desk.states(OTHER)[:-1]} == {"accepted"}
    wanted = [expected for _, expected, _ in SPOILED]
    assert result.withheld == wanted.count("withheld")
    assert result.provisional == wanted.count("provisional") + 2
    messages = desk.warehouse.rows(
        """
        select day, message from ops.findings
        where check_name = 'ads_and_totals_differ' and account_id = %s
        order by day
        """,
        (ACCOUNT,),
    )
    assert [day for day, _ in messages] == [first + 7 * DAY, first + 8 * DAY, TODAY], messages

    desk.pull(first, AS_OF, now=NOW + dt.timedelta(hours=1))
    assert desk.judge().accepted == 2 * len(SPOILED)
    assert {state for _, state, _ in desk.states()[:-1]} == {"accepted"}
    assert len(desk.warehouse.rows("select from ops.findings where day < %s", (TODAY,))) == 0


def test_the_score_is_the_mean_of_the_rows(desk: Desk) -> None:
    desk.pull()
    desk.change(
        """
        update raw_meta.insights as i
        set impressions = case when n.number = 1 then null else i.impressions end,
            spend = case when n.number in (1, 2) then null else i.spend end,
            clicks = case when n.number in (1, 2, 3) then null else i.clicks end,
            actions = case when n.number <= 4 then null when n.number = 5 then '[]' else i.actions end,
            reach = case when n.number <= 4 then null else i.reach end
        from (select ctid as place, row_number() over (order by ad_id) as number from raw_meta.insights) as n
        where i.ctid = n.place
        """
    )
    desk.judge()
    ((rows, score),) = desk.warehouse.rows("select rows, quality_score from ops.coverage")
    by_hand = [65, 85, 95, *[100] * (rows - 3)]
    assert score == round(Decimal(sum(by_hand)) / rows, 2)


def test_a_withheld_day_is_asked_for_again_even_when_it_is_closed(desk: Desk) -> None:
    day = AS_OF - 60 * DAY
    desk.fault("lost_rows")
    desk.pull(day, day, force=False)
    desk.judge()
    assert desk.states()[0][1] == "withheld"
    for later, expected in ((dt.timedelta(hours=2), "withheld"), (DAY, "accepted")):
        desk.pull(day, day, force=False, now=NOW + later)
        desk.judge()
        assert desk.states()[0][1] == expected


def test_a_check_that_cannot_be_made_judges_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.pull()

    def broken(*_: Any) -> Any:
        raise RuntimeError(f"no answer from {desk.warehouse.url('transformer')}")

    with monkeypatch.context() as patch:
        patch.setattr(raw_checks, "_account_days_query", broken)
        with pytest.raises(QualityError, match="could not be checked: RuntimeError") as caught:
            desk.judge()
    password = desk.warehouse.url("transformer").split("@")[0].rsplit(":", 1)[1]
    assert password and password not in str(caught.value) + caught.value.hint
    assert desk.states() == [(AS_OF, "pending", None)]
    assert desk.judge().accepted == 1


def test_great_expectations_and_sql_must_agree(desk: Desk) -> None:
    """A rule that is lost in SQL is noticed by the other, and the other way round."""
    desk.pull()
    desk.change("update raw_meta.insights set currency = null")
    ((definition,),) = desk.warehouse.rows("select pg_get_functiondef('ops.raw_failures()'::regprocedure)")
    for old, new in (
        ("'without:' || w.key", "'with:' || w.key"),
        ("w.value::bigint > 0", "w.value::bigint > 99"),
    ):
        assert old in definition
        desk.change(definition.replace(old, new))
        with pytest.raises(QualityError, match="count failing account-days differently"):
            desk.judge()
        assert desk.states() == [(AS_OF, "pending", None)]
    desk.change(definition)
    desk.judge()
    assert desk.states() == [(AS_OF, "withheld", "no row has currency")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "alter table raw_meta.insights alter column spend type double precision",
            "raw_meta.insights.spend is double precision, declared numeric(20,6)",
        ),
        ("alter table raw_meta.ads drop column creative_id", "raw_meta.ads.creative_id is missing"),
    ],
)
def test_other_columns_than_declared_judge_nothing(desk: Desk, change: str, words: str) -> None:
    desk.pull()
    desk.change("set role aegis_loader; " + change)
    other = desk.warehouse.add_tenant("Files")
    desk.change(
        f"""
        insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows)
        values ('file', '{other}', 'meta', 'a', '2026-11-01', 'file', 0)
        """
    )
    with pytest.raises(QualityError) as caught:
        desk.judge()
    assert words in caught.value.message and "aegis deploy" in caught.value.hint
    assert desk.states() == [(AS_OF, "pending", None)]
    assert desk.states("a")[0][1] == "accepted", "files are judged all the same"


def test_more_columns_than_declared_are_fine(desk: Desk) -> None:
    desk.pull()
    desk.change("set role aegis_loader; alter table raw_meta.insights add column novelty text")
    assert desk.judge().accepted == 1


def test_the_pages_say_what_failed_and_hold_no_secret(desk: Desk) -> None:
    desk.pull()
    desk.change("update raw_meta.insights set currency = null")
    pages = desk.judge().pages
    assert pages == quality.pages_folder() and pages is not None
    assert (pages / "index.html").exists()
    texts = {path.relative_to(pages): path.read_text() for path in pages.rglob("*.html")}
    everything = "\n".join(texts.values())
    assert ACCOUNT in everything and "without_currency" in everything
    index = texts[Path("index.html")]
    for name in (*(facts.name for facts in META.facts), "raw_meta columns"):
        (link,) = re.findall(rf'href="([^"]+)">{name}</a>', index)
        assert name in (pages / link).read_text()
    assert index.count("1 found something") == 1 and index.count(">fine<") == 2
    assert not re.search(r"<script|https?://", everything), "read without a network"
    password = desk.warehouse.url("transformer").split("@")[0].rsplit(":", 1)[1]
    for secret in (desk.token, desk.token[:24], password):
        assert secret and secret not in everything


def test_without_a_platforms_load_nothing_heavy_is_imported(
    warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flows.raw_checks", None)  # importing it would fail
    assert judge_coverage(warehouse.database.connections()) == QualityResult(0, 0, 0)


def test_what_is_compared_are_columns_of_both_tables() -> None:
    """A declaration names columns; a misspelt one would only show when a load is judged."""
    columns = META.columns()
    for facts in META.facts:
        named = {*facts.key, *facts.required, *facts.not_negative, *facts.compared}
        named |= {
            name
            for name in (facts.spend, facts.impressions, facts.clicks, facts.actions, facts.reach)
            if name
        }
        assert named <= set(columns[facts.name])
        assert set(facts.compared) <= set(facts.not_negative), "sums are counted once"
        if facts.totals:
            assert set(facts.compared) <= set(columns[facts.totals])


def test_the_daily_run_says_how_many_were_judged_how(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from aegis.cli.daily import _print_report

    def build(*_: Any, **__: Any) -> Any:
        return types.SimpleNamespace(ok=True, failures=[])

    monkeypatch.setitem(sys.modules, "flows.transform", types.SimpleNamespace(build=build))  # type: ignore[arg-type]
    desk.connect(OTHER)
    desk.warehouse.add_tenant("Without figures")
    desk.fault("lost_rows", times=1)
    desk.pull(AS_OF, TODAY)
    report = optimize(desk.warehouse.database.connections())
    run = next(run for run in report.runs if run.name == "Acme")
    assert (run.status, run.new_account_days) == ("done", 4)
    assert (run.accepted, run.provisional, run.withheld) == (1, 2, 1)
    _print_report(report)
    said = capsys.readouterr()
    assert "4 new account-days: 1 accepted, 2 provisional, 1 withheld" in said.out
    assert str(report.data_docs) in said.err and (quality.pages_folder() / "index.html").exists()

    report = optimize(desk.warehouse.database.connections())
    run = next(run for run in report.runs if run.name == "Acme")
    assert (run.accepted, run.provisional, run.withheld, report.data_docs) == (0, 0, 0, None)
