"""The audit trail: who changed what in rows that people own, and nobody changes it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from actors import PEOPLE, World, refused

DENIED = "42501"


def last(connection: psycopg.Connection[Any]) -> tuple[Any, ...]:
    row = connection.execute(
        "select relation, operation, login, person, row_key, old_values, new_values from audit.changes"
        " order by change_id desc limit 1"
    ).fetchone()
    assert row is not None
    return row


def test_every_change_of_a_persons_row_is_written_down(world18: World) -> None:
    with world18.login(world18.north, "buyer") as buyer:
        buyer.execute(
            "insert into ads.platform_configs (tenant_id, platform, max_cpa) values (%s, 'google', 10)",
            (world18.north,),
        )
        relation, operation, login, person, key, old, new = last(buyer)
        assert (relation, operation, old) == ("ads.platform_configs", "insert", None)
        assert login == person == buyer.execute("select session_user").fetchone()[0]  # type: ignore[index]
        assert key == {"tenant_id": world18.north, "platform": "google"}
        assert new["max_cpa"] == 10
        buyer.execute("update ads.platform_configs set max_cpa = 20 where platform = 'google'")
        relation, operation, _, _, _, old, new = last(buyer)
        assert (operation, old, new) == ("update", {"max_cpa": 10}, {"max_cpa": 20})
        buyer.execute("delete from ads.platform_configs where platform = 'google'")
        assert last(buyer)[1] == "delete"
        for table, statement in (
            (
                "ads.optimization_recommendations",
                "update ads.optimization_recommendations set status = 'rejected'",
            ),
            ("ads.anomalies", "update ads.anomalies set status = 'acknowledged'"),
            ("ads.budget_allocation", "update ads.budget_allocation set budget = 7"),
            ("ads.ab_tests", "update ads.ab_tests set min_days = 7"),
            (
                "ads.metrics_daily",
                "insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day)"
                f" values ('{world18.north}', 'meta', 'ad', 'audited', '2026-01-03')",
            ),
        ):
            buyer.execute(statement.encode())
            assert last(buyer)[0] == table


def test_an_update_that_changes_nothing_leaves_no_row(world18: World) -> None:
    with world18.login(world18.north, "buyer") as buyer:
        count = "select count(*) from audit.changes"
        before = buyer.execute(count).fetchone()
        buyer.execute("update ads.ab_tests set min_days = min_days")
        assert buyer.execute(count).fetchone() == before


def test_a_build_leaves_no_row_and_machine_columns_neither(world18: World) -> None:
    with world18.service("transformer") as machine:

        def trail() -> Any:
            machine.execute("set local role aegis_owner")
            row = machine.execute("select count(*) from audit.changes").fetchone()
            machine.execute("set local role aegis_transformer")
            return row

        before = trail()
        machine.execute("update ads.budget_allocation set spend_to_date = 5, pacing = 1, read_at = now()")
        machine.execute("update ads.ab_tests set results = '{}', verdict = 'too_early', read_at = now()")
        machine.execute("update ads.optimization_recommendations set estimated_impact = 5")
        assert trail() == before


@pytest.mark.parametrize(
    "statement",
    [
        "update ads.budget_allocation set budget = budget + 1",
        "update ads.ab_tests set status = 'cancelled'",
        "update ads.platform_configs set max_cpa = 3",
        "delete from ads.platform_configs",
    ],
)
def test_a_person_with_the_transformers_login_is_written_down(world18: World, statement: str) -> None:
    """In what only people own, no login is taken for the machine."""
    with world18.service("transformer") as analyst:
        analyst.execute(statement.encode())
        analyst.execute("set local role aegis_owner")
        relation, operation, login, *_ = last(analyst)
        assert (relation, operation) == (statement.split()[1 + (operation == "delete")], statement.split()[0])
        row = analyst.execute("select session_user").fetchone()
        assert row == (login,)


def test_who_may_see_whom_is_written_down(world18: World) -> None:
    with world18.service("owner") as owner:
        owner.execute(
            "insert into tenancy.members (tenant_id, person, role) values (%s, 'maria@example.com', 'manager')",
            (world18.north,),
        )
        assert last(owner)[:2] == ("tenancy.members", "insert")
        assert last(owner)[4] == {"tenant_id": world18.north, "person": "maria@example.com"}
        owner.execute("update tenancy.members set role = 'client'")
        assert last(owner)[5:] == ({"role": "manager"}, {"role": "client"})
        owner.execute("delete from tenancy.role_tenants where tenant_id = %s", (world18.north,))
        owner.execute("insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind) values (1, 'x', %s, 'reader')",
                      (world18.north,))  # fmt: skip
        assert last(owner)[:2] == ("tenancy.role_tenants", "insert")
        owner.execute(
            "insert into tenancy.ad_accounts (tenant_id, platform, account_id, currency) values (%s, 'meta', '1', 'EUR')",
            (world18.north,),
        )
        assert last(owner)[:2] == ("tenancy.ad_accounts", "insert")


@pytest.mark.parametrize("who", PEOPLE)
def test_a_persons_login_cannot_take_another_name(world18: World, who: str) -> None:
    with world18.login(world18.north, who) as connection:
        connection.execute("set local saas.user_id = 'the boss'")
        assert connection.execute("select tenancy.acting_person() = session_user").fetchone() == (True,)
        if who == "buyer":
            connection.execute("update ads.optimization_recommendations set status = 'approved'")
            row = connection.execute(
                "select decided_by = session_user from ads.optimization_recommendations"
            ).fetchone()
            assert row == (True,)
            assert last(connection)[2] == last(connection)[3] != "the boss"


def test_the_application_names_its_person(world18: World) -> None:
    with world18.app(world18.north, person="maria@example.com") as app:
        app.execute("update ads.anomalies set status = 'acknowledged'")
        assert last(app)[3] == "maria@example.com"
        assert last(app)[2] != "maria@example.com"
        assert app.execute("select acknowledged_by from ads.anomalies").fetchall() == [("maria@example.com",)]
    with world18.app(world18.north) as app:
        app.execute("update ads.anomalies set status = 'acknowledged'")
        assert app.execute("select acknowledged_by = session_user from ads.anomalies").fetchall() == [(True,)]


def test_each_tenant_reads_its_own_trail(world18: World) -> None:
    for tenant in (world18.north, world18.south):
        with world18.at(world18.warehouse.tenant_url(tenant, "buyer")) as buyer:
            buyer.execute("update ads.ab_tests set min_sample = min_sample + 1")
            buyer.commit()
    for actor in (world18.login(world18.north), world18.app(world18.north)):
        with actor as connection:
            rows = connection.execute("select distinct tenant_id::text from audit.changes").fetchall()
            assert rows == [(world18.north,)]
    for actor in (world18.app(), world18.at(world18.outsider)):
        with actor as connection:
            assert connection.execute("select count(*) from audit.changes").fetchone() == (0,)


@pytest.mark.parametrize(
    "who", ["reader", "buyer", "analyst", "app", "transformer", "loader", "owner", "admin"]
)
def test_nobody_changes_the_trail(world18: World, who: str) -> None:
    if who in ("reader", "buyer", "analyst"):
        actor = world18.login(world18.north, who)
    elif who == "app":
        actor = world18.app(world18.north)
    else:
        actor = world18.service(who)
    with actor as connection:
        for statement in (
            "update audit.changes set person = 'nobody'",
            "delete from audit.changes",
            "truncate audit.changes",
        ):
            with refused(connection, DENIED):
                connection.execute(statement.encode())
        if who not in ("owner", "admin"):
            with refused(connection, DENIED):
                connection.execute(
                    "insert into audit.changes (relation, operation, login, person, row_key) values ('x', 'x', 'x', 'x', '{}')"
                )


def test_changes_of_tenants_and_accounts_are_written_down(world18: World) -> None:
    with world18.service("owner") as owner:
        owner.execute("update tenancy.tenants set industry = 'shoes' where tenant_id = %s", (world18.north,))
        assert last(owner)[:2] == ("tenancy.tenants", "update")
        assert last(owner)[5:] == ({"industry": None}, {"industry": "shoes"})
