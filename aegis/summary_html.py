"""The morning summary as one HTML file: no script, no font, no image from elsewhere; it reads the same offline.

Charts are SVG paths whose points are computed here, so that the template only places them. Every chart has its
figures in words beside it, and every name is escaped by the template engine.
"""

from __future__ import annotations

import math
import os
import shlex
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aegis import summary_words as words
from aegis.summary import PERIOD_DAYS, Figures, Note, Summary, TenantSummary

SHOWN = 8
WIDTH, HEIGHT = 560.0, 170.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 6.0, 10.0, 20.0
NOTE_WORDS = {
    "stale": "Stale", "missing": "Missing", "withheld": "Withheld", "provisional": "Provisional",
    "refused": "Refused", "no_rate": "No rate", "odd": "Odd",
}  # fmt: skip


def write_summary(summary: Summary, path: Path) -> Path:
    """Write the page; a reader never sees half of it. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".summary-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(render(summary))
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path


def render(summary: Summary) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        change=words.change, ratio=words.ratio, share=words.share, day=words.day_text, short_day=words.short_day,
        platform=words.platform_name,
        estimate=lambda amount, currency: words.money(amount, currency, estimate=True),
        glued=lambda text: text.replace(" %", "\u00a0%"),
    )  # fmt: skip
    environment.globals.update(
        money=words.money, bounds=words.bounds, plural=words.plural, tone=_tone, arrow=_arrow, shown=SHOWN,
        span=_span, grouped=_grouped, quoted=shlex.quote, nothing_wrong=words.nothing_wrong, ended=words.ended,
        nothing_to_change=words.nothing_to_change,
    )  # fmt: skip
    page = environment.get_template("summary.html.j2")
    views = [
        {"t": tenant, "anchor": f"tenant-{number}", **_charts(tenant)}
        for number, tenant in enumerate(summary.tenants, 1)
    ]
    return page.render(summary=summary, views=views)


# -- charts -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Chart:
    """Everything the template draws: paths in the view box WIDTH x HEIGHT."""

    label: str
    ticks: list[Tick]
    days: list[Tick]
    bars: list[Bar]
    line: str
    outlook: str
    newest: tuple[float, float] | None
    shade: tuple[float, float] | None
    width: float = WIDTH
    height: float = HEIGHT


def _charts(tenant: TenantSummary) -> dict[str, Any]:
    if not tenant.days:
        return {"spend": None, "roas": None}
    return {"spend": _spend_chart(tenant), "roas": _roas_chart(tenant)}


def _spend_chart(tenant: TenantSummary) -> Chart:
    """Daily spend as bars; the newest week stands out against the week before."""
    values = [float(day.spend or 0) for day in tenant.days]
    top, ticks = _scale(max(values, default=0.0))
    step = (WIDTH - LEFT - RIGHT) / len(values)
    bars = []
    for number, (day, value) in enumerate(zip(tenant.days, values, strict=True)):
        ago = len(values) - 1 - number
        height = value / top * (HEIGHT - TOP - BOTTOM)
        kind = "now" if ago < PERIOD_DAYS else "before" if ago < 2 * PERIOD_DAYS else "past"
        bars.append(Bar(
            round(LEFT + number * step + step * 0.12, 2), round(HEIGHT - BOTTOM - height, 2), round(step * 0.76, 2),
            round(height, 2), kind, f"{words.day_text(day.last)}: {words.money(day.spend, tenant.currency)}",
        ))  # fmt: skip
    weekly = words.money(tenant.total.current.spend if tenant.total else None, tenant.currency)
    highest = words.money(_decimal(max(values)), tenant.currency, estimate=True)
    return Chart(
        f"Daily spend over {len(values)} days, highest {highest}; newest week {weekly}.",
        [Tick(_height(tick, top), _compact(tick)) for tick in ticks], _day_ticks(tenant.days), bars, "", "", None, None,
    )  # fmt: skip


def _roas_chart(tenant: TenantSummary) -> Chart:
    """ROAS of the seven days up to each day; dotted where late conversions are still to come."""
    reported = [_float(each.roas) for each in tenant.trailing]
    expected = [_float(each.roas_expected) for each in tenant.trailing]
    top, ticks = _scale(max([v for v in (*reported, *expected) if v is not None], default=0.0))
    step = (WIDTH - LEFT - RIGHT) / len(reported)
    xs = [LEFT + (number + 0.5) * step for number in range(len(reported))]
    growing = [number for number, each in enumerate(tenant.trailing) if each.is_growing]
    start = growing[0] if growing else None
    newest = None
    if reported[-1] is not None:
        newest = (round(xs[-1], 2), _height(reported[-1], top))
    current = tenant.trailing[-1]
    label = f"ROAS of the seven days up to each day; newest {words.ratio(current.roas)}"
    if current.is_growing:
        label += f", about {words.ratio(current.roas_expected)} expected once late conversions are in"
    return Chart(
        f"{label}.",
        [Tick(_height(tick, top), _compact(tick)) for tick in ticks],
        _day_ticks(tenant.days),
        [],
        _path(xs, reported, top),
        _path(xs[max(start - 1, 0) :], expected[max(start - 1, 0) :], top) if start is not None else "",
        newest,
        (round(xs[start] - step / 2, 2), round(WIDTH - RIGHT - xs[start] + step / 2, 2))
        if start is not None
        else None,
    )


def _path(xs: list[float], values: list[float | None], top: float) -> str:
    """An SVG path; a gap in the values is a gap in the line."""
    parts: list[str] = []
    pen = "M"
    for x, value in zip(xs, values, strict=True):
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {_height(value, top):.1f}")
        pen = "L"
    return "".join(parts)


def _height(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 2)


def _scale(highest: float) -> tuple[float, list[float]]:
    """A round top of the axis and a few ticks, always from zero: lengths must mean amounts."""
    if highest <= 0:
        return 1.0, [0.0]
    magnitude = 10.0 ** math.floor(math.log10(highest))
    step = next(s * magnitude for s in (0.25, 0.5, 1.0, 2.0, 2.5, 5.0) if highest / (s * magnitude) <= 4)
    top = max(highest, step) * 1.04
    return top, [step * number for number in range(int(top / step) + 1)]


def _day_ticks(days: list[Figures]) -> list[Tick]:
    """A date every two weeks, counted back from the newest day."""
    step = (WIDTH - LEFT - RIGHT) / len(days)
    last = len(days) - 1
    return [
        Tick(round(LEFT + (number + 0.5) * step, 2), words.short_day(days[number].last))
        for number in range(last, -1, -14)
        if number == last or number >= 2
    ]


def _compact(value: float) -> str:
    for size, letter in ((1e9, "b"), (1e6, "m"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


# -- small words for the template ---------------------------------------------------------------------------


def _span(figures: Figures) -> str:
    first, last = figures.first, figures.last
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{words.short_day(last)}"
    return f"{words.short_day(first)} – {words.short_day(last)}"


def _tone(value: Decimal | None) -> str:
    """Only a change that matters gets a colour."""
    if value is None or abs(value) < Decimal("0.05"):
        return "even"
    return "good" if value > 0 else "bad"


def _arrow(value: Decimal | None) -> str:
    if value is None or round(value * 100) == 0:
        return ""
    return "▲" if value > 0 else "▼"


def _grouped(notes: list[Note]) -> list[tuple[str, list[Note]]]:
    kinds = list(dict.fromkeys(note.kind for note in notes))
    return [(NOTE_WORDS.get(kind, kind), [note for note in notes if note.kind == kind]) for kind in kinds]


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _decimal(value: float) -> Decimal:
    return Decimal(str(round(value, 2)))
