"""Personal data never reaches a table in clear, not even in a row that was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlt_pipelines.common.personal import Pseudonyms, pseudonyms
from dlt_pipelines.manual import ImportResult

NORTH, SOUTH = Pseudonyms(b"north" * 8), Pseudonyms(b"south" * 8)


def test_a_person_is_the_same_within_a_tenant_and_another_elsewhere() -> None:
    assert NORTH.of("Maria@Example.com ") == NORTH.of("maria@example.com")
    assert NORTH.of("maria@example.com") != SOUTH.of("maria@example.com")
    assert NORTH.of("maria@example.com") != NORTH.of("mario@example.com")
    assert "north" not in repr(NORTH)


@pytest.mark.parametrize(
    "text",
    ["maria.lopez+shop@mail.example.co.uk", "+49 (0)30 123456-78", "+1-416-555-0199"],
)
def test_addresses_and_numbers_are_found_wherever_they_stand(text: str) -> None:
    payload = {"note": f"ask {text}, please", "list": [{text: 1}], "id": 42}
    hidden = NORTH.in_value(payload)
    assert text not in str(hidden) and hidden["id"] == 42
    assert str(hidden).count("person:") == 2
    assert hidden["note"].startswith("ask person:") and hidden["note"].endswith(", please")


@pytest.mark.parametrize(
    "text",
    [
        "120211111110010399",
        "2026-11-03",
        "1,234.56",
        "+12.5 %",
        "https://shop.example/a?utm_content=12345678",
        "act_1234567890",
    ],
)
def test_ids_amounts_days_and_links_stay(text: str) -> None:
    assert NORTH.in_text(text) == text


@given(st.emails())
def test_what_stands_before_the_at_sign_is_gone(address: str) -> None:
    """Whatever is left of an unusual address is not the address."""
    assert address not in NORTH.in_text(f"<{address}>")


def test_the_salt_is_the_tenants_own_and_made_once(warehouse: Any) -> None:
    north, south = warehouse.add_tenant("north"), warehouse.add_tenant("south")
    with warehouse.connect("loader") as loader:
        first = pseudonyms(loader, north).of("a@b.c")
        assert pseudonyms(loader, north).of("a@b.c") == first != pseudonyms(loader, south).of("a@b.c")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            loader.execute("select * from tenancy.tenant_salts")
    for url in (warehouse.url("transformer"), warehouse.url("app"), warehouse.tenant_url(north, "buyer")):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select tenancy.salt_of(%s::uuid)", (north,))


def test_a_refused_row_is_kept_without_the_person(load: Callable[..., ImportResult], warehouse: Any) -> None:
    head = "campaign_id,adset_id,ad_id,day,spend,impressions,clicks,conversions,conversion_value,contact\n"
    load(
        head
        + "c1,s1,a1,2026-03-01,10,1000,20,2,80,maria@example.com\n"
        + "c1,s1,a2,2026-03-01,much by jo@example.com,1000,20,2,80,+49 30 1234567\n"
    )
    [(reason, payload)] = warehouse.rows("select reason, payload::text from ops.quarantine")
    assert "example.com" not in reason + payload and "1234567" not in payload
    assert payload.count("person:") == 2
