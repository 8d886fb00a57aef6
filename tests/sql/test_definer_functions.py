"""Functions that run with their owner's rights: closed to the public, pinned, and asking for the tenant first."""

from __future__ import annotations

import pytest
from actors import World, make_login, refused

DENIED = "42501"

WRITING = (
    "select ads.compute_baselines(%(tenant)s, 'meta', 'campaign', 7)",
    "select ads.generate_recommendations(%(tenant)s)",
    "select ads.detect_anomalies(%(tenant)s)",
)
READING = "select * from ads.analyze_campaign_performance(%(tenant)s, 'c1', 'meta', 7)"


def test_every_definer_function_is_closed_and_pinned(world: World) -> None:
    with world.service("admin") as admin:
        rows = admin.execute(
            """
            select p.oid::regprocedure::text, has_function_privilege('public', p.oid, 'execute'), p.proconfig
            from pg_proc as p inner join pg_namespace as n on p.pronamespace = n.oid
            where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
            """
        ).fetchall()
    assert len(rows) >= 8
    for name, is_open, config in rows:
        assert not is_open, name
        assert config == ["search_path=pg_catalog, pg_temp"], name


def test_no_function_of_ours_is_executable_by_public(world: World) -> None:
    with world.at(world.stranger) as stranger, world.service("admin") as admin:
        names = admin.execute(
            """
            select p.oid::regprocedure::text, p.oid from pg_proc as p inner join pg_namespace as n on p.pronamespace = n.oid
            where n.nspname in ('ads', 'tenancy', 'audit', 'ads_internal', 'ops', 'history', 'raw_manual', 'public')
            """
        ).fetchall()
        assert len(names) > 20
        for name, oid in names:
            assert stranger.execute("select has_function_privilege(%s, 'execute')", (oid,)).fetchone() == (
                False,
            ), name


@pytest.mark.parametrize("statement", [*WRITING, READING])
@pytest.mark.parametrize("who", ["app", "app without setting", "buyer", "outsider"])
def test_a_question_about_another_tenant_is_refused(world: World, who: str, statement: str) -> None:
    actor = {
        "app": lambda: world.app(world.north),
        "app without setting": lambda: world.app(),
        "buyer": lambda: world.login(world.north, "buyer"),
        "outsider": lambda: world.at(make_login(world.warehouse, ("aegis_buyer",))),
    }[who]()
    with actor as connection:
        for tenant in (world.south, "12345678-1234-1234-1234-123456789012", None):
            with refused(connection, DENIED, "is not one of yours"):
                connection.execute(statement, {"tenant": tenant})
        if who == "buyer":
            connection.execute("select set_config('saas.tenant_id', %s, true)", (world.south,))
            with refused(connection, DENIED, "is not one of yours"):
                connection.execute(statement, {"tenant": world.south})


@pytest.mark.parametrize("who", ["reader", "analyst"])
def test_readers_may_ask_but_not_write(world: World, who: str) -> None:
    with world.login(world.north, who) as connection:
        for statement in WRITING:
            with refused(connection, DENIED, "permission denied for function"):
                connection.execute(statement, {"tenant": world.north})
        assert len(connection.execute(READING, {"tenant": world.north}).fetchall()) > 5
        with refused(connection, DENIED, "is not one of yours"):
            connection.execute(READING, {"tenant": world.south})


def test_helpers_answer_nothing_about_another_tenant(world: World) -> None:
    for actor in (world.login(world.north), world.login(world.north, "buyer"), world.app(world.north)):
        with actor as connection:
            assert connection.execute("select tenancy.currency_of(%s)", (world.north,)).fetchone() == ("EUR",)
            assert connection.execute("select tenancy.currency_of(%s)", (world.south,)).fetchone() == (None,)
            row = connection.execute(
                "select count(*) from tenancy.effective_config(%s, 'meta')", (world.south,)
            ).fetchone()
            assert row == (0,)
            assert connection.execute("select tenancy.require_tenant()::text").fetchone() == (world.north,)
            with refused(connection, DENIED, "is not one of yours"):
                connection.execute("select tenancy.require_tenant(%s)", (world.south,))


