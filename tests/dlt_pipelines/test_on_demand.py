"""How often a person may ask for a sync: counted by the database, for each user alone, whatever process asks."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from dlt_pipelines.common import on_demand
from dlt_pipelines.common.errors import QuotaError
from dlt_pipelines.common.windows import Window

PERIOD = Window(dt.date(2026, 3, 1), dt.date(2026, 3, 7))


def ask(connections: Any, user: str = "nora", **more: Any) -> int:
    with psycopg.connect(connections.loader) as connection:
        return on_demand.take(connection, user, **more)


def test_ten_a_minute_and_the_eleventh_is_told_when(warehouse: Any, connections: Any) -> None:
    taken = [ask(connections, period=PERIOD, force=True), *(ask(connections) for _ in range(9))]
    assert len(set(taken)) == 10
    with pytest.raises(QuotaError) as caught:
        ask(connections)
    assert "nora has asked for 10 syncs" in caught.value.message
    assert caught.value.retry_after is not None and 0 < caught.value.retry_after <= 60
    assert ask(connections, "kim"), "another user is not concerned"
    assert warehouse.rows("select count(*) from ops.sync_requests where requested_by = 'nora'") == [(10,)]
    assert warehouse.rows(
        "select first_day, last_day, is_forced from ops.sync_requests order by request_id limit 2"
    ) == [(PERIOD.first, PERIOD.last, True), (None, None, False)]
    with warehouse.connect("admin") as connection:
        connection.execute(
            "update ops.sync_requests set requested_at = requested_at - interval '61 seconds' where request_id = %s",
            (taken[0],),
        )
    assert ask(connections), "the oldest is more than a minute ago"
    with pytest.raises(QuotaError):
        ask(connections)


def test_the_limit_is_a_row(warehouse: Any, connections: Any) -> None:
    with warehouse.connect("admin") as connection:
        connection.execute("update ops.request_limits set most = 1, per = '1 hour'")
    ask(connections)
    with pytest.raises(QuotaError, match="1 syncs within 01:00:00"):
        ask(connections)
    with warehouse.connect("admin") as connection:
        connection.execute("delete from ops.request_limits")
    assert ask(connections), "no row, no limit"


def test_two_commands_at_once_are_not_both_the_tenth(warehouse: Any, connections: Any) -> None:
    def one(_: int) -> bool:
        try:
            return bool(ask(connections))
        except QuotaError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(16))) == 10


def test_a_command_beyond_the_limit_calls_nobody(warehouse: Any, account: str) -> None:
    with warehouse.connect("admin") as connection:
        connection.execute("update ops.request_limits set most = 1")
    # Days that have not begun: there is nothing to ask for.
    period = ("--from", "2099-03-01", "--to", "2099-03-02")
    warehouse.run_cli("sync", "--account", account, *period, check=True)
    second = warehouse.run_cli("backfill", *period)
    assert second.returncode == 1 and "as often as one user may" in second.stderr
    assert "Ask again in" in second.stderr
    rows = warehouse.rows("select count(*), count(request_id), min(requested_by) from ops.sync_state")
    requests = warehouse.rows("select count(*), min(requested_by) from ops.sync_requests")
    assert rows[0][:2] == (1, 1) and requests == [(1, rows[0][2])]


def test_a_last_day_alone_is_taken_by_the_command(warehouse: Any, account: str) -> None:
    refused = warehouse.run_cli("sync", "--account", account, "--to", "2001-01-01")
    assert refused.returncode == 1 and "after 2001-01-01" in refused.stdout
    assert "Give the first day too" in refused.stderr


def test_a_rate_limit_is_shown_with_its_date_and_only_while_it_lasts(warehouse: Any, account: str) -> None:
    with warehouse.connect("admin") as connection:
        connection.execute(
            """
            insert into ops.sync_state (
                tenant_id, platform, account_id, first_day, last_day, requested_by, state, error, days_total,
                days_done, next_retry_at
            )
            select tenant_id, platform, account_id, '2099-03-01', '2099-03-07', 'x', 'rate_limited', 'Too many calls.',
                7, 3, '2099-03-09 10:30+00'
            from tenancy.ad_accounts
            """
        )
    shown = " ".join(warehouse.run_cli("accounts", check=True).stdout.split())
    assert "rate_limited until 2099-03-09 10:30 UTC" in shown and "Too many calls." in shown
    with warehouse.connect("admin") as connection:
        connection.execute("update ops.sync_state set next_retry_at = '2020-03-09 10:30+00'")
    shown = " ".join(warehouse.run_cli("accounts", check=True).stdout.split())
    assert "rate_limited" not in shown and "Too many calls." not in shown
    assert "stopped, 3 of 7 days" in shown


@pytest.fixture
def account(warehouse: Any) -> str:
    """A connected account of a platform that nobody answers for."""
    from aegis import connect
    from dlt_pipelines.common import credentials
    from dlt_pipelines.common.tokens import Secret

    tenant = warehouse.add_tenant("Acme", "EUR", "UTC")
    with warehouse.connect("owner") as connection:
        credential = credentials.store(
            connection, connect.keyring(warehouse.settings, create=True), tenant_id=tenant, platform="meta",
            kind="system", token=Secret("EAAxxxxxxxxxxxxxxxxxxxxxxxx"), base_url="http://127.0.0.1:9",
        )  # fmt: skip
        credentials.link(
            connection, tenant, "meta", "7", credential, name="Seven", currency="EUR", timezone="UTC"
        )
    return "7"
