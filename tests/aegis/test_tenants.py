"""Tenants, accounts and configuration: the functions, and the commands as a person types them."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from aegis import tenants
from aegis.tenants import (
    CONFIG_KEYS,
    CONVERSION_EVENTS,
    EVERYBODY,
    PLATFORMS,
    Tenant,
    add_account,
    add_tenant,
    check_platform,
    check_timezone,
    list_tenants,
    operator,
    resolve_tenant,
    set_config,
    set_tenant,
)
from dlt_pipelines.common.errors import AegisError


@pytest.fixture(scope="module")
def shop(new_warehouse: Callable[..., Any]) -> Any:
    """A deployed database of this module; every test adds tenants of its own."""
    return new_warehouse()


@pytest.fixture
def north(shop: Any, request: pytest.FixtureRequest) -> Tenant:
    with shop.connect("admin") as connection:
        return add_tenant(
            connection, f"North of {request.node.name}", currency="EUR", timezone="Europe/Berlin"
        )


def wrong(call: Callable[[], Any], *words: str) -> None:
    with pytest.raises(AegisError) as caught:
        call()
    for word in words:
        assert word in str(caught.value), caught.value
    assert caught.value.hint, "it must say what to do next"


# -- adding and finding -------------------------------------------------------------------------------------


def test_defaults_of_a_new_tenant(shop: Any) -> None:
    with shop.connect("admin") as connection:
        tenant = add_tenant(connection, "  Plain  ")
        assert (tenant.name, tenant.currency, tenant.timezone) == ("Plain", "USD", "America/Toronto")
        assert (tenant.industry, tenant.share_benchmarks, tenant.is_demo) == (None, False, False)
        assert isinstance(tenant.tenant_id, UUID)
        connection.rollback()


@pytest.mark.parametrize("role", ["admin", "owner", "loader", "transformer"])
def test_a_tenant_is_found_by_name_and_id(shop: Any, north: Tenant, role: str) -> None:
    with shop.connect(role) as connection:
        for text in (
            north.name,
            f" {north.name} ",
            north.name.upper(),
            str(north.tenant_id),
            str(north.tenant_id).upper(),
            north.tenant_id.hex,
        ):
            assert resolve_tenant(connection, text) == north


def test_an_unknown_tenant(shop: Any, north: Tenant) -> None:
    with shop.connect("owner") as connection:
        for text in ("Nirgends", "12345678-1234-1234-1234-123456789012", ""):
            wrong(
                lambda text=text: resolve_tenant(connection, text),
                f"no tenant {text!r}",
                "Known tenants",
                north.name,
            )
        wrong(lambda: resolve_tenant(connection, str(EVERYBODY)), "reserved tenant")
        wrong(lambda: resolve_tenant(connection, "everybody"), "no tenant 'everybody'")
        assert EVERYBODY not in {one.tenant_id for one in list_tenants(connection)}


def test_no_tenant_at_all(warehouse: Any) -> None:
    with warehouse.connect("owner") as connection:
        wrong(
            lambda: resolve_tenant(connection, "Bob's"), "no tenants at all", "aegis tenant add 'Bob'\\''s'"
        )
    done = warehouse.run_cli("tenant", "list", check=True)
    assert "no tenants yet" in done.stdout


def test_names_that_differ_in_case_only(shop: Any) -> None:
    with shop.connect("admin") as connection:
        for name in ("Twin", "TWIN"):
            connection.execute("insert into tenancy.tenants (name) values (%s)", (name,))
        assert resolve_tenant(connection, "Twin").name == "Twin"
        assert resolve_tenant(connection, "TWIN").name == "TWIN"
        wrong(lambda: resolve_tenant(connection, "twin"), "Several tenants", "give the id")
        connection.rollback()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ("needs a name",)),
        ("   ", ("needs a name",)),
        ("a\nb", ("one line",)),
        ("x" * 201, ("200 characters",)),
        ("12345678-1234-1234-1234-123456789012", ("look like an id",)),
    ],
)
def test_a_name_that_cannot_be(shop: Any, name: str, words: tuple[str, ...]) -> None:
    with shop.connect("admin") as connection:
        wrong(lambda: add_tenant(connection, name), *words)


def test_a_name_that_is_taken(shop: Any, north: Tenant) -> None:
    with shop.connect("admin") as connection:
        wrong(
            lambda: add_tenant(connection, north.name.upper()),
            "There already is a tenant",
            str(north.tenant_id),
        )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"currency": "Euro"}, ("'Euro' is no currency", "EUR")),
        ({"currency": ""}, ("currency of a tenant cannot be empty",)),
        ({"timezone": "Berlin"}, ("'Berlin' is no time zone", "Europe/Berlin")),
        ({"timezone": "UTC+2"}, ("is no time zone",)),
        ({"timezone": "posix/Europe/Berlin"}, ("is no time zone",)),
    ],
)
def test_wrong_options(shop: Any, given: dict[str, str], words: tuple[str, ...]) -> None:
    with shop.connect("admin") as connection:
        wrong(lambda: add_tenant(connection, "Wrong", **given), *words)


def test_time_zones(shop: Any) -> None:
    with shop.connect("owner") as connection:
        assert check_timezone(connection, "europe/berlin") == "Europe/Berlin"
        assert (
            check_timezone(connection, " America/Argentina/Buenos_Aires ") == "America/Argentina/Buenos_Aires"
        )
        assert check_timezone(connection, "utc") == "UTC"
        wrong(lambda: check_timezone(connection, "Los Angeles"), "America/Los_Angeles")


def test_the_command_prints_the_id_alone(shop: Any) -> None:
    done = shop.run_cli("tenant", "add", "By Hand", "--currency", "cad", "--industry", "shoes", check=True)
    assert UUID(done.stdout.strip())
    assert "CAD" in done.stderr
    listed = shop.run_cli("tenant", "list", check=True).stdout
    line = next(line for line in listed.splitlines() if line.startswith("By Hand"))
    assert done.stdout.strip() in line
    assert "CAD" in line and "shoes" in line and "America/Toronto" in line


# -- changing -----------------------------------------------------------------------------------------------


def test_set_prints_old_and_new_and_is_audited(shop: Any, north: Tenant) -> None:
    done = shop.run_cli(
        "tenant", "set", north.name, "currency=usd", "share_benchmarks=yes", "industry=toys", check=True
    )
    assert "currency: EUR → USD" in done.stdout
    assert "share_benchmarks: false → true" in done.stdout
    assert "industry: not set → toys" in done.stdout
    rows = shop.rows(
        "select person, old_values, new_values from audit.changes where tenant_id = %s and operation = 'update'",
        (north.tenant_id,),
    )
    assert rows == [
        (
            getpass.getuser(),
            {"currency": "EUR", "industry": None, "share_benchmarks": False},
            {"currency": "USD", "industry": "toys", "share_benchmarks": True},
        )
    ]
    again = shop.run_cli("tenant", "set", str(north.tenant_id), "currency=USD", "industry=", check=True)
    assert "currency: USD, unchanged" in again.stdout
    assert "industry: toys → not set" in again.stdout


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("colour=red", ("has no 'colour'", "Known: currency, timezone, industry, share_benchmarks")),
        ("currencies=EUR", ("has no 'currencies'", "Did you mean currency?")),
        ("currency", ("'currency' sets nothing", "KEY=VALUE")),
        ("=EUR", ("sets nothing",)),
        ("currency=", ("cannot be empty",)),
        ("currency=12", ("is no currency",)),
        ("timezone=Atlantis", ("is no time zone",)),
        ("timezone=", ("is no time zone",)),
        ("share_benchmarks=maybe", ("true or false, not 'maybe'",)),
        ("name=Other", ("has no 'name'",)),
        ("is_demo=true", ("has no 'is_demo'",)),
    ],
)
def test_what_cannot_be_set(shop: Any, north: Tenant, pair: str, words: tuple[str, ...]) -> None:
    with shop.connect("admin") as connection:
        wrong(lambda: set_tenant(connection, north, ["industry=x", pair]), *words)
        assert resolve_tenant(connection, north.name) == north, "half of it was written"


def test_nothing_to_set(shop: Any, north: Tenant) -> None:
    with shop.connect("admin") as connection:
        wrong(lambda: set_tenant(connection, north, []), "Nothing to set")
        wrong(lambda: set_tenant(connection, north, ["industry=a", "industry=b"]), "given twice")


# -- accounts -----------------------------------------------------------------------------------------------


def test_accounts(shop: Any, north: Tenant) -> None:
    command = ("account", "add", "--tenant", north.name, "--platform", "Meta", "--account", "act_1")
    assert "Added the meta account act_1" in shop.run_cli(*command, check=True).stdout
    row = "select name, currency, timezone, source, status from tenancy.ad_accounts where tenant_id = %s"
    assert shop.rows(row, (north.tenant_id,)) == [(None, "EUR", None, "manual", "active")]
    assert "nothing to change" in shop.run_cli(*command, check=True).stdout
    changed = shop.run_cli(
        *command, "--name", "Main", "--currency", "usd", "--timezone", "UTC", check=True
    ).stdout
    assert "name: not set → Main" in changed
    assert "currency: EUR → USD" in changed
    assert shop.rows(row, (north.tenant_id,)) == [("Main", "USD", "UTC", "manual", "active")]
    persons = shop.rows(
        "select operation, person from audit.changes where relation = 'tenancy.ad_accounts' and tenant_id = %s"
        " order by change_id",
        (north.tenant_id,),
    )
    assert persons == [("insert", operator()), ("update", operator())]
    listed = shop.run_cli("account", "list", "--tenant", str(north.tenant_id), check=True).stdout
    assert "act_1" in listed and "Main" in listed
    assert "act_1" in shop.run_cli("account", "list", check=True).stdout


def test_wrong_accounts(shop: Any, north: Tenant) -> None:
    with shop.connect("admin") as connection:
        wrong(lambda: add_account(connection, north, "myspace", "1"), "no platform 'myspace'", "meta, tiktok")
        wrong(lambda: add_account(connection, north, "meta", "  "), "needs an id")
        wrong(lambda: add_account(connection, north, "meta", "1", currency="x"), "is no currency")
        wrong(lambda: add_account(connection, north, "meta", "1", currency=""), "cannot be empty")
        wrong(lambda: add_account(connection, north, "meta", "1", timezone="x"), "is no time zone")
        wrong(
            lambda: add_account(connection, north, "meta", "1", conversion_event="x"),
            "no conversion event 'x'",
        )
        assert add_account(connection, north, "meta", "1", conversion_event="lead") == (True, [])
        [change] = add_account(connection, north, "meta", "1", conversion_event="purchase")[1]
        assert "lead" in str(change) and "purchase" in str(change)
    done = shop.run_cli("account", "list", "--tenant", "Nirgends")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no tenant 'Nirgends'.")


# -- configuration ------------------------------------------------------------------------------------------


def configuration(shop: Any, tenant: Tenant) -> dict[str, tuple[Any, ...]]:
    return {
        row[0]: row[1:]
        for row in shop.rows(
            "select platform, max_cpa, target_roas, thresholds, currency, updated_by from ads.platform_configs"
            " where tenant_id = %s",
            (tenant.tenant_id,),
        )
    }


def test_set_for_one_platform(shop: Any, north: Tenant) -> None:
    done = shop.run_cli(
        "config",
        "set",
        "--tenant",
        north.name,
        "--platform",
        "meta",
        "target_roas=4.5",
        "thresholds.spend_spike=2.5",
        check=True,
    )
    assert "meta  target_roas: 3 (default) → 4.5" in done.stdout
    assert "meta  thresholds.spend_spike: not set (default) → 2.5" in done.stdout
    assert configuration(shop, north) == {
        "meta": (None, Decimal("4.5"), {"spend_spike": 2.5}, None, operator())
    }
    rows = shop.rows(
        "select operation, person, new_values ->> 'target_roas' from audit.changes where tenant_id = %s"
        " and relation = 'ads.platform_configs'",
        (north.tenant_id,),
    )
    assert rows == [("insert", operator(), "4.5")]


def test_set_for_all_platforms(shop: Any, north: Tenant) -> None:
    done = shop.run_cli("config", "set", "--tenant", north.name, "max_cpa=33", check=True)
    for platform in PLATFORMS:
        assert f"{platform}  max_cpa: not set (default) → 33" in done.stdout  # no rate from USD to EUR here
    assert set(configuration(shop, north)) == set(PLATFORMS)
    with shop.connect("app") as connection:
        changes = set_config(connection, north, ["meta"], ["max_cpa=44"])
    assert [str(one) for one in changes] == ["meta  max_cpa: 33 → 44"]


def test_an_empty_value_is_the_default_again(shop: Any, north: Tenant) -> None:
    with shop.connect("app") as connection:
        set_config(connection, north, ["meta"], ["target_roas=5", "thresholds.a=1", "thresholds.b=word"])
    with shop.connect("app") as connection:
        changes = set_config(connection, north, ["meta"], ["target_roas=", "thresholds.a="])
    assert [str(one) for one in changes] == [
        "meta  target_roas: 5 → the default",
        "meta  thresholds.a: 1 → the default",
    ]
    assert configuration(shop, north)["meta"][1:3] == (None, {"b": "word"})


def test_what_changes_nothing_writes_nothing(shop: Any, north: Tenant) -> None:
    with shop.connect("app") as connection:
        set_config(connection, north, ["meta"], ["max_cpa=", "thresholds.a="])
    assert configuration(shop, north) == {}
    for _ in range(2):
        with shop.connect("app") as connection:
            set_config(connection, north, ["meta"], ["max_cpa=5", 'thresholds={"a": 1}'])
    rows = shop.rows(
        "select operation from audit.changes where tenant_id = %s and relation like 'ads.%%'",
        (north.tenant_id,),
    )
    assert rows == [("insert",)]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("target_roas=high", ("target_roas is a number, not 'high'", "target_roas=12.5")),
        ("target_roas=3,5", ("is a number, not '3,5'",)),
        ("target_roas=nan", ("is a number",)),
        ("target_roas=0", ("more than zero",)),
        ("max_cpa=-1", ("more than zero",)),
        ("max_cpa=1e30", ("too large",)),
        ("min_roas=-1", ("zero or more",)),
        ("auto_pause=perhaps", ("true or false",)),
        ("currency=dollars", ("is no currency",)),
        ("conversion_event=click", ("no conversion event 'click'", "purchase")),
        ("thresholds=5", ("is a JSON object",)),
        ("thresholds.=5", ("has no 'thresholds.'", "thresholds.NAME")),
        ("max_cpa.x=5", ("has no 'max_cpa.x'",)),
        ("updated_by=me", ("has no 'updated_by'",)),
        ("tenant_id=x", ("has no 'tenant_id'",)),
        ("target_raos=3", ("Did you mean target_roas?",)),
    ],
)
def test_wrong_values(shop: Any, north: Tenant, pair: str, words: tuple[str, ...]) -> None:
    with shop.connect("app") as connection:
        wrong(lambda: set_config(connection, north, ["meta"], ["legacy_rules=yes", pair]), *words)
    assert configuration(shop, north) == {}


def test_the_command_says_what_is_wrong(shop: Any, north: Tenant) -> None:
    for arguments, said in (
        (("--tenant", north.name, "--platform", "bing", "max_cpa=1"), "There is no platform 'bing'."),
        (("--tenant", "Nirgends", "max_cpa=1"), "There is no tenant 'Nirgends'."),
        (("--tenant", north.name, "speed=1"), "The configuration has no 'speed'."),
    ):
        done = shop.run_cli("config", "set", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: {said}"), done.stderr
        assert "Traceback" not in done.stderr
    assert shop.run_cli("config", "set", "--tenant", north.name).returncode == 2


def test_show(shop: Any, north: Tenant) -> None:
    defaults = shop.run_cli("config", "show", check=True).stdout
    assert "max_cpa" in defaults and "50" in defaults
    with shop.connect("app") as connection:
        set_config(connection, north, ["meta"], ["target_roas=7"])
    shown = shop.run_cli("config", "show", "--tenant", north.name, check=True).stdout
    line = next(line for line in shown.splitlines() if line.startswith("target_roas"))
    assert line.split() == ["target_roas", "7", "*", "3", "3", "3", "3"]
    one = shop.run_cli("config", "show", "--tenant", north.name, "--platform", "google", check=True).stdout
    assert "meta" not in one and "google" in one


def test_keys_are_the_columns_people_may_write(shop: Any) -> None:
    rows = shop.rows(
        "select unnest(columns) from tenancy.people_rights('ads.platform_configs') where privilege = 'update'"
    )
    assert {row[0] for row in rows} == set(CONFIG_KEYS)


def test_platforms_are_those_of_the_tables(shop: Any) -> None:
    rows = shop.rows(
        "select pg_get_constraintdef(oid) from pg_constraint where conname in"
        " ('platform_configs_platform_is_known', 'ad_accounts_platform_is_known')"
    )
    assert len(rows) == 2
    for (text,) in rows:
        assert all(f"'{platform}'" in text for platform in PLATFORMS)
        assert text.count("'::text") == len(PLATFORMS)
    assert check_platform(" Meta ") == "meta"
    assert "purchase" in CONVERSION_EVENTS


def test_the_operator_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(tenants.getpass, "getuser", unknown)
    assert operator().startswith("user ")
