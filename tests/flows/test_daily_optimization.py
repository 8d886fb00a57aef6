"""The runner and its steps on a real database; judging and building are stood in for, their own tests have them."""

from __future__ import annotations

import threading
import types
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dlt_pipelines.common.errors import ContractError
from flows import daily_optimization, tasks
from flows.daily_optimization import optimize
from flows.quality import QualityError


def yesterday(zone: str) -> date:
    return datetime.now(ZoneInfo(zone)).date() - timedelta(days=1)


def cover(warehouse: Any, tenant_id: str, *days: date, state: str = "pending") -> None:
    with warehouse.connect("owner") as connection:
        for day in days:
            connection.execute(
                """
                insert into ops.coverage (load_id, tenant_id, platform, account_id, day, source, rows, state)
                values (%s, %s, 'meta', 'a', %s, 'file', 1, %s)
                """,
                (f"load-{day}-{state}", tenant_id, day, state),
            )


def runs_of(warehouse: Any, tenant_id: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "select as_of, status, coalesce(error, '') from ops.daily_runs where tenant_id = %s order by as_of",
        (tenant_id,),
    )


def as_of(warehouse: Any, tenant_id: str) -> date:
    return warehouse.rows("select as_of from ops.as_of where tenant_id = %s", (tenant_id,))[0][0]


def failure(name: str, message: str) -> Any:
    return types.SimpleNamespace(name=name, message=message)


