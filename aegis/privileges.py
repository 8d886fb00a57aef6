"""docs/privileges.md: what each role may do in each schema, written from sql/checks/expected.json.

`python -m aegis.validate --write-expected` writes both; a test holds expected.json against fresh deployments and this
document against expected.json. What a role has by membership is not repeated: buyers and analysts are readers.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

ROLES = {
    "owner": "Owns what decides who sees what. Its connection runs the commands about tenants and accounts.",
    "loader": "Writes what arrives, append only.",
    "transformer": "Owns and builds the models; row security is forced on it, and its own policy lets it through.",
    "app": "The trusted application: sees the tenant it sets, in that transaction, and nothing without one.",
    "reader": "A person or BI tool, bound to tenants by login. Reads the contract.",
    "buyer": "A reader who also decides and enters figures, column by column.",
    "analyst": "A reader with a schema of its own to build in, and temporary tables.",
    "public": "Everybody else who may connect.",
}
HEAD = """# What each role may do

Written by `python -m aegis.validate --write-expected` from the catalogue of a fresh deployment; never by hand.
Rights on tables say nothing about rows: those are the policies' business, in `sql/functions/tenancy.protect.sql`.
Superusers make the roles, the schemas and the event triggers when a database is deployed, and logins when somebody asks
for one. Nothing else runs as one.
"""


def render(expected: dict[str, Any]) -> str:
    """The document. One section per role, one row per schema in which it owns or may do something."""
    parts = [HEAD]
    for kind, says in ROLES.items():
        role = kind if kind == "public" else f"aegis_{kind}"
        rows = [(schema, *_cells(expected, role, schema)) for schema in sorted(expected["schemas"])]
        rows = [row for row in rows if any(row[1:])]
        parts.append(f"## {role}\n\n{says}\n")
        if not rows:
            parts.append("Nothing but what it has as a reader.\n" if kind == "analyst" else "Nothing.\n")
            continue
        lines = ["| schema | schema itself | tables | functions |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{schema}` | {itself} | {tables} | {functions} |"
            for schema, itself, tables, functions in rows
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _cells(expected: dict[str, Any], role: str, schema: str) -> tuple[str, str, str]:
    entry = expected["schemas"][schema]
    itself = "owns" if entry["owner"] == role else ", ".join(_granted(entry["grants"], role))

    tables = {name: one for name, one in expected["relations"].items() if name.startswith(f"{schema}.")}
    rights: dict[str, list[str]] = defaultdict(list)
    for name, one in tables.items():
        short = name.partition(".")[2]
        if one["owner"] == role:
            rights["owns"].append(short)
        for right in _granted(one["grants"], role):
            privilege, _, columns = right.partition(" (")
            rights[f"{privilege} of some columns" if columns else privilege].append(short)
    shown = [
        f"{right}: {'all' if len(names) == len(tables) else ', '.join(f'`{one}`' for one in sorted(names))}"
        for right, names in sorted(
            rights.items(), key=lambda item: (item[0] != "owns", item[0] != "select", item[0])
        )
    ]

    functions: dict[str, list[str]] = defaultdict(list)
    for signature, one in expected["functions"].items():
        if signature.startswith(f"{schema}."):
            short = signature.partition(".")[2].partition("(")[0]
            if one["owner"] == role:
                functions["owns"].append(short)
            if role in one["executable_by"]:
                functions["calls"].append(short)
    called = [
        f"{right}: {', '.join(f'`{one}`' for one in sorted(set(names)))}"
        for right, names in sorted(functions.items(), reverse=True)
    ]
    return itself, "; ".join(shown), "; ".join(called)


def _granted(grants: list[str], role: str) -> list[str]:
    return [one.removeprefix(f"{role}: ") for one in grants if one.startswith(f"{role}: ")]


def document(root: Path) -> Path:
    return root / "docs" / "privileges.md"
