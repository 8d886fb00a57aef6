"""What a member of the application may do: roles and permissions are rows, tenancy.member_may() is the one answer."""

from __future__ import annotations

import pytest
from actors import EVERYBODY, World, refused

MEMBERS = {"owner@n": "admin", "buyer@n": "manager", "reporter@n": "analyst", "guest@n": "client"}


@pytest.fixture(scope="module")
def staffed(world18: World) -> World:
    with world18.warehouse.connect("owner") as owner:
        for person, role in MEMBERS.items():
            owner.execute(
                "insert into tenancy.members (tenant_id, person, role) values (%s, %s, %s)",
                (world18.north, person, role),
            )
        owner.execute(
            "insert into tenancy.members (tenant_id, person, role) values (%s, 'root@us', 'super_admin')",
            (EVERYBODY,),
        )
        owner.execute(
            "insert into tenancy.members (tenant_id, person, role) values (%s, 'guest@n', 'admin')",
            (world18.south,),
        )
    return world18


@pytest.mark.parametrize(
    ("person", "permission", "may"),
    [
        ("root@us", "members:delete", True),
        ("root@us", "anything:at_all", True),
        ("owner@n", "members:delete", True),
        ("owner@n", "anything:at_all", False),
        ("buyer@n", "recommendations:approve", True),
        ("buyer@n", "campaigns:*", True),
        ("buyer@n", "members:read", True),
        ("buyer@n", "members:add", False),
        ("buyer@n", "members:*", False),
        ("reporter@n", "reports:create", True),
        ("reporter@n", "recommendations:read", True),
        ("reporter@n", "recommendations:approve", False),
        ("guest@n", "reports:read", True),
        ("guest@n", "reports:create", False),
        ("guest@n", "budgets:read", False),
        ("nobody@n", "reports:read", False),
        (None, "reports:read", False),
    ],
)
def test_may(staffed: World, person: str | None, permission: str, may: bool) -> None:
    with staffed.app(staffed.north) as app:
        row = app.execute(
            "select tenancy.member_may(%s, %s, %s)", (staffed.north, person, permission)
        ).fetchone()
        assert row == (may,)


def test_a_role_holds_in_its_own_tenant_only(staffed: World) -> None:
    with staffed.app(staffed.south) as app:
        for person, may in (("guest@n", True), ("owner@n", False), ("root@us", True)):
            row = app.execute(
                "select tenancy.member_may(%s, %s, 'members:add')", (staffed.south, person)
            ).fetchone()
            assert row == (may,), person
        with refused(app, "42501", "is not one of yours"):
            app.execute("select tenancy.member_may(%s, 'owner@n', 'members:add')", (staffed.north,))


def test_a_permission_changes_by_a_row(staffed: World) -> None:
    with staffed.service("owner") as owner:
        question = "select tenancy.member_may(%s, 'guest@n', 'budgets:read')"
        assert owner.execute(question, (staffed.north,)).fetchone() == (False,)
        owner.execute(
            "insert into tenancy.role_permissions (role, permission) values ('client', 'budgets:read')"
        )
        assert owner.execute(question, (staffed.north,)).fetchone() == (True,)


@pytest.mark.parametrize(
    "permission", ["", "reports", "reports:", ":read", "*:*", "reports:read:all", "Reports:read", None]
)
def test_what_is_no_permission(staffed: World, permission: str | None) -> None:
    with staffed.app(staffed.north) as app, refused(app, "22023", "is no permission", "resource:action"):
        app.execute("select tenancy.member_may(%s, 'guest@n', %s)", (staffed.north, permission))


def test_people_neither_ask_nor_read_nor_appoint(staffed: World) -> None:
    for who in ("reader", "buyer", "analyst"):
        with staffed.login(staffed.north, who) as login:
            for statement in (
                f"select tenancy.member_may('{staffed.north}', 'guest@n', 'reports:read')",
                "select * from tenancy.members",
                "select * from tenancy.role_permissions",
                f"insert into tenancy.members (tenant_id, person, role) values ('{staffed.north}', 'me', 'admin')",
            ):
                with refused(login, "42501", "permission denied"):
                    login.execute(statement.encode())


def test_only_a_super_admin_is_of_all_tenants(staffed: World) -> None:
    with staffed.service("owner") as owner:
        for tenant, role in ((EVERYBODY, "admin"), (staffed.north, "super_admin")):
            with refused(owner, "23514", "super_admin_is_of_all"):
                owner.execute(
                    "insert into tenancy.members (tenant_id, person, role) values (%s, 'x', %s)",
                    (tenant, role),
                )
