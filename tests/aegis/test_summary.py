"""The morning summary: its figures, its order, its empty states, and the two ways it is shown."""

from __future__ import annotations

import io
import re
from datetime import date, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from morning_data import AS_OF, SCRIPT, advice, fill, incident
from rich.console import Console

from aegis import summary_words as words
from aegis.summary import Summary, TenantSummary, read_summary
from aegis.summary_html import render, write_summary
from aegis.summary_terminal import print_summary

VOID = {"meta", "br", "link", "hr", "img", "input"}


@pytest.fixture
def tenant(warehouse: Any) -> str:
    tenant_id: str = warehouse.add_tenant("Northwind", currency="CAD", timezone="America/Toronto")
    fill(warehouse, tenant_id)
    return tenant_id


def read(warehouse: Any) -> TenantSummary:
    return read_summary(warehouse.database).tenants[0]


def as_text(summary: Summary, width: int = 100) -> str:
    stream = io.StringIO()
    print_summary(summary, Console(file=stream, width=width, markup=False, highlight=False))
    return stream.getvalue()


# -- figures ------------------------------------------------------------------------------------------------


def test_spend_and_roas_against_the_week_before(warehouse: Any, tenant: str) -> None:
    one = read(warehouse)

    assert one.as_of == AS_OF and one.total is not None
    current, previous = one.total.current, one.total.previous
    assert (current.first, current.last, current.days) == (date(2026, 3, 13), AS_OF, 7)
    assert (previous.first, previous.last) == (date(2026, 3, 6), date(2026, 3, 12))
    # A day: Meta 100 + 10 USD * 1.5, TikTok 50; values 400, 30 and 75 (150 before).
    assert current.spend == 7 * 165 and current.value == 7 * 505
    assert current.roas == Decimal(505) / 165
    assert one.total.change_spend == 0


def test_roas_of_young_days_is_compared_at_full_maturity(warehouse: Any, tenant: str) -> None:
    platforms = dict(read(warehouse).platforms)

    tiktok = platforms["tiktok"]
    assert tiktok.current.roas == Decimal("1.5") and tiktok.current.roas_expected == Decimal("1.875")
    assert tiktok.current.is_growing and not platforms["meta"].current.is_growing
    assert tiktok.change_roas == Decimal("1.875") / 3 - 1
    assert list(platforms) == ["meta", "tiktok"], "the largest spend comes first"


def test_the_curves_reach_back_eight_weeks(warehouse: Any, tenant: str) -> None:
    one = read(warehouse)

    assert len(one.days) == len(one.trailing) == 56
    assert one.days[-1].last == AS_OF and one.days[0].last == AS_OF - timedelta(days=55)
    assert one.trailing[0].spend == 7 * 165, "the first point of the curve has its whole week too"


def test_an_amount_without_a_rate_is_left_out_and_said(warehouse: Any, tenant: str) -> None:
    with warehouse.connect("transformer") as connection:
        connection.execute(
            """
            update ads.metrics_daily set fx_rate = null, spend_reporting = null, conversion_value_reporting = null
            where currency = 'USD' and day > %s
            """,
            (AS_OF - timedelta(days=2),),
        )
    one = read(warehouse)

    assert one.total is not None and one.total.current.spend == 5 * 165 + 2 * 150
    assert [note.text for note in one.notes if note.kind == "no_rate"] == [
        "No exchange rate from USD to CAD for 18–19 Mar: those amounts are left out of the sums. Load rates with "
        "`aegis import rates FILE`."
    ]


# -- lists --------------------------------------------------------------------------------------------------


def test_incidents_come_by_money_in_one_currency(warehouse: Any, tenant: str) -> None:
    incident(warehouse, tenant, "small", loss_per_day=25)
    incident(warehouse, tenant, "in dollars", platform="meta", platform_id="12", account_id="1002", loss_per_day=20,
             currency="USD")  # fmt: skip
    incident(
        warehouse, tenant, "no money", platform="meta", platform_id="11", account_id="1001", loss_per_day=None
    )

    one = read(warehouse)
    assert [(each.where, each.loss_per_day, each.currency) for each in one.incidents] == [
        ("US | Prospecting | Tents", Decimal(30), "CAD"), ("CA | Broad | Shoes", Decimal(25), "CAD"),
        (SCRIPT, None, "CAD"),
    ]  # fmt: skip


def test_an_incident_that_ended_in_the_last_week_is_told_in_a_line(warehouse: Any, tenant: str) -> None:
    week_ago = AS_OF - timedelta(days=7)
    over = incident(warehouse, tenant, "over", status="resolved", last_day=AS_OF - timedelta(days=1))
    incident(warehouse, tenant, "long over", status="resolved", metric="cpc", day=week_ago, last_day=week_ago)

    one = read(warehouse)
    assert one.incidents == []
    assert [each.incident_id for each in one.ended] == [over]
    line = "Over again: CA | Broad | Shoes (TikTok)"
    assert line in as_text(read_summary(warehouse.database)) and line in render(
        read_summary(warehouse.database)
    )


