"""What people plan on the command line: budgets and tests, as the application, with their name in the audit trail."""

from __future__ import annotations

import getpass
import json
from typing import Any

import pytest
from morning_data import fill

from aegis import plans
from dlt_pipelines.common.errors import AegisError


@pytest.fixture
def tenant(warehouse: Any) -> str:
    tenant_id: str = warehouse.add_tenant("Northwind", currency="CAD", timezone="America/Toronto")
    fill(warehouse, tenant_id, days=8)
    return tenant_id


def test_a_budget_is_set_changed_and_shown(warehouse: Any, tenant: str) -> None:
    where = ("--tenant", "Northwind", "--platform", "meta")
    done = warehouse.run_cli("budgets", "set", "11", "5,000", *where, "--from", "2026-03-01", check=True)
    assert "CA$5,000.00 for campaign 11" in done.stdout and "31 Mar 2026" in done.stdout
    warehouse.run_cli(
        "budgets", "set", "11", "4500.50", *where, "--from", "2026-03-01", "--notes", "less", check=True
    )
    rows = warehouse.rows(
        "select id::text, budget::text, notes, created_by, currency from ads.budget_allocation"
    )
    ((row_id, budget, notes, person, currency),) = rows
    assert (budget, notes, person, currency) == ("4500.500000", "less", getpass.getuser(), "CAD")
    assert warehouse.rows("select count(*) from audit.changes where relation = 'ads.budget_allocation'") == [
        (2,)
    ]

    assert "There is no budget" in warehouse.run_cli("budgets", "list", check=True).stdout
    listed = json.loads(warehouse.run_cli("budgets", "list", "--all", "--json", check=True).stdout)
    assert [one["id"] for one in listed] == [row_id]
    with warehouse.connect("transformer") as connection:
        connection.execute(
            """
            update ads.budget_allocation
            set pacing = 1.2, pacing_status = 'over', spend_to_date = 3000, expected_to_date = 2500, projected_spend = 5400,
                results = '{"reason": "More was spent.", "band": [0.88, 1.12], "as_of": "2026-03-19"}'
            """
        )
    shown = warehouse.run_cli("budgets", "show", row_id[:6], check=True).stdout
    for words in (
        "CA$4,500.50",
        "120 % of what the weekdays call for, band 88 to 112 %",
        "More was spent.",
        "over",
    ):
        assert words in shown
    assert "over" in warehouse.run_cli("budgets", "list", "--all", check=True).stdout


