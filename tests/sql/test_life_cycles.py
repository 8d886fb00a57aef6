"""Truth tables over every transition of recommendations and anomalies, by a person and by a build."""

from __future__ import annotations

import itertools

import pytest
from actors import World, insert_row, refused

RECOMMENDATION = ("pending", "approved", "applied", "rejected", "expired", "superseded")
ANOMALY = ("active", "acknowledged", "resolved", "withdrawn")
LEGAL_RECOMMENDATION = {
    *(("pending", to) for to in RECOMMENDATION[1:]),
    ("approved", "applied"),
    ("approved", "rejected"),
    ("approved", "expired"),
}
LEGAL_ANOMALY = {
    ("active", "acknowledged"),
    ("active", "resolved"),
    ("active", "withdrawn"),
    ("acknowledged", "resolved"),
    ("acknowledged", "withdrawn"),
    ("withdrawn", "active"),
}


@pytest.mark.parametrize("who", ["buyer", "app", "transformer"])
@pytest.mark.parametrize("old", RECOMMENDATION)
def test_recommendation(world18: World, old: str, who: str) -> None:
    for new in RECOMMENDATION:
        with world18.service("transformer") as machine:
            insert_row(
                machine, "optimization_recommendations", world18.north, status=old, recommendation_key="probe"
            )
            become(machine, world18, who)
            update = f"update ads.optimization_recommendations set status = '{new}' where recommendation_key = 'probe'"
            legal = old == new or (old, new) in LEGAL_RECOMMENDATION
            if not legal and who != "transformer":
                with refused(machine, "23514", f"that is {old} cannot become {new}"):
                    machine.execute(update.encode())
                continue
            machine.execute(update.encode())
            row = machine.execute(
                "select status, approved_at is not null, applied_at is not null, rejected_at is not null, decided_by"
                " from ads.optimization_recommendations where recommendation_key = 'probe'"
            ).fetchone()
            assert row is not None
            status, approved, applied, rejected, decided_by = row
            assert status == (new if legal else old), "a build must not take a decision back"
            if old != new and legal:
                assert approved == (new in ("approved", "applied"))
                assert applied == (new == "applied")
                assert rejected == (new == "rejected")
                assert bool(decided_by) == (who != "transformer")


@pytest.mark.parametrize("who", ["buyer", "app", "transformer"])
@pytest.mark.parametrize("old", ANOMALY)
def test_anomaly(world18: World, old: str, who: str) -> None:
    for new in ANOMALY:
        with world18.service("transformer") as machine:
            insert_row(
                machine, "anomalies", world18.north, status=old, anomaly_key="probe", platform_id="probe"
            )
            become(machine, world18, who)
            update = f"update ads.anomalies set status = '{new}' where anomaly_key = 'probe'"
            legal = old == new or (old, new) in LEGAL_ANOMALY
            if not legal and who != "transformer":
                with refused(machine, "23514", f"that is {old} cannot become {new}"):
                    machine.execute(update.encode())
                continue
            machine.execute(update.encode())
            row = machine.execute(
                "select status, acknowledged_at is not null, acknowledged_by is not null, resolved_at is not null"
                " from ads.anomalies where anomaly_key = 'probe'"
            ).fetchone()
            assert row is not None
            assert row[0] == (new if legal else old), "a build must not take a decision back"
            if old != new and legal:
                assert row[1:] == (new == "acknowledged", new == "acknowledged", new == "resolved")


def become(machine, world: World, who: str) -> None:  # type: ignore[no-untyped-def]
    """The rest of the transaction as that actor: the row it judges is not committed."""
    if who == "transformer":
        return
    if who == "app":
        machine.execute("set local role aegis_app")
        machine.execute("select set_config('saas.tenant_id', %s, true)", (world.north,))
        return
    import psycopg

    login = str(psycopg.conninfo.conninfo_to_dict(world.warehouse.tenant_url(world.north, "buyer"))["user"])
    machine.execute(f'set local role "{login}"'.encode())


def test_the_lists_here_are_those_of_the_tables(world18: World) -> None:
    with world18.service("admin") as connection:
        for table, words in (("optimization_recommendations", RECOMMENDATION), ("anomalies", ANOMALY)):
            row = connection.execute(
                "select pg_get_constraintdef(oid) from pg_constraint where conname = %s",
                (f"{table}_status_is_known",),
            ).fetchone()
            assert row is not None
            assert all(f"'{word}'" in row[0] for word in words)
            assert row[0].count("'::text") == len(words)
    assert len(list(itertools.product(RECOMMENDATION, repeat=2))) == 36


def test_the_first_day_of_an_incident_never_changes(world18: World) -> None:
    with (
        world18.service("transformer") as machine,
        refused(machine, "23514", "first day of an incident never changes"),
    ):
        machine.execute("update ads.anomalies set day = day - 1")


def test_one_open_recommendation_per_entity_and_type(world18: World) -> None:
    """Checked at the end of the transaction, so that one statement may supersede a row and raise its successor."""
    with world18.service("transformer") as machine:
        insert_row(
            machine,
            "optimization_recommendations",
            world18.north,
            recommendation_key="second",
            as_of="2026-01-06",
        )
        with refused(machine, "23P01"):
            machine.execute("set constraints all immediate")
        machine.execute(
            "update ads.optimization_recommendations set status = 'superseded' where recommendation_key <> 'second'"
            " and tenant_id = %s",
            (world18.north,),
        )
        machine.execute("set constraints all immediate")


def test_a_snooze_is_no_state(world18: World) -> None:
    with world18.login(world18.north, "buyer") as buyer:
        assert (
            buyer.execute(
                "update ads.optimization_recommendations set snoozed_until = now() + interval '3 days'"
            ).rowcount
            == 1
        )
        assert buyer.execute(
            "select status, decided_by from ads.optimization_recommendations"
        ).fetchall() == [("pending", None)]
