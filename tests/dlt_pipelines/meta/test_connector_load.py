"""From the emulator into raw_meta: all of it, once, and visible only when it is whole."""

from __future__ import annotations

import datetime as dt
import logging
import os
import random
import signal
import subprocess
import sys
import traceback
from decimal import Decimal
from typing import Any

import pytest

from dlt_pipelines.common import sync as engine
from dlt_pipelines.common.tokens import Secret
from dlt_pipelines.common.windows import Window

AS_OF = dt.date(2026, 11, 19)
NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
WEEK = Window(AS_OF - 6 * DAY, AS_OF)
ACCOUNT, OTHER = "238461750920317", "238490113377405"
REPORT = f"*/act_{ACCOUNT}/insights"


def truth(
    rig: Any, account: str = ACCOUNT, window: Window = WEEK, known_on: dt.date = AS_OF
) -> tuple[Any, ...]:
    rows = rig.truth(account, window, known_on)
    return (
        len(rows),
        sum((row.spend for row in rows), Decimal(0)),
        sum(row.impressions for row in rows),
        sum(row.clicks for row in rows),
    )


def test_sums_are_the_worlds_and_every_day_is_covered(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT, OTHER)
    report = office.sync(side_by_side=2, requested_by="nora")
    assert [(one.state, one.days_done, one.days_total) for one in report.results] == [("completed", 7, 7)] * 2
    for account in (ACCOUNT, OTHER):
        assert office.sums(account) == truth(rig, account)
    covered = office.warehouse.rows(
        "select account_id, count(*), sum(rows), min(source), min(covered_at) from ops.coverage group by 1 order by 1"
    )
    assert covered == [(one, 7, truth(rig, one)[0], "api", NOW) for one in (ACCOUNT, OTHER)]
    totals = office.warehouse.rows(
        "select account_id, level, sum(spend) from raw_meta.insights_totals group by 1, 2 order by 1, 2"
    )
    assert totals == [
        (one, level, truth(rig, one)[1]) for one in (ACCOUNT, OTHER) for level in ("account", "campaign")
    ]
    entities = office.warehouse.rows(
        f"""
        select
            (select count(*) from raw_meta.accounts), (select count(distinct campaign_id) from raw_meta.campaigns),
            (select count(*) from raw_meta.adsets where learning_stage is not null) > 0,
            (select count(*) from raw_meta.creatives where thumbnail_url is not null and body is not null and link is not null)
                = (select count(*) from raw_meta.creatives),
            (select count(*) from raw_meta.insights as i where not exists (
                select from raw_meta.ads as a where a.ad_id = i.ad_id and a.load_id = i.load_id and a.creative_id is not null
            )),
            (select json_typeof(actions) from raw_meta.insights where actions is not null limit 1),
            (select count(*) from raw_meta.campaigns where account_id = '{ACCOUNT}')
        """
    )
    campaigns = rig.emulator.world.campaigns(AS_OF)
    known = [one.campaign_id for one in campaigns if one.account_id in (ACCOUNT, OTHER)]
    assert entities[0][:6] == (2, len(known), True, True, 0, "array")
    log = office.warehouse.rows(
        "select status, requested_by, api_calls > 5, api_calls_failed, rows_failed, memory_bytes > 0 from ops.import_log"
    )
    assert log == [("completed", "nora", True, 0, 0, True)] * 2
    states = office.warehouse.rows("select state, days_done, days_failed, requested_by from ops.sync_state")
    assert states == [("completed", 7, 0, "nora")] * 2