def test_the_day_is_the_newest_covered_one(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    day = yesterday("Europe/Berlin") - timedelta(days=3)
    cover(warehouse, tenant, day - timedelta(days=1), day)

    report = optimize(warehouse.database.connections())

    assert report.ok and stand_in.builds == 1
    assert [(one.name, one.as_of, one.status, one.new_account_days) for one in report.runs] == [
        ("Shoes", day, "done", 2)
    ]
    assert runs_of(warehouse, tenant) == [(day, "done", "")]
    assert as_of(warehouse, tenant) == day


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_day_is_over_in_the_tenants_own_time_zone(warehouse: Any, stand_in: Any, zone: str) -> None:
    tenant = warehouse.add_tenant("Far", timezone=zone)
    today = datetime.now(UTC).date()
    cover(warehouse, tenant, today - timedelta(days=4), today + timedelta(days=1))

    optimize(warehouse.database.connections())

    assert as_of(warehouse, tenant) == yesterday(zone)


def test_a_withheld_day_moves_nothing(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    day = yesterday("Europe/Berlin") - timedelta(days=3)
    cover(warehouse, tenant, day)
    cover(warehouse, tenant, day + timedelta(days=1), state="withheld")

    report = optimize(warehouse.database.connections())

    assert as_of(warehouse, tenant) == day
    assert report.runs[0].withheld == 1


def test_what_cannot_be_judged_fails_its_tenant_and_no_other(warehouse: Any, stand_in: Any) -> None:
    day = yesterday("Europe/Berlin")
    tenants = {name: warehouse.add_tenant(name) for name in ("Unjudged", "Other")}
    for tenant in tenants.values():
        cover(warehouse, tenant, day)
    with warehouse.connect("owner") as connection:
        connection.execute(
            "update ops.coverage set source = 'api' where tenant_id = %s", (tenants["Unjudged"],)
        )
        connection.execute(
            "update ops.coverage set state = 'accepted', judged_at = now() where source = 'file'"
        )
    stand_in.unjudged = QualityError("meta could not be checked.", "Look at it.")

    report = optimize(warehouse.database.connections())

    assert {run.name: (run.status, run.reason) for run in report.runs} == {
        "Unjudged": ("failed", "meta could not be checked."),
        "Other": ("done", ""),
    }
    assert not report.ok and report.advice == "Look at it." and stand_in.builds == 1
    assert runs_of(warehouse, tenants["Unjudged"]) == []
    assert warehouse.rows("select state from ops.coverage where source = 'api'") == [("pending",)]


def test_a_tenant_without_figures_is_named_and_skipped(warehouse: Any, stand_in: Any) -> None:
    warehouse.add_tenant("Empty")
    full = warehouse.add_tenant("Full")
    cover(warehouse, full, date(2024, 3, 1))

    report = optimize(warehouse.database.connections())

    assert report.ok
    assert [(one.name, one.status) for one in report.runs] == [("Empty", "skipped"), ("Full", "done")]
    assert "no figures yet" in report.runs[0].reason


def test_nothing_is_built_where_nobody_has_figures(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Early")
    cover(warehouse, tenant, datetime.now(UTC).date() + timedelta(days=2))

    report = optimize(warehouse.database.connections())

    assert report.ok and stand_in.builds == 0
    assert "not over yet" in report.runs[0].reason
    assert runs_of(warehouse, tenant) == []


def test_only_the_tenants_asked_for_are_run(warehouse: Any, stand_in: Any) -> None:
    one, other = warehouse.add_tenant("One"), warehouse.add_tenant("Other")
    for tenant in (one, other):
        cover(warehouse, tenant, date(2024, 3, 1))

    optimize(warehouse.database.connections(), [one])

    assert runs_of(warehouse, one) == [(date(2024, 3, 1), "done", "")]
    assert runs_of(warehouse, other) == []


def test_an_unknown_tenant_is_refused(warehouse: Any, stand_in: Any) -> None:
    with pytest.raises(ContractError, match="No tenant has the id"):
        optimize(warehouse.database.connections(), ["0b0b0b0b-0000-4000-8000-000000000000"])


def test_a_day_in_the_future_is_refused(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    cover(warehouse, tenant, date(2024, 3, 1))
    today = yesterday("Europe/Berlin") + timedelta(days=1)

    with pytest.raises(ContractError, match=rf"{today} is not over yet for Shoes"):
        optimize(warehouse.database.connections(), as_of=today)

    assert runs_of(warehouse, tenant) == [] and stand_in.builds == 0


def test_looking_back_is_refused_and_the_same_day_is_not(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    day = date(2024, 3, 10)
    cover(warehouse, tenant, date(2024, 3, 1), day)
    optimize(warehouse.database.connections(), as_of=day)

    with pytest.raises(ContractError, match="cannot go back to 2024-03-09") as refused:
        optimize(warehouse.database.connections(), as_of=day - timedelta(days=1))
    assert "replay" in refused.value.hint

    assert optimize(warehouse.database.connections(), as_of=day).ok
    assert runs_of(warehouse, tenant) == [(day, "done", "")]


def test_one_tenant_that_cannot_look_back_refuses_the_whole_run(warehouse: Any, stand_in: Any) -> None:
    ahead, behind = warehouse.add_tenant("Ahead"), warehouse.add_tenant("Behind")
    for tenant in (ahead, behind):
        cover(warehouse, tenant, date(2024, 3, 1), date(2024, 3, 10))
    optimize(warehouse.database.connections(), [ahead])

    with pytest.raises(ContractError, match="Ahead has already been run"):
        optimize(warehouse.database.connections(), as_of=date(2024, 3, 5))
    assert runs_of(warehouse, behind) == []


def test_the_day_never_moves_back_by_itself(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    cover(warehouse, tenant, date(2024, 3, 1))
    optimize(warehouse.database.connections(), as_of=date(2024, 3, 20))

    optimize(warehouse.database.connections())

    assert as_of(warehouse, tenant) == date(2024, 3, 20)


def test_a_demo_keeps_its_day_and_does_not_outrun_its_figures(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Demo")
    with warehouse.connect("owner") as connection:
        connection.execute("update tenancy.tenants set is_demo = true")
        connection.execute("insert into ops.as_of (tenant_id, as_of) values (%s, '2024-03-05')", (tenant,))
    cover(warehouse, tenant, date(2024, 3, 1), date(2024, 3, 10))

    optimize(warehouse.database.connections())
    assert as_of(warehouse, tenant) == date(2024, 3, 5)

    with pytest.raises(ContractError, match="end on 2024-03-10") as refused:
        optimize(warehouse.database.connections(), as_of=date(2024, 3, 11))
    assert "demo advance" in refused.value.hint


def test_a_failed_build_fails_the_run_and_the_next_one_heals_it(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    cover(warehouse, tenant, date(2024, 3, 1))
    stand_in.failures = [failure("metrics_daily", "column x does not exist")]

    report = optimize(warehouse.database.connections())

    assert not report.ok and report.advice
    assert report.runs[0].status == "failed" and "metrics_daily" in report.failed_models[0]
    assert runs_of(warehouse, tenant) == [
        (date(2024, 3, 1), "failed", "metrics_daily: column x does not exist")
    ]

    stand_in.failures = []
    assert optimize(warehouse.database.connections()).ok
    assert runs_of(warehouse, tenant) == [(date(2024, 3, 1), "done", "")]


def test_a_day_once_done_stays_done_when_its_repetition_fails(warehouse: Any, stand_in: Any) -> None:
    """What became known when rests on the newest day done: it must not fall back while a day is run again."""
    tenant = warehouse.add_tenant("Shoes")
    cover(warehouse, tenant, date(2024, 3, 1))
    optimize(warehouse.database.connections())
    stand_in.failures = [failure("baselines", "out of memory")]

    assert not optimize(warehouse.database.connections()).ok

    assert runs_of(warehouse, tenant) == [(date(2024, 3, 1), "done", "baselines: out of memory")]


def test_a_build_that_breaks_off_leaves_a_failed_run_and_no_lock(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    cover(warehouse, tenant, date(2024, 3, 1))
    stand_in.raises = RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        optimize(warehouse.database.connections())

    assert runs_of(warehouse, tenant)[0][1:] == ("failed", "RuntimeError: killed")
    stand_in.raises = None
    assert optimize(warehouse.database.connections()).ok


def test_one_broken_tenant_does_not_stop_the_others(warehouse: Any, stand_in: Any) -> None:
    broken, fine = warehouse.add_tenant("Broken"), warehouse.add_tenant("Fine")
    for tenant in (broken, fine):
        cover(warehouse, tenant, date(2024, 3, 1))
    with warehouse.connect("owner") as connection:
        connection.execute("update tenancy.tenants set timezone = 'Mars/Olympus' where name = 'Broken'")

    report = optimize(warehouse.database.connections())

    assert not report.ok
    assert [(one.name, one.status) for one in report.runs] == [("Broken", "failed"), ("Fine", "done")]
    assert "Mars/Olympus" in report.runs[0].reason


def test_a_second_run_waits_for_the_first_and_says_so(
    warehouse: Any, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = warehouse.add_tenant("Shoes")
    cover(warehouse, tenant, date(2024, 3, 1))
    monkeypatch.setattr(tasks, "LOCK_POLL_SECONDS", 0.02)
    connections = warehouse.database.connections()
    waiting = threading.Event()
    said: list[str] = []

    def progress(text: str) -> None:
        said.append(text)
        waiting.set()

    with tasks.one_run_at_a_time(connections, daily_optimization.silent):
        second = threading.Thread(target=optimize, args=(connections,), kwargs={"progress": progress})
        second.start()
        assert waiting.wait(10)
        assert stand_in.builds == 0
    second.join(20)

    assert "waiting" in said[0]
    assert stand_in.builds == 1 and runs_of(warehouse, tenant)[0][1] == "done"


def test_patience_ends(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "LOCK_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(tasks, "LOCK_POLL_SECONDS", 0.01)
    connections = warehouse.database.connections()
    with (
        tasks.one_run_at_a_time(connections, daily_optimization.silent),
        pytest.raises(tasks.AegisError, match="kept this database busy"),
        tasks.one_run_at_a_time(connections, daily_optimization.silent),
    ):
        pass


def test_the_flow_reads_as_the_runbook() -> None:
    source = __import__("inspect").getsource(daily_optimization)
    assert len(source.splitlines()) < 100
    lowered = source.lower()
    assert not [word for word in ("select ", "insert ", "update ", "psycopg", "prefect") if word in lowered]


def test_progress_is_told_in_order(warehouse: Any, stand_in: Any) -> None:
    tenant = warehouse.add_tenant("Shoes")
    cover(warehouse, tenant, date(2024, 3, 1))
    said: list[str] = []

    report = optimize(warehouse.database.connections(), progress=said.append)

    assert said == [daily_optimization.TAKE_IN, daily_optimization.JUDGE, daily_optimization.BUILD]
    assert list(report.seconds) == said
