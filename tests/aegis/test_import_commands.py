"""`aegis import …` as a person runs it: what it says, how it ends, and what history then holds."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, timedelta
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


def test_the_first_import_deploys_and_a_replay_names_tenants_as_their_files_do(
    new_warehouse: Callable[..., Any], tmp_path: Path
) -> None:
    empty = new_warehouse(deployed=False)
    head = "tenant_id,platform,account_id,currency,campaign_id,adset_id,ad_id,day,spend,impressions,clicks,conversions,conversion_value\n"
    days = [date(2026, 1, 1) + timedelta(n) for n in range(70)]
    rows = [
        f"shop-7,meta,act1,USD,c1,s1,a1,{day},{400 if n >= 66 else 100 + n % 7},{40000 if n >= 66 else 10000},{800 if n >= 66 else 200},{40 if n >= 66 else 10},{1200 if n >= 66 else 300}\n"
        for n, day in enumerate(days)
    ]
    (tmp_path / "ads.csv").write_text(head + "".join(rows))
    done = empty.run_cli(
        "import", "history", "--ads", str(tmp_path / "ads.csv"), "--create-tenants", check=True
    )
    assert "deploying the schema first" in done.stderr
    empty.run_cli(
        "backtest",
        "--from",
        str(days[-3]),
        "--to",
        str(days[-1]),
        "--export",
        str(tmp_path / "out"),
        check=True,
    )
    [first, *_] = list(csv.DictReader((tmp_path / "out" / "anomalies.csv").read_text().splitlines()))
    assert (first["tenant_id"], first["entity_id"], first["type"]) == ("shop-7", "c1", "spend_spike")
    # the name is a person's to change; the files' word stays
    empty.rows("update tenancy.tenants set name = 'Shop Seven' where external_id = 'shop-7' returning 1")
    again = empty.run_cli("import", "history", "--ads", str(tmp_path / "ads.csv"), check=True)
    assert "new tenants" not in again.stdout
