"""What people decide: as the application, for one tenant, with their name in the audit trail."""

from __future__ import annotations

import getpass
import re
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from morning_data import SCRIPT, advice, fill, incident

from aegis import decisions
from aegis.cli.decisions import parse_day
from dlt_pipelines.common.errors import AegisError


@pytest.fixture
def tenant(warehouse: Any) -> str:
    tenant_id: str = warehouse.add_tenant("Northwind", currency="CAD", timezone="America/Toronto")
    fill(warehouse, tenant_id, days=8)
    return tenant_id


def recommendation(warehouse: Any, row_id: str) -> dict[str, Any]:
    names = (
        "status",
        "decided_by",
        "rejection_reason",
        "approved_at",
        "applied_at",
        "rejected_at",
        "snoozed_until",
    )
    row = warehouse.rows(
        f"select {', '.join(names)} from ads.optimization_recommendations where id = %s",
        (row_id,),
        role="transformer",
    )[0]
    return dict(zip(names, row, strict=True))


def audit(warehouse: Any, row_id: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "select person, old_values ->> 'status', new_values ->> 'status' from audit.changes where row_key ->> 'id' = %s",
        (row_id,),
    )


def found(warehouse: Any, kind: Any, text: str, name: str | None = None) -> decisions.Found:
    return decisions.find(warehouse.database, kind, decisions.tenants_at_hand(warehouse.database, name), text)