def test_folded_explained_and_acknowledged_incidents_are_counted_not_listed(
    warehouse: Any, tenant: str
) -> None:
    parent = incident(warehouse, tenant, "parent")
    incident(warehouse, tenant, "child", platform_id="22", parent_id=parent)
    incident(warehouse, tenant, "explained", platform_id="23", explained_by="change_log")
    incident(warehouse, tenant, "acknowledged", platform_id="24", status="acknowledged")
    incident(warehouse, tenant, "over", platform_id="25", status="resolved")

    one = read(warehouse)
    assert [each.incident_id for each in one.incidents] == [parent]
    assert (one.incidents[0].folded, one.explained, one.acknowledged) == (1, 1, 1)


def test_advice_comes_by_money_and_waits_while_snoozed_or_approved(warehouse: Any, tenant: str) -> None:
    advice(warehouse, tenant, "raise")
    advice(warehouse, tenant, "pause", platform_id="11", account_id="1001", recommendation_type="pause", currency="CAD",
           estimated_impact=299)  # fmt: skip
    advice(warehouse, tenant, "snoozed", platform_id="13", snoozed_until="2099-01-01")
    advice(warehouse, tenant, "over", platform_id="14", snoozed_until="2001-01-01", estimated_impact=1)
    advice(warehouse, tenant, "approved", platform_id="15", status="approved")
    advice(warehouse, tenant, "rejected", platform_id="16", status="rejected")

    one = read(warehouse)
    assert [(each.impact, each.currency) for each in one.advice] == [
        (Decimal(300), "CAD"), (Decimal(299), "CAD"), (Decimal("1.5"), "CAD")
    ]  # fmt: skip
    assert one.advice[0].where == "US | Prospecting | Tents"
    assert (one.snoozed, one.approved) == (1, 1)


def test_an_ad_set_is_named_with_its_campaign(warehouse: Any, tenant: str) -> None:
    advice(warehouse, tenant, "set", level="adset", platform_id="111", account_id="1001")
    advice(
        warehouse, tenant, "unnamed", level="adset", platform_id="999", account_id="1001", estimated_impact=1
    )

    assert [each.where for each in read(warehouse).advice] == [f"{SCRIPT} › Visitors 30d", "ad set 999"]


# -- the state of the data ----------------------------------------------------------------------------------


def test_what_is_stale_missing_or_provisional_is_said(warehouse: Any, tenant: str) -> None:
    with warehouse.connect("transformer") as connection:
        connection.execute(
            "delete from ads.data_status where account_id = '1002' and day > %s", (AS_OF - timedelta(days=2),)
        )
        connection.execute(
            "update ads.data_status set state = 'missing', reason = 'the report broke off' "
            "where account_id = '2001' and day in (%s, %s)",
            (AS_OF - timedelta(days=4), AS_OF - timedelta(days=3)),
        )
        connection.execute(
            "update ads.data_status set state = 'withheld', "
            "reason = format('of the platform''s own %%s spend the ads add up to 9', extract(day from day)) "
            "where account_id = '1001' and day between %s and %s",
            (AS_OF - timedelta(days=3), AS_OF - timedelta(days=1)),
        )
        connection.execute(
            "update ads.data_status set state = 'provisional' where account_id = '1001' and day = %s",
            (AS_OF,),
        )
    with warehouse.connect("owner") as connection:
        connection.execute(
            """
            insert into ops.quarantine (load_id, tenant_id, source_name, line, reason, payload)
            values ('l', %s, 'f.csv', 3, 'spend is below zero', '{}')
            """,
            (tenant,),
        )
        connection.execute(
            """
            insert into ops.findings (tenant_id, platform, account_id, day, check_name, message)
            values (%s, 'meta', '1001', %s, 'overlapping_sources', 'Two sources tell of one day')
            """,
            (tenant, AS_OF),
        )

    notes = [(note.kind, note.text) for note in read(warehouse).notes]
    assert notes[0][0] == "stale" and "before yesterday" in notes[0][1]
    assert notes[1:] == [
        ("stale", "Meta, Northwind US: figures end on 17 Mar, 2 days before."),
        ("missing", "TikTok, Northwind TikTok: no figures arrived for 15–16 Mar: the report broke off."),
        (
            "withheld",
            "Meta, Northwind CA: figures are withheld for 16–18 Mar: on 18 Mar, "
            "of the platform's own 18 spend the ads add up to 9.",
        ),
        ("provisional", "Meta, Northwind CA: figures may still change for 19 Mar."),
        ("refused", "1 row of files could not be used this week; most often: spend is below zero."),
        ("odd", "Two sources tell of one day."),
    ]