def test_no_more_calls_than_the_tiers_need(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    period = Window(AS_OF - 39 * DAY, AS_OF)
    office.sync(period)
    rig.emulator.calls.clear()
    assert office.sync(period).results[0].state == "completed"
    assert rig.calls() == 0, "nothing is stale within the hour"
    # An hour later: yesterday only, and what stands on the edges.
    report = office.sync(period, now=NOW + dt.timedelta(hours=1))
    assert report.results[0].days_total == 1
    asked = {call["parameters"].get("time_range") for call in rig.emulator.calls.report(500)["last"]} - {None}
    assert asked == {'{"since":"2026-11-19","until":"2026-11-19"}'}
    assert rig.calls("GET account/insights") == 3
    # Half an hour after that nothing again, although the entities were asked for an hour ago.
    rig.emulator.calls.clear()
    office.sync(period, now=NOW + dt.timedelta(minutes=90))
    assert rig.calls() == 0
    # The next day: the restatement window once; the eleven days beyond it are closed.
    rig.emulator.clock.set_as_of(AS_OF + DAY)
    report = office.sync(Window(period.first, AS_OF + DAY), now=NOW + dt.timedelta(hours=25))
    assert report.results[0].days_total == 28
    newest = Window(AS_OF - 26 * DAY, AS_OF + DAY)
    older = Window(period.first, AS_OF - 27 * DAY)
    expected = [
        a + b for a, b in zip(
            truth(rig, window=newest, known_on=AS_OF + DAY), truth(rig, window=older, known_on=AS_OF), strict=True
        )
    ]  # fmt: skip
    assert list(office.sums()) == expected


def test_a_hole_is_filled_and_nothing_around_it_is_asked_for(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    office.sync(Window(AS_OF - 2 * DAY, AS_OF))
    office.sync(Window(AS_OF - 9 * DAY, AS_OF - 6 * DAY))
    rig.emulator.calls.clear()
    report = office.sync(Window(AS_OF - 9 * DAY, AS_OF))
    assert report.results[0].days_total == 3
    assert rig.calls("GET account/ads") == 0, "the entities are fresh"
    assert office.sums() == truth(rig, window=Window(AS_OF - 9 * DAY, AS_OF))


def test_a_day_without_delivery_is_covered(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    before = Window(dt.date(2023, 12, 1), dt.date(2023, 12, 3))  # the world begins in 2024
    report = office.sync(before)
    assert report.results[0].state == "completed"
    assert office.warehouse.rows("select day, rows from ops.coverage order by day") == [
        (day, 0) for day in before
    ]


def test_today_is_marked_as_not_over(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    office.sync(Window(AS_OF, AS_OF + DAY))
    assert office.warehouse.rows("select day, reason from ops.coverage order by day") == [
        (AS_OF, None),
        (AS_OF + DAY, engine.NOT_OVER),
    ]


def test_too_much_data_halves_the_window(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    rig.emulator.faults.add("data_limit", path=REPORT, times=None, above_days=2)
    report = office.sync()
    assert report.results[0].state == "completed"
    assert office.sums() == truth(rig)
    assert office.warehouse.rows("select count(distinct load_id) from ops.coverage") == [(1,)]


def test_refused_rows_are_in_quarantine_and_the_day_says_so(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    rig.emulator.faults.add("number_as_text", path=REPORT, field="spend", text="twelve")
    report = office.sync()
    assert report.results[0].state == "completed" and report.results[0].refused == 1
    rows = office.warehouse.rows(
        "select source_name, reason, payload ->> 'spend', account_id from ops.quarantine"
    )
    assert rows == [("meta insights", "spend is no number: 'twelve'", "twelve", ACCOUNT)]
    reasons = office.warehouse.rows("select reason, count(*) from ops.coverage group by 1 order by 1")
    assert reasons == [("1 row was refused", 1), (None, 6)]
    assert office.sums()[0] == truth(rig)[0] - 1


@pytest.mark.parametrize(
    ("kind", "options", "state", "status"),
    [
        ("expired_token", {}, "failed", "reauthorise"),
        ("no_permission", {}, "failed", "denied"),
        ("suspended_account", {"account": ACCOUNT}, "failed", "suspended"),
        ("rate_limit", {"times": None, "wait": 9000}, "rate_limited", "active"),
        ("repeated_cursor", {"times": None}, "failed", "active"),
    ],
)
def test_one_accounts_failure_leaves_the_others_done(
    office: Any, rig: Any, kind: str, options: dict[str, Any], state: str, status: str
) -> None:
    office.connect(ACCOUNT)
    office.connect(OTHER, token=Secret(rig.emulator.meta.tokens.issue("agency")))
    path = REPORT if kind == "repeated_cursor" else f"*/act_{ACCOUNT}*"
    rig.emulator.faults.add(kind, path=path, **{"times": 1, **options})
    days = Window(AS_OF - DAY, AS_OF)
    report = office.sync(days)
    assert {one.account.account_id: one.state for one in report.results} == {
        ACCOUNT: state,
        OTHER: "completed",
    }
    failed = report.failed[0]
    assert (failed.error and failed.error_code) or kind == "repeated_cursor"
    accounts = dict(office.warehouse.rows("select account_id, status from tenancy.ad_accounts"))
    assert accounts == {ACCOUNT: status, OTHER: "active"}
    assert office.sums(ACCOUNT)[0] == 0 and office.sums(OTHER) == truth(rig, OTHER, days)
    if state == "rate_limited":
        rig.emulator.faults.clear()
        rig.emulator.calls.clear()
        assert office.sync(days, account=ACCOUNT).results[0].state == "rate_limited"
        assert rig.calls() == 0, "not before the announced time"
    later = NOW + dt.timedelta(hours=4)
    rig.emulator.faults.clear()
    assert office.sync(days, account=ACCOUNT, now=later).results[0].state == "completed"
    assert office.sums(ACCOUNT) == truth(rig, window=days)
    assert (
        dict(office.warehouse.rows("select account_id, status from tenancy.ad_accounts"))[ACCOUNT] == "active"
    )


def test_a_dead_token_is_not_tried_for_the_next_account(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT, OTHER)
    rig.emulator.meta.tokens.revoke(rig.token.reveal())
    report = office.sync()
    assert [one.is_token_dead for one in report.results] == [True, True]
    assert rig.calls() == 1
    assert office.warehouse.rows("select status, last_error is not null from tenancy.credentials") == [
        ("refused", True)
    ]


def age_token(office: Any, text: str, ends_in: dt.timedelta) -> None:
    with office.warehouse.connect("owner") as connection:
        connection.execute(
            "update tenancy.credentials set kind = 'user', token = %s, issued_at = %s, expires_at = %s",
            (office.keyring.encrypt(Secret(text)), NOW - 2 * DAY, NOW + ends_in),
        )


def test_a_persons_token_is_renewed_in_time(office: Any, rig: Any) -> None:
    rig.environ.update(AEGIS_META_APP_ID="200000000000001", AEGIS_META_APP_SECRET="emulator-app-secret")
    rig.emulator.meta.settings.require_proof = True
    office.connect(ACCOUNT)
    old = rig.emulator.meta.tokens.issue("agency", kind="long")
    age_token(office, old, 10 * DAY)
    result = office.sync(Window(AS_OF, AS_OF)).results[0]
    assert result.state == "completed" and result.notes == []
    rows = office.warehouse.rows(
        "select token, expires_at - %s > interval '59 days', status from tenancy.credentials", (NOW,)
    )
    assert rows[0][1:] == (True, "active")
    assert office.keyring.decrypt(rows[0][0]).reveal() != old
    assert rig.calls("POST oauth/access_token") == 1


def test_a_token_that_cannot_be_renewed_is_warned_about_and_then_named(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    text = rig.emulator.meta.tokens.issue("agency", kind="long")
    age_token(office, text, 10 * DAY)
    assert "The token ends on 2026-11-30" in office.sync(Window(AS_OF, AS_OF)).results[0].notes[0]
    age_token(office, text, -DAY)
    rig.emulator.calls.clear()
    result = office.sync().results[0]
    assert (
        result.state == "failed"
        and "ended on 2026-11-19" in str(result.error)
        and "account connect" in result.hint
    )
    assert rig.calls() == 0
    assert office.warehouse.rows(
        "select a.status, c.status from tenancy.ad_accounts as a, tenancy.credentials as c"
    ) == [("reauthorise", "expired")]


def test_another_currency_or_time_zone_is_an_error(office: Any, rig: Any) -> None:
    office.connect(ACCOUNT)
    rig.emulator.meta.override(f"act_{ACCOUNT}", {"currency": "USD"})
    report = office.sync()
    assert report.results[0].state == "failed" and "was CAD and is USD now" in str(report.results[0].error)
    assert office.warehouse.rows("select count(*) from ops.coverage") == [(0,)]


def test_cancelling_keeps_what_is_loaded(office: Any, rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    office.connect(ACCOUNT)
    monkeypatch.setattr(engine, "CANCEL_POLL_SECONDS", 0.0)

    def cancel_after_the_first(result: engine.AccountResult) -> None:
        if result.days_done and result.state == "syncing":
            with office.warehouse.connect("owner") as connection:
                engine.cancel(connection, office.tenant_id, None, "nora")

    period = Window(AS_OF - 39 * DAY, AS_OF)
    result = office.sync(period, progress=cancel_after_the_first).results[0]
    assert (result.state, result.days_done, result.days_total) == ("cancelled", 12, 40)
    assert office.warehouse.rows("select state, cancelled_by from ops.sync_state") == [("cancelled", "nora")]
    assert office.sync(period).results[0].days_total == 28, "goes on where it stopped"
    assert office.sums() == truth(rig, window=period)


def test_two_syncs_of_one_account_do_not_mix(office: Any, rig: Any) -> None:
    import psycopg

    office.connect(ACCOUNT)
    key = f"aegis sync {office.tenant_id} meta {ACCOUNT}"
    with psycopg.connect(office.connections.loader, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (key,))
        result = office.sync().results[0]
    assert result.state == "failed" and "already" in str(result.error)
    assert rig.calls() == 0


def test_nothing_a_run_wrote_holds_a_token(
    office: Any, rig: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [rig.token.reveal(), "emulator-app-secret"]
    rig.environ.update(AEGIS_META_APP_ID="200000000000001", AEGIS_META_APP_SECRET=secrets[1])
    office.connect(ACCOUNT, OTHER)
    message = f"Malformed access token {secrets[0]}"
    rig.emulator.faults.add("error", code=100, message=message, path=f"*/act_{OTHER}/insights", times=None)
    rig.emulator.faults.add("new_field", path=f"*/act_{ACCOUNT}/campaigns", value={"paging": "x"})
    report = office.sync()
    assert [one.state for one in report.results] == ["completed", "failed"]
    said = caplog.text + repr(report) + "".join(capfd.readouterr())
    with office.warehouse.connect("admin") as connection:
        tables = connection.execute(
            """
            select format('%I.%I', schemaname, tablename) from pg_tables
            where schemaname not in ('pg_catalog', 'information_schema')
            """
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"select t::text from {table} as t".encode()).fetchall()
            said += "\n".join(row[0] for row in rows)
    assert ACCOUNT in said
    for secret in secrets:
        assert secret not in said and secret[:24] not in said


# -- killed -------------------------------------------------------------------------------------------------

STAGES = {
    "paging": "import dlt_pipelines.meta.client as m; patch(m.Client, 'get')",
    "mapping": "import dlt_pipelines.meta.mapper as m; patch(m.Mapper, 'map')",
    "packaging": "import dlt_pipelines.common.stamp as m; patch(m, 'stamp')",
    "loading": "import dlt_pipelines.run as m; patch(m, '_confirm')",
    "coverage": "import dlt_pipelines.common.coverage as m; patch(m, 'publish', after=True)",
}
CHILD = """
import datetime as dt, os, signal, sys
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.tokens import Keyring
from dlt_pipelines.common.windows import Window
from flows.sync import connected_accounts, sync

left = int(sys.argv[1])

def patch(owner, name, after=False):
    original = getattr(owner, name)
    def wrapped(*arguments, **options):
        global left
        left -= 1
        if left <= 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, wrapped)

{stage}
connections = Connections(*sys.argv[2:5])
sync(
    connections, Keyring([sys.argv[5]]), connected_accounts(connections),
    period=Window(dt.date(2026, 11, 13), dt.date(2026, 11, 19)), now=dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC),
    side_by_side=1,
)
"""


def kill(office: Any, folder: Any, stage: str, after: int) -> None:
    """Sync in a child process that kills itself in a stage, at its `after`th step of it."""
    script = folder / f"kill_while_{stage}.py"
    script.write_text(CHILD.replace("{stage}", STAGES[stage]))
    connections = office.connections
    done = subprocess.run(
        [
            sys.executable, str(script), str(after), connections.loader, connections.transformer, connections.owner,
            "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=",
        ],
        check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "DLT_DATA_DIR": str(folder)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, f"{stage}: {done.stderr}"
    assert office.warehouse.rows("select count(*) from ops.coverage") == [(0,)], stage
    assert office.sums()[0] == 0, stage


def check_undisturbed(office: Any, rig: Any, kills: int) -> None:
    report = office.sync()
    assert report.results[0].state == "completed"
    assert office.sums() == truth(rig)
    assert office.warehouse.rows("select count(*), sum(rows) from ops.coverage") == [(7, truth(rig)[0])]
    logged = office.warehouse.rows("select status, error from ops.import_log order by import_id")
    assert logged[-1] == ("completed", None)
    assert set(logged[:-1]) == {("failed", "interrupted")}
    states = office.warehouse.rows("select state from ops.sync_state order by sync_id")
    assert states == [("failed",)] * kills + [("completed",)]


def test_a_kill_leaves_nothing_visible_and_the_next_run_ends_the_same(
    office: Any, rig: Any, tmp_path: Any
) -> None:
    """One kill in each stage, one after another; then an undisturbed run."""
    office.connect(ACCOUNT)
    for stage in STAGES:
        kill(office, tmp_path, stage, {"paging": 7, "mapping": 4, "packaging": 2}.get(stage, 1))
    check_undisturbed(office, rig, len(STAGES))


@pytest.mark.long
@pytest.mark.parametrize("stage", STAGES)
def test_five_seeded_kills_in_each_stage(office: Any, rig: Any, stage: str, tmp_path: Any) -> None:
    office.connect(ACCOUNT)
    chance = random.Random(stage)
    for _ in range(5):
        kill(
            office, tmp_path, stage, chance.randint(2, {"paging": 11, "mapping": 7, "packaging": 6}.get(stage, 2))
            if stage in ("paging", "mapping", "packaging") else 1,
        )  # fmt: skip
    check_undisturbed(office, rig, 5)


def test_an_unexpected_error_marks_the_sync_failed(
    office: Any, rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.connect(ACCOUNT)
    monkeypatch.setattr("dlt_pipelines.meta.mapper.Mapper.map", lambda self, rows: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        office.sync()
    assert rig.token.reveal() not in "".join(traceback.format_exception(caught.value))
    assert office.warehouse.rows("select state from ops.sync_state") == [("failed",)]


def test_side_by_side_gives_the_same(office: Any, rig: Any) -> None:
    accounts = list(rig.emulator.meta.accounts)[1:]
    office.connect(*accounts)
    report = office.sync(Window(AS_OF - DAY, AS_OF), side_by_side=4)
    assert [one.state for one in report.results] == ["completed"] * len(accounts)
    for account in accounts:
        assert office.sums(account) == truth(rig, account, Window(AS_OF - DAY, AS_OF))