def test_approve_then_apply_names_the_person(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one")
    me = getpass.getuser()

    done = warehouse.run_cli("recommendations", "approve", one[:6], check=True)
    assert "Approved" in done.stdout and "US | Prospecting | Tents" in done.stdout
    row = recommendation(warehouse, one)
    assert (row["status"], row["decided_by"]) == ("approved", me) and row["approved_at"]

    warehouse.run_cli("recommendations", "apply", one, check=True)
    row = recommendation(warehouse, one)
    assert row["status"] == "applied" and row["applied_at"]
    assert audit(warehouse, one) == [(me, "pending", "approved"), (me, "approved", "applied")]


def test_apply_is_approval_and_application_in_one(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one")
    decisions.apply(warehouse.database, found(warehouse, "recommendation", one))

    row = recommendation(warehouse, one)
    assert row["approved_at"] and row["applied_at"] and row["decided_by"] == getpass.getuser()


def test_reject_keeps_the_reason(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one")
    warehouse.run_cli("recommendations", "reject", one, "--reason", "It's seasonal; wait", check=True)

    row = recommendation(warehouse, one)
    assert (row["status"], row["rejection_reason"]) == ("rejected", "It's seasonal; wait") and row[
        "rejected_at"
    ]


def test_an_illegal_step_says_what_is_legal(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one", status="rejected")
    done = warehouse.run_cli("recommendations", "approve", one)

    assert done.returncode == 1 and done.stdout == ""
    assert (
        f"Recommendation {one[:8]}: a recommendation that is rejected cannot become approved." in done.stderr
    )
    assert "pending may become anything" in done.stderr
    assert recommendation(warehouse, one)["status"] == "rejected" and audit(warehouse, one) == []


def test_the_same_decision_again_changes_nothing(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one", status="approved")
    done = warehouse.run_cli("recommendations", "approve", one, check=True)

    assert "Already approved" in done.stdout and audit(warehouse, one) == []


def test_snooze_hides_until_the_tenants_morning(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one")
    zone = ZoneInfo("America/Toronto")
    day = datetime.now(zone).date() + timedelta(days=3)

    warehouse.run_cli("recommendations", "snooze", one, "--days", "3", check=True)
    assert recommendation(warehouse, one)["snoozed_until"] == datetime(
        day.year, day.month, day.day, tzinfo=zone
    )
    assert recommendation(warehouse, one)["status"] == "pending"
    assert "No recommendations are open" in warehouse.run_cli("recommendations", "list", check=True).stdout
    assert "snoozed" in warehouse.run_cli("recommendations", "list", "--all", check=True).stdout

    later = str(day + timedelta(days=30))
    warehouse.run_cli("recommendations", "snooze", one, "--until", later, check=True)
    assert recommendation(warehouse, one)["snoozed_until"].astimezone(zone).date() == date.fromisoformat(
        later
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--until DAY or --days"),
        (("--days", "2", "--until", "2099-01-01"), "--until DAY or --days"),
        (("--until", "2001-01-01"), "already begun"),
        (("--until", "soon"), "no day"),
    ],
)
def test_a_snooze_needs_one_later_day(
    warehouse: Any, tenant: str, arguments: tuple[str, ...], said: str
) -> None:
    one = advice(warehouse, tenant, "one")
    done = warehouse.run_cli("recommendations", "snooze", one, *arguments)
    assert done.returncode == 1 and said in done.stderr
    assert recommendation(warehouse, one)["snoozed_until"] is None


def test_only_a_pending_recommendation_is_snoozed(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one", status="applied")
    with pytest.raises(AegisError, match="is applied; only a pending one"):
        decisions.snooze(warehouse.database, found(warehouse, "recommendation", one), None, 3)


def test_ids_may_be_short_as_long_as_one_fits(warehouse: Any, tenant: str) -> None:
    advice(warehouse, tenant, "a", id="abcd1111-0000-4000-8000-000000000001", platform_id="31")
    advice(warehouse, tenant, "b", id="abcd2222-0000-4000-8000-000000000001", platform_id="32")

    assert found(warehouse, "recommendation", "ABCD1").id.startswith("abcd1111")
    with pytest.raises(AegisError, match="2 recommendations have an id that begins with abcd"):
        found(warehouse, "recommendation", "abcd")
    with pytest.raises(AegisError, match="too short"):
        found(warehouse, "recommendation", "abc")
    with pytest.raises(
        AegisError, match="There is no recommendation of Northwind whose id begins with abcdf"
    ):
        found(warehouse, "recommendation", "abcdf")
    for wrong in ("x'; drop", "abcd%", ""):
        with pytest.raises(AegisError, match="is not the id of a recommendation"):
            found(warehouse, "recommendation", wrong)
    with pytest.raises(AegisError, match="There is no anomaly"):
        found(warehouse, "anomaly", "abcd1111")


def test_a_wrong_id_among_several_changes_nothing(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one")
    done = warehouse.run_cli("recommendations", "approve", one, "ffffffff")

    assert done.returncode == 1 and recommendation(warehouse, one)["status"] == "pending"


def test_another_tenants_row_is_not_found(warehouse: Any, tenant: str) -> None:
    other = warehouse.add_tenant("Other")
    theirs = advice(warehouse, other, "theirs")

    with pytest.raises(AegisError, match="There is no recommendation of Northwind"):
        found(warehouse, "recommendation", theirs, "northwind")
    assert found(warehouse, "recommendation", theirs).tenant.name == "Other"
    assert "Other" not in warehouse.run_cli("recommendations", "list", "--tenant", tenant, check=True).stdout


def test_a_row_that_moved_in_between_is_not_overwritten(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one")
    seen = found(warehouse, "recommendation", one)
    decisions.approve(warehouse.database, found(warehouse, "recommendation", one))

    with pytest.raises(AegisError, match="changed while you decided"):
        decisions.reject(warehouse.database, seen, "no")
    assert recommendation(warehouse, one)["status"] == "approved"


def test_the_list_is_by_money_and_by_name(warehouse: Any, tenant: str) -> None:
    advice(warehouse, tenant, "dollars", estimated_impact=200, currency="USD")
    advice(
        warehouse, tenant, "more", estimated_impact=250, currency="CAD", platform_id="11", account_id="1001"
    )

    lines = warehouse.run_cli("recommendations", "list", check=True).stdout
    assert lines.index("US | Prospecting | Tents") < lines.index(SCRIPT), "200 USD are 300 CAD"
    assert not re.search(r"(?<!\$)\b(11|12)\b", lines)


def test_show_tells_everything(warehouse: Any, tenant: str) -> None:
    one = advice(warehouse, tenant, "one")
    warehouse.run_cli("recommendations", "reject", one, "--reason", "later", check=True)
    shown = warehouse.run_cli("recommendations", "show", one[:8], check=True).stdout

    for text in (
        one, "Raise the daily budget from $10 to $12", "daily budget: 10 → 12", "$200 in 30 days, likely $50 to $400",
        "85 %", "rejected", "later", "n: 42", "target_source: entity", "pending → rejected", getpass.getuser(),
    ):  # fmt: skip
        assert text in shown, text


def test_ack_leaves_the_summary_and_stays_open(warehouse: Any, tenant: str) -> None:
    one = incident(warehouse, tenant, "one")
    done = warehouse.run_cli("anomalies", "ack", one[:8], check=True)
    assert "Acknowledged" in done.stdout and "CA | Broad | Shoes" in done.stdout

    row = warehouse.rows(
        "select status, acknowledged_by, acknowledged_at is not null from ads.anomalies where id = %s", (one,),
        role="transformer",
    )  # fmt: skip
    assert row == [("acknowledged", getpass.getuser(), True)]
    assert audit(warehouse, one) == [(getpass.getuser(), "active", "acknowledged")]
    assert "acknowledged" in warehouse.run_cli("anomalies", "list", check=True).stdout
    assert "Already acknowledged" in warehouse.run_cli("anomalies", "ack", one, check=True).stdout


def test_a_resolved_incident_cannot_be_acknowledged(warehouse: Any, tenant: str) -> None:
    one = incident(warehouse, tenant, "one", status="resolved")
    done = warehouse.run_cli("anomalies", "ack", one)
    assert done.returncode == 1 and "an anomaly that is resolved cannot become acknowledged" in done.stderr


def test_folded_and_explained_incidents_are_listed_only_when_asked_for(warehouse: Any, tenant: str) -> None:
    parent = incident(warehouse, tenant, "parent")
    child = incident(warehouse, tenant, "child", platform_id="22", parent_id=parent)
    explained = incident(warehouse, tenant, "explained", platform_id="23", explained_by="change_log")

    usual = warehouse.run_cli("anomalies", "list", check=True).stdout
    assert parent[:8] in usual and child[:8] not in usual and explained[:8] not in usual
    everything = warehouse.run_cli("anomalies", "list", "--all", check=True).stdout
    assert child[:8] in everything and explained[:8] in everything
    assert "by change log" in warehouse.run_cli("anomalies", "show", explained[:8], check=True).stdout


def test_an_unknown_status_is_named(warehouse: Any) -> None:
    done = warehouse.run_cli("anomalies", "list", "--status", "open")
    assert (
        done.returncode == 1 and "There is no status 'open'" in done.stderr and "acknowledged" in done.stderr
    )


def test_an_empty_database_has_nothing_to_decide(warehouse: Any) -> None:
    assert "No incidents are open" in warehouse.run_cli("anomalies", "list", check=True).stdout
    done = warehouse.run_cli("recommendations", "list", "--tenant", "nobody")
    assert done.returncode == 1 and "no tenant" in done.stderr


def test_days_are_read_strictly() -> None:
    assert parse_day(" 2026-03-01 ", "--until") == date(2026, 3, 1)
    for wrong in ("2026-02-30", "01.03.2026", "tomorrow", ""):
        with pytest.raises(AegisError, match="--until"):
            parse_day(wrong, "--until")