def test_a_failed_run_is_said_at_the_top(warehouse: Any, tenant: str) -> None:
    with warehouse.connect("owner") as connection:
        connection.execute(
            "insert into ops.daily_runs (tenant_id, as_of, status, error) values (%s, %s, 'failed', 'model x')",
            (tenant, AS_OF),
        )
    summary = read_summary(warehouse.database)

    assert "did not finish (model x)" in summary.tenants[0].failed_run
    assert "did not finish (model x)" in as_text(summary)
    assert 'role="alert"' in render(summary)
    assert (
        "usual range" not in as_text(summary)
        and "Not judged" in as_text(summary)
        and "Not judged" in render(summary)
    )


def test_one_tenants_rows_never_enter_anothers_summary(warehouse: Any, tenant: str) -> None:
    other = warehouse.add_tenant("Other", currency="CAD")
    fill(warehouse, other, days=7)
    incident(warehouse, other, "theirs")

    found = {one.name: one for one in read_summary(warehouse.database).tenants}
    assert found["Northwind"].incidents == [] and len(found["Other"].incidents) == 1
    assert found["Other"].total is not None and found["Other"].total.previous.days == 0
    assert found["Other"].total.change_spend is None


def test_only_the_tenants_asked_for(warehouse: Any, tenant: str) -> None:
    warehouse.add_tenant("Other")
    assert [one.name for one in read_summary(warehouse.database, [tenant]).tenants] == ["Northwind"]
    assert read_summary(warehouse.database, []).tenants == []


# -- how it is shown ----------------------------------------------------------------------------------------


GOLDEN = """
Northwind  as of Thu 19 Mar 2026 ───────────────────────────────────────────────────────────────────
13–19 Mar against the 7 days before        Spend        ROAS
All platforms                        CA$1,155.00  ±0 %  3.06   -7 %
Meta                                   CA$805.00  ±0 %  3.74   ±0 %
TikTok                                 CA$350.00  ±0 %  1.50  -38 %
About 94 % of the conversions are known so far; ROAS should reach about 3.26. Changes are compared
at full maturity.

What is wrong (1)  by money at stake a day
     CA$25  CA | Broad | Shoes  TikTok, medium, since 17 Mar, id {incident}
            Cost per conversion CA$60.00 against CA$40.00 expected (+50 %). Clicks convert less
            often at the same price: look at landing page, offer and audience.

What to change (1)  by expected gain in 30 days
    CA$300  US | Prospecting | Tents  Meta, high, id {advice}
            Raise the daily budget from $10 to $12. It beats its target and spends its budget.

About the data
""".strip()


def test_the_terminal_shows_it_like_this(warehouse: Any, tenant: str) -> None:
    ids = {"incident": incident(warehouse, tenant, "one")[:8], "advice": advice(warehouse, tenant, "one")[:8]}

    shown = [line.rstrip() for line in as_text(read_summary(warehouse.database)).strip().splitlines()]

    wanted = GOLDEN.format(**ids).splitlines()
    assert shown[: len(wanted)] == wanted


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(warehouse: Any, tenant: str, width: int) -> None:
    for number in range(9):
        incident(warehouse, tenant, f"i{number}", platform_id=f"9{number}", loss_per_day=10**number)
        advice(warehouse, tenant, f"a{number}", platform_id=f"9{number}")

    shown = as_text(read_summary(warehouse.database), width)

    assert max(len(line) for line in shown.splitlines()) <= width
    assert "… and 4 more (aegis anomalies list --tenant Northwind)" in shown
    assert "… and 4 more (aegis recommendations list --tenant Northwind)" in shown


def test_empty_states_are_words(warehouse: Any, tenant: str) -> None:
    warehouse.add_tenant("Aaa without figures")
    summary = read_summary(warehouse.database)

    assert [one.name for one in summary.tenants] == ["Northwind", "Aaa without figures"]
    shown, page = as_text(summary), render(summary)
    for text in (
        "No figures yet",
        "Nothing: every figure is within its usual range",
        "Nothing: no change is worth more",
    ):
        assert text in shown and text in page
    nobody = Summary(summary.generated_at, [])
    assert "There are no tenants yet" in as_text(nobody)
    assert "There are no tenants yet" in render(nobody)


