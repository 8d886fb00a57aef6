"""`aegis import …` as a person runs it: what it says, how it ends, and what history then holds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXPORT = str(FIXTURES / "ads_without_days.csv")
MAPPING = (
    "--map", "xyz_campaign_id=campaign_id", "--map", "fb_campaign_id=adset_id", "--map", "Spent=spend",
    "--map", "Approved_Conversion=conversions",
)  # fmt: skip
HISTORY = (
    "tenant_id,platform,account_id,currency,campaign_id,adset_id,ad_id,day,spend,impressions,clicks,reach,frequency,"
    "conversions,conversion_value\n"
    "Newcomer,meta,m1,EUR,c1,s1,a1,2026-03-01,10.5,1000,20,900,1.1,2,80\n"
    "Newcomer,meta,m1,EUR,c1,s1,a1,2026-03-03,11.5,1000,20,900,1.1,2,80\n"
    "Newcomer,meta,m1,EUR,c1,s1,a2,2026-03-03,-1,1000,20,900,1.1,2,80\n"
)


@pytest.fixture
def shared(new_warehouse: Callable[..., Any]) -> Any:
    one = new_warehouse()
    one.add_tenant("Acme", "USD", "America/Toronto")
    return one


def test_from_a_file_to_history_and_again(shared: Any, tmp_path: Path) -> None:
    command = (
        "import",
        "csv",
        EXPORT,
        "--tenant",
        "acme",
        "--platform",
        "Meta",
        "--day",
        "2017-08-30",
        *MAPPING,
    )
    done = shared.run_cli(*command, check=True)
    assert "42 rows read, 42 loaded, 0 refused" in done.stdout
    assert "USD   spend 323.71 · impressions 770,060 · clicks 250 · conversions 22.00" in done.stdout
    assert "Next: `aegis optimize`" in done.stdout
    versions = "select count(*), sum(spend), sum(impressions), min(level), min(source) from history.performance_versions"
    assert shared.rows(versions) == [(42, Decimal("323.710161"), 770060, "ad", "file")]
    assert shared.rows("select state, versioned_at is not null from ops.coverage") == [("accepted", True)]
    levels = "select level, sum(spend), sum(impressions), sum(clicks), sum(conversions) from ads.metrics_daily group by 1"
    assert {row[1:] for row in shared.rows(levels)} == {(Decimal("323.710161"), 770060, 250, 22)}
    assert {row[0] for row in shared.rows(levels)} == {"account", "campaign", "adset", "ad"}

    again = shared.run_cli(*command, check=True)
    assert "nothing was changed" in again.stdout

    # The same rows in another order are another file, and the same history.
    lines = Path(EXPORT).read_text().splitlines(keepends=True)
    reordered = tmp_path / "reordered.csv"
    reordered.write_text("".join([lines[0], *reversed(lines[1:])]))
    before = shared.rows("select * from history.performance_versions order by platform_id")
    shared.run_cli("import", "csv", str(reordered), *command[3:], check=True)
    assert shared.rows("select * from history.performance_versions order by platform_id") == before

    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    done = shared.run_cli("import", "history", "--ads", str(path), "--create-tenants")
    assert done.returncode == 3, "some rows were refused, the others loaded"
    assert "new tenants: Newcomer" in done.stdout
    assert "line 4 spend is -1, below zero" in done.stderr
    assert shared.rows("select sum(spend) from history.performance_versions where account_id = 'm1'") == [
        (22,)
    ]
    assert shared.run_cli("import", "history", "--ads", str(path), "--create-tenants").returncode == 0

    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-03-01,USD,1.0854\n")
    assert "1 rows read" in shared.run_cli("import", "rates", str(rates), check=True).stdout
    assert shared.rows("select rate from history.currency_rates") == [(Decimal("1.0854"),)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((EXPORT, "--tenant", "Nobody", "--platform", "meta"), 1, "Acme"),
        ((EXPORT, "--tenant", "Acme", "--platform", "myspace"), 1, "no platform 'myspace'"),
        ((EXPORT, "--tenant", "Acme", "--platform", "meta"), 1, "no column for the day"),
        (
            (EXPORT, "--tenant", "Acme", "--platform", "meta", "--map", "Spent=money"),
            1,
            "unknown field 'money'",
        ),
        ((EXPORT, "--tenant", "Acme", "--platform", "meta", "--day", "tomorrow"), 1, "--day is 'tomorrow'"),
        ((EXPORT, "--tenant", "Acme", "--platform", "meta", "--decimal", "dot"), 1, "--decimal is 'dot'"),
        (("missing.csv", "--tenant", "Acme", "--platform", "meta"), 1, "There is no file missing.csv"),
        ((EXPORT, "--platform", "meta"), 2, "--tenant"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    shared_once: Any, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = shared_once.run_cli("import", "csv", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_when_all_rows_are_refused_the_command_fails(shared_once: Any, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("ad_id,day,spend\n" + "".join(f"a{n},2026-03-01,-{n + 1}\n" for n in range(12)))
    done = shared_once.run_cli("import", "csv", str(path), "--tenant", "Acme", "--platform", "meta")
    assert done.returncode == 1
    assert "all 12 rows were refused" in done.stderr
    assert "line 2 spend is -1, below zero" in done.stderr
    assert "and 2 more" in done.stderr


@pytest.fixture(scope="module")
def shared_once(new_warehouse: Callable[..., Any]) -> Any:
    one = new_warehouse()
    one.add_tenant("Acme")
    return one