def test_a_test_is_added_started_and_completed(warehouse: Any, tenant: str) -> None:
    arguments = (
        "tests", "add", "Blue", "--tenant", "Northwind", "--platform", "meta", "--metric", "ctr",
        "--assignment", "platform_split_test", "--variant", "Red=adset:111@2", "--draft",
    )  # fmt: skip
    warehouse.run_cli(*arguments, check=True)
    ((row_id, variants, status),) = warehouse.rows("select id::text, variants, status from ads.ab_tests")
    assert status == "draft"
    assert variants == [
        {"name": "Red", "level": "adset", "platform_id": "111", "is_control": True, "weight": 2}
    ]
    refused = warehouse.run_cli("tests", "start", row_id[:6])
    assert (
        refused.returncode == 1 and "there is only one variant, and a comparison needs two" in refused.stderr
    )

    warehouse.run_cli(*arguments[:-1], "--variant", "Blue=adset:112@1", check=True)
    ((second,),) = warehouse.rows("select id::text from ads.ab_tests where status = 'running'")
    with warehouse.connect("transformer") as connection:
        connection.execute(
            """
            update ads.ab_tests
            set verdict = 'winner', winner = 'Blue', p_value = 0.0001, sequential_p_value = 0.012, probability_best = 0.99,
                expected_loss = 0.0001,
                results = '{"reason": "Blue is better.", "leader": "Blue", "days": 20, "sample": 300, "sample_unit": "clicks",
                    "variants": [{"name": "Blue", "is_control": false, "value": 0.02, "standard_error": 0.001, "days": 20}],
                    "comparisons": [{"variant": "Blue", "control": "Red", "difference": 0.004, "relative_difference": 0.25,
                        "sequential_interval": null, "interval": [0.001, 0.007]}]}'
            where status = 'running'
            """
        )
    shown = warehouse.run_cli("tests", "show", second[:6], check=True).stdout
    for words in (
        "Blue is better.",
        "p 0.012, at any look",
        "p < 0.001, for one look",
        "unbounded",
        "+25.0 %",
    ):
        assert words in shown
    assert "winner" in warehouse.run_cli("tests", "list", check=True).stdout
    warehouse.run_cli("tests", "complete", second[:6], check=True)
    warehouse.run_cli("tests", "cancel", row_id[:6], check=True)
    assert warehouse.rows("select status, end_date is not null from ads.ab_tests order by 1") == [
        ("cancelled", False), ("completed", True),
    ]  # fmt: skip
    assert "No test is running" in warehouse.run_cli("tests", "list", check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("budgets", "show", "abcdef"), "There is no budget of Northwind whose id begins with abcdef"),
        (("budgets", "show", "ab"), "too short"),
        (("tests", "show", "xyz!"), "is not the id of a test"),
        (("budgets", "set", "1", "much", "--tenant", "Northwind", "--platform", "meta"), "is no amount"),
        (
            ("budgets", "set", "1", "5", "--tenant", "Northwind", "--platform", "x"),
            "There is no platform 'x'",
        ),
        (("budgets", "set", "1", "5", "--tenant", "Nobody", "--platform", "meta"), "Nobody"),
        (
            ("budgets", "set", "1", "5", "--tenant", "Northwind", "--platform", "meta", "--to", "2020-01-01"),
            "before it begins",
        ),
        (
            ("tests", "add", "T", "--tenant", "Northwind", "--platform", "meta", "--variant", "A"),
            "'A' is no variant",
        ),
    ],
)
def test_mistakes_are_said_in_a_sentence(
    warehouse: Any, tenant: str, arguments: tuple[str, ...], words: str
) -> None:
    done = warehouse.run_cli(*arguments)
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr


def test_an_id_that_fits_two_rows_is_refused(warehouse: Any, tenant: str) -> None:
    from aegis.decisions import tenants_at_hand

    with warehouse.connect("transformer") as connection:
        for end in ("1", "2"):
            connection.execute(
                "insert into ads.ab_tests (tenant_id, id, name, test_type, platform, variants)"
                " values (%s, %s, 'T', 'creative', 'meta', '[]')",
                (tenant, f"abcdabcd-0000-4000-8000-00000000000{end}"),
            )
    tenants = tenants_at_hand(warehouse.database, None)
    with pytest.raises(AegisError, match="2 tests have an id that begins with abcd"):
        plans.find(warehouse.database, "test", tenants, "abcd")


def test_outcomes_are_empty_before_there_are_any(warehouse: Any, tenant: str) -> None:
    done = warehouse.run_cli("recommendations", "outcomes", check=True)
    assert "Nothing that was followed is old enough yet" in done.stdout
    with warehouse.connect("transformer") as connection:
        connection.execute(
            """
            create view ads_internal.rule_outcomes as
            select %s::uuid as tenant_id, 'rec_pause_campaign' as rule_id, 7 as horizon_days, 'CAD' as currency, 3 as n_followed,
                3 as n_judged, 2 as n_right, 1 as n_surely_right, 0 as n_surely_wrong, 0.6667 as share_right,
                450::numeric as gain, 400::numeric as expected_gain
            """.replace("%s", f"'{tenant}'")
        )
    done = warehouse.run_cli("recommendations", "outcomes", "--tenant", "Northwind", check=True)
    assert "rec_pause_campaign" in done.stdout and "2 (67 %)" in done.stdout and "CA$450" in done.stdout