class Page(HTMLParser):
    """Checks nesting and collects what could leave the page or run in it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts = 0
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script" or any(name.startswith("on") for name, _ in attrs)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}:
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_one_well_formed_file_of_its_own(warehouse: Any, tenant: str, tmp_path: Path) -> None:
    incident(warehouse, tenant, "script", platform="meta", platform_id="11", account_id="1001")
    advice(warehouse, tenant, "quote", description='Set "x" to <b>12</b>', rationale="Because a < b & c > d.")

    path = write_summary(read_summary(warehouse.database), tmp_path / "deep" / "summary.html")
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()

    assert page.open == [] and page.scripts == 0
    assert all(address.startswith("#") for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text), "nothing may be fetched from elsewhere"
    assert "<script" not in text and "<b>12" not in text
    shown = "".join(page.text)
    assert SCRIPT in shown and 'Set "x" to <b>12</b>' in shown and "Because a < b & c > d." in shown
    assert [one.name for one in path.parent.iterdir()] == ["summary.html"], "no draft is left behind"
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
        assert 'role="img"' in drawing and "aria-label=" in drawing


def test_the_page_shows_the_same_figures(warehouse: Any, tenant: str) -> None:
    text = render(read_summary(warehouse.database)).replace("\u00a0", " ")

    assert "CA$1,155.00" in text and ">3.06<" in text and "about 3.26 once late conversions are in" in text
    assert text.count('class="now"') == 7 and text.count('class="before"') == 7


def test_a_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aegis import summary_html

    path = tmp_path / "summary.html"
    path.write_text("old")
    monkeypatch.setattr(summary_html, "render", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))

    with pytest.raises(OSError, match="No space"):
        write_summary(Summary(None, []), path)  # type: ignore[arg-type]
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_the_command_prints_and_writes(warehouse: Any, tenant: str, tmp_path: Path) -> None:
    done = warehouse.run_cli("summary", "--tenant", "northwind", check=True)
    assert "Northwind  as of Thu 19 Mar 2026" in done.stdout

    page = tmp_path / "page.html"
    done = warehouse.run_cli("summary", "--html", str(page), check=True)
    assert str(page) in done.stdout and "Northwind" in page.read_text(encoding="utf-8")

    done = warehouse.run_cli("summary", "--tenant", "nobody")
    assert done.returncode == 1 and "Northwind" in done.stderr and "Traceback" not in done.stderr


# -- words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "estimate", "text"),
    [
        ("1234.5", "EUR", False, "€1,234.50"), ("1234.5", "EUR", True, "€1,234"), ("9.994", "USD", True, "$9.99"),
        ("0", "CHF", False, "0.00 CHF"), ("1234.5", "JPY", False, "¥1,234"), ("-3", "CAD", False, "-CA$3.00"),
        ("-0.001", "EUR", False, "€0.00"), (None, "EUR", False, "–"), ("12", None, False, "12.00"),
    ],
)  # fmt: skip
def test_money(amount: str | None, currency: str | None, estimate: bool, text: str) -> None:
    assert words.money(None if amount is None else Decimal(amount), currency, estimate) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.126", "+13 %"), ("-0.5", "-50 %"), ("0.001", "±0 %"), ("12", "+1,200 %"), (None, "–")],
)
def test_change(value: str | None, text: str) -> None:
    assert words.change(None if value is None else Decimal(value)) == text


def test_days_are_told_as_spans() -> None:
    d = date
    assert words.span([d(2026, 3, 2), d(2026, 3, 1), d(2026, 3, 5)]) == "1–2 Mar, 5 Mar"
    assert words.span([d(2026, 2, 28), d(2026, 3, 1)]) == "28 Feb – 1 Mar"
    assert words.span([d(2026, 3, n) for n in (1, 3, 5, 7, 9)]) == "1 Mar, 3 Mar, 5 Mar and 2 more"


KINDS = [
    ("spend_spike", "spend"), ("spend_drop", "spend"), ("cost_spike", "cpa"), ("cost_spike", "cpc"),
    ("cost_spike", "cpm"), ("ctr_drop", "ctr"), ("roas_drop", "roas"), ("conversion_drop", "conversions"),
]  # fmt: skip


def test_every_type_of_incident_has_a_cause_of_its_own() -> None:
    row = {"level": "campaign", "is_tracking_outage": False, "observed": Decimal(1)}
    causes = [words.incident_cause({**row, "anomaly_type": kind, "metric": metric}) for kind, metric in KINDS]
    causes.append(
        words.incident_cause(
            {**row, "anomaly_type": "conversion_drop", "metric": "x", "is_tracking_outage": True}
        )
    )
    causes.append(
        words.incident_cause({**row, "anomaly_type": "spend_drop", "metric": "spend", "observed": 0})
    )
    causes.append(
        words.incident_cause({**row, "anomaly_type": "spend_drop", "metric": "spend", "level": "tenant"})
    )
    assert len(set(causes)) == len(causes) and all(cause.endswith(".") for cause in causes)
