"""great-expectations' pages, made to be read without a network: its own fetch styles and scripts from six hosts and
list nothing where these don't answer. Scripts, foreign addresses and the advertising go; a start page and a style come.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_OUT = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*https?://[^>]*>|<footer>.*?</footer>"
    r"|url\('https?://[^)]*\)"
    r"|<a\b[^>]*>\s*<img\b[^>]*alt=\"Great Expectations\"[^>]*>\s*</a>",
    re.DOTALL | re.IGNORECASE,
)
_STYLE = """<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2733; background: #fff; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: .4rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem; border-bottom: 1px solid #dde3e8; }
pre, code { white-space: pre-wrap; font-size: 12px; color: #52606d; }
h1 { font-size: 1.5rem; }
a { color: #0b5cad; }
i { font-style: normal; font-weight: bold; }
.fa-check-circle::before { content: "\\2713"; color: #1a7f37; }
.fa-times::before, .fa-exclamation-triangle::before { content: "\\2717"; color: #b42318; }
.failed { color: #b42318; }
.fine { color: #1a7f37; }
input[type=radio], label, .collapse, [data-toggle=collapse] { display: none; }
@media (prefers-color-scheme: dark) {
  body { color: #e4e9ee; background: #14191f; }
  th, td { border-color: #36414d; }
  a { color: #7db8f5; }
  pre, code { color: #a5b1bd; }
}
</style></head>"""


@dataclass(frozen=True)
class Page:
    """One run of checks: what it looked at, and how many of its checks found something."""

    name: str
    checks: int
    failed: int


def make_local(folder: Path, pages: Sequence[Page], taken_at: str) -> None:
    """Rewrite the pages in `folder`, and its index as a plain list of `pages`."""
    for path in folder.rglob("*.html"):
        path.write_text(_OUT.sub("", path.read_text()).replace("</head>", _STYLE, 1))
    rows = []
    for page in pages:
        found = next(
            iter(sorted(folder.glob(f"validations/{page.name.replace('.', '/')}/**/*{page.name}.html"))), None
        )
        name = escape(page.name)
        if found is not None:
            name = f'<a href="{escape(found.relative_to(folder).as_posix())}">{name}</a>'
        kind, state = ("failed", f"{page.failed} found something") if page.failed else ("fine", "fine")
        rows.append(f'<tr><td>{name}</td><td>{page.checks}</td><td class="{kind}">{state}</td></tr>')
    (folder / "index.html").write_text(
        f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Aegis: checks of what arrived</title>
{_STYLE}<body><h1>Checks of what arrived</h1>
<p>Made {escape(taken_at)}, of every account-day that waited to be judged. What each leads to stands in
<code>ops.coverage</code> (state, reason); this page shows every tenant and is for the operator only.</p>
<table><tr><th>Raw table</th><th>Checks</th><th>Result</th></tr>{"".join(rows)}</table></body></html>
"""
    )