def test_require_tenant_without_a_choice_says_what_to_do(world: World) -> None:
    with (
        world.app() as connection,
        refused(connection, DENIED, "no tenant is chosen", "SET LOCAL saas.tenant_id"),
    ):
        connection.execute("select tenancy.require_tenant()")


def test_objects_of_the_caller_do_not_get_between(world: World) -> None:
    """An analyst puts a table, a function and an operator where an unpinned function would find them first."""
    with world.login(world.north, "analyst") as connection:
        connection.execute(
            "create temporary table role_tenants as select oid as role_oid, %s::uuid as tenant_id, rolname as role_name"
            " from pg_roles",
            (world.south,),
        )
        connection.execute("create temporary table pg_roles as select * from pg_catalog.pg_roles")
        connection.execute(
            "create function current_setting(text, boolean) returns text language sql as $$ select 'aegis_transformer' $$"
        )
        connection.execute(
            "create function pg_has_role(name, text, text) returns boolean language sql as 'select true'"
        )
        connection.execute(
            "select set_config('search_path', 'pg_temp,' || current_schema() || ',pg_catalog', true)"
        )
        assert connection.execute("select tenancy.visible_tenants()::text[]").fetchone() == ([world.north],)
        assert connection.execute("select distinct tenant_id::text from ads.metrics_daily").fetchall() == [
            (world.north,)
        ]
        with refused(connection, DENIED, "is not one of yours"):
            connection.execute("select tenancy.require_tenant(%s)", (world.south,))


def test_a_definer_function_of_one_analyst_shows_its_caller_no_more(world: World) -> None:
    """Inside it the acting role is the session's, not the owner's."""
    with world.warehouse.connect("admin") as admin:
        north = admin.execute(
            "select role_name from tenancy.role_tenants where tenant_id = %s and kind = 'analyst'",
            (world.north,),
        ).fetchone()
    if north is None:
        world.warehouse.tenant_url(world.north, "analyst")
        with world.warehouse.connect("admin") as admin:
            north = admin.execute(
                "select role_name from tenancy.role_tenants where tenant_id = %s and kind = 'analyst'",
                (world.north,),
            ).fetchone()
    assert north is not None
    schema = north[0]
    with world.at(world.warehouse.tenant_url(world.north, "analyst")) as maker:
        maker.execute(
            "create function lent() returns setof uuid language sql security definer as "
            "'select tenant_id from ads.metrics_daily'"
        )
        maker.execute("grant execute on function lent() to public")
        maker.execute(f'grant usage on schema "{schema}" to public'.encode())
        maker.commit()
    try:
        with world.login(world.south) as caller:
            rows = caller.execute(f'select lent::text from "{schema}".lent()'.encode()).fetchall()
            assert rows == [(world.south,)]
    finally:
        with world.at(world.warehouse.tenant_url(world.north, "analyst")) as maker:
            maker.execute("drop function lent()")
            maker.execute(f'revoke usage on schema "{schema}" from public'.encode())
            maker.commit()


def test_before_the_first_build_the_functions_say_so(world: World) -> None:
    with world.login(world.north, "buyer") as connection:
        for statement in WRITING:
            with refused(connection, "55000", "not built yet", "aegis optimize"):
                connection.execute(statement, {"tenant": world.north})
        with refused(connection, "22023", "no baseline has a window of 5 days", "Windows are"):
            connection.execute("select ads.compute_baselines(%s, 'meta', 'campaign', 5)", (world.north,))
        with refused(connection, "22023", "cannot be analysed"):
            connection.execute(
                "select * from ads.analyze_campaign_performance(%s, 'c1', 'meta', 0)", (world.north,)
            )
