"""Prove that a deployed database is as this checkout means it to be.

Three sources say what is right:
    sql/checks/expected.json   the catalogue of a fresh deployment: schemas, tables, columns, constraints, indexes,
                               policies, grants, triggers, functions, the default configurations
    sql/checks/*.sql           one query per safety rule; a row is a finding
    public.deployment_log      which migrations ran, and a fingerprint of every function as it was deployed

What is expected must be there, exactly. More than that is allowed where it is harmless (a further index, a further
protected table), and not where it opens something: grants, policies, columns of the contract, open functions.
Tables that dbt replaces (DERIVED) are compared without defaults, constraint names and not-null flags.

expected.json is written from a fresh deployment, never by hand:
    python -m aegis.validate --write-expected
A test compares it with fresh deployments on PostgreSQL 16 and 18.

Reads only. Needs an administrator's connection (or the owner's).
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis.deploy import SCHEMA_OWNERS, SqlTree, fingerprints, with_prefix
from aegis.settings import DEFAULT_PREFIX, GROUP_ROLES
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

    from aegis.database import Database

EVERYBODY = "00000000-0000-0000-0000-000000000000"
SCHEMAS = (*SCHEMA_OWNERS, "public")
# dbt replaces these by tables of its own under the contract in its YAML.
DERIVED = frozenset(
    f"ads.{name}"
    for name in (
        "entities",
        "data_status",
        "baselines",
        "performance_benchmarks",
        "benchmark_comparison",
        "campaign_performance",
        "conversions_daily",
        "shop_daily",
        "attribution_daily",
    )
)
PHASES = (
    "deployment",
    "schemas",
    "owners",
    "tables",
    "columns",
    "constraints",
    "indexes",
    "policies",
    "grants",
    "triggers",
    "functions",
    "seed rows",
    "safety checks",
)
DEPLOY = "Run `aegis deploy`."


# -- the report ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be, and what to do about it."""

    subject: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass
class Phase:
    name: str
    checked: int = 0
    problems: list[Problem] = field(default_factory=list)
    note: str = ""

    def expect(self, is_so: object, subject: str, text: str, remedy: str = DEPLOY) -> bool:
        """Count one check; record a problem unless it holds."""
        self.checked += 1
        if not is_so:
            self.problems.append(Problem(subject, text, remedy))
        return bool(is_so)


@dataclass
class ValidationReport:
    where: str
    phases: dict[str, Phase] = field(default_factory=lambda: {name: Phase(name) for name in PHASES})
    seconds: float = 0.0

    @property
    def problems(self) -> list[Problem]:
        return [problem for phase in self.phases.values() for problem in phase.problems]

    @property
    def passed(self) -> bool:
        return not self.problems


# -- the catalogue ------------------------------------------------------------------------------------------

# Grants to the owner itself are implied and left out; PUBLIC is "public".
_QUERIES = {
    "schemas": """
        select n.nspname as schema, pg_get_userbyid(n.nspowner) as owner, g.grantee,
            lower(g.privilege_type) as privilege
        from pg_namespace as n
        left join lateral (
            select coalesce(r.rolname, 'public') as grantee, a.privilege_type
            from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a
            left join pg_roles as r on a.grantee = r.oid
            where a.grantee <> n.nspowner
        ) as g on true
        where n.nspname = any(%(schemas)s)
    """,
    "relations": """
        select c.oid::regclass::text as relation, c.relkind::text as kind, pg_get_userbyid(c.relowner) as owner,
            c.relrowsecurity, c.relforcerowsecurity
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
    """,
    "columns": """
        select c.oid::regclass::text as relation, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
            a.attnotnull as not_null,
            case
                when a.attidentity <> '' then 'identity'
                else pg_get_expr(d.adbin, d.adrelid)
            end as default_value
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
        where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p')
        order by relation, a.attnum
    """,
    "constraints": """
        select k.conrelid::regclass::text as relation, k.conname as name, pg_get_constraintdef(k.oid) as definition
        from pg_constraint as k
        inner join pg_namespace as n on k.connamespace = n.oid
        where n.nspname = any(%(schemas)s) and k.contype in ('c', 'f', 'x') and k.conrelid <> 0 and k.convalidated
    """,
    "indexes": """
        select i.indrelid::regclass::text as relation, pg_get_indexdef(i.indexrelid) as definition
        from pg_index as i
        inner join pg_class as c on i.indrelid = c.oid
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = any(%(schemas)s) and i.indisvalid and c.relkind in ('r', 'p')
    """,
    "policies": """
        select p.polrelid::regclass::text as relation, p.polname as name, p.polcmd::text as command,
            p.polpermissive as permissive,
            array(
                select coalesce(r.rolname, 'public') from unnest(p.polroles) as o left join pg_roles as r on o = r.oid
                order by 1
            ) as roles,
            pg_get_expr(p.polqual, p.polrelid) as using_expression,
            pg_get_expr(p.polwithcheck, p.polrelid) as check_expression
        from pg_policy as p
        inner join pg_class as c on p.polrelid = c.oid
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = any(%(schemas)s)
    """,
    "grants": """
        select c.oid::regclass::text as relation, c.relkind::text as kind, coalesce(r.rolname, 'public') as grantee,
            lower(a.privilege_type) as privilege, null as column_name
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        cross join lateral aclexplode(c.relacl) as a
        left join pg_roles as r on a.grantee = r.oid
        where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.grantee <> c.relowner
        union all
        select c.oid::regclass::text, c.relkind::text, coalesce(r.rolname, 'public'), lower(x.privilege_type), a.attname
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        inner join pg_attribute as a on c.oid = a.attrelid and not a.attisdropped
        cross join lateral aclexplode(a.attacl) as x
        left join pg_roles as r on x.grantee = r.oid
        where n.nspname = any(%(schemas)s) and x.grantee <> c.relowner
    """,
    "triggers": """
        select t.tgrelid::regclass::text as relation, t.tgname as name, pg_get_triggerdef(t.oid) as definition,
            t.tgenabled = 'O' as enabled
        from pg_trigger as t
        inner join pg_class as c on t.tgrelid = c.oid
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = any(%(schemas)s) and not t.tgisinternal
    """,
    "functions": """
        select format('%%s.%%s(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as signature,
            pg_get_function_result(p.oid) as result,
            pg_get_userbyid(p.proowner) as owner,
            case when p.prosecdef then 'definer' else 'invoker' end as security,
            case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
            array_to_string(p.proconfig, '; ') as settings,
            array(
                select coalesce(r.rolname, 'public')
                from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
                left join pg_roles as r on a.grantee = r.oid
                where a.grantee <> p.proowner
                order by 1
            ) as executable_by
        from pg_proc as p
        inner join pg_namespace as n on p.pronamespace = n.oid
        where n.nspname = any(%(schemas)s) and p.prokind in ('f', 'p') and p.prorettype <> 'event_trigger'::regtype
            and n.nspname <> 'public'
    """,
}
_COMMANDS = {"r": "select", "a": "insert", "w": "update", "d": "delete", "*": "all"}
_KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table"}
# In public only our own table is our business.
_OURS_IN_PUBLIC = "deployment_log"


class _Names:
    """Role names of this deployment as the catalogue writes them: aegis_reader, whatever the prefix is."""

    def __init__(self, prefix: str) -> None:
        self.roles = {f"{prefix}{kind}": f"{DEFAULT_PREFIX}{kind}" for kind in GROUP_ROLES}
        self.prefix = prefix
        self.pattern = re.compile(rf"\b{re.escape(prefix)}({'|'.join(GROUP_ROLES)})\b")

    def role(self, name: str) -> str:
        if name in self.roles:
            return self.roles[name]
        # Another deployment's role of that name on the same cluster is a stranger here.
        return f"stranger {name}" if name in self.roles.values() else name

    def text(self, text: str | None) -> str:
        return self.pattern.sub(rf"{DEFAULT_PREFIX}\1", text or "")


def catalogue(connection: psycopg.Connection[Any], prefix: str) -> dict[str, Any]:
    """What the database holds, as plain sorted JSON, the same on every supported version of PostgreSQL."""
    from psycopg.rows import dict_row

    names = _Names(prefix)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("set local search_path = pg_catalog")
        rows = {
            topic: cursor.execute(query.encode(), {"schemas": list(SCHEMAS)}).fetchall()
            for topic, query in _QUERIES.items()
        }

    schemas: dict[str, Any] = {}
    for row in rows["schemas"]:
        entry = schemas.setdefault(row["schema"], {"owner": names.role(row["owner"]), "grants": []})
        if row["privilege"]:
            entry["grants"].append(f"{names.role(row['grantee'])}: {row['privilege']}")
    for entry in schemas.values():
        entry["grants"].sort()

    relations: dict[str, Any] = {}
    for row in rows["relations"]:
        security = "forced" if row["relforcerowsecurity"] else "enabled"
        relations[_full(row["relation"])] = {
            "kind": _KINDS[row["kind"]],
            "owner": names.role(row["owner"]),
            "row_security": security if row["relrowsecurity"] else "off",
            "columns": {},
            "constraints": {},
            "indexes": [],
            "policies": {},
            "grants": [],
            "triggers": {},
        }
    for row in rows["columns"]:
        default = f" default {names.text(row['default_value'])}" if row["default_value"] else ""
        not_null = " not null" if row["not_null"] else ""
        relations[_full(row["relation"])]["columns"][row["name"]] = f"{row['type']}{not_null}{default}"
    for row in rows["constraints"]:
        relations[_full(row["relation"])]["constraints"][row["name"]] = row["definition"]
    for row in rows["indexes"]:
        relations[_full(row["relation"])]["indexes"].append(_index(row["definition"]))
    for row in rows["policies"]:
        permissive = "" if row["permissive"] else "restrictive "
        text = (
            f"{permissive}{_COMMANDS[row['command']]} to {', '.join(names.role(one) for one in row['roles'])}"
        )
        if row["using_expression"] is not None:
            text += f" using ({names.text(row['using_expression'])})"
        if row["check_expression"] is not None:
            text += f" with check ({names.text(row['check_expression'])})"
        relations[_full(row["relation"])]["policies"][row["name"]] = text
    columns: dict[tuple[str, str, str], list[str]] = {}
    for row in rows["grants"]:
        grantee = names.role(row["grantee"])
        if row["column_name"] is None:
            relations[_full(row["relation"])]["grants"].append(f"{grantee}: {row['privilege']}")
        else:
            columns.setdefault((_full(row["relation"]), grantee, row["privilege"]), []).append(
                row["column_name"]
            )
    for (relation, grantee, privilege), granted in columns.items():
        relations[relation]["grants"].append(f"{grantee}: {privilege} ({', '.join(sorted(granted))})")
    for row in rows["triggers"]:
        disabled = "" if row["enabled"] else " (disabled)"
        relations[_full(row["relation"])]["triggers"][row["name"]] = names.text(row["definition"]) + disabled
    for entry in relations.values():
        entry["grants"].sort()
        entry["indexes"].sort()
        for topic in ("constraints", "policies", "triggers"):
            entry[topic] = dict(sorted(entry[topic].items()))

    functions = {
        row["signature"]: {
            "result": row["result"],
            "owner": names.role(row["owner"]),
            "security": row["security"],
            "volatility": row["volatility"],
            "settings": row["settings"] or "",
            "executable_by": [names.role(one) for one in row["executable_by"]],
        }
        for row in rows["functions"]
    }
    return {"schemas": schemas, "relations": relations, "functions": functions}


def _full(relation: str) -> str:
    return relation if "." in relation else f"pg_catalog.{relation}"


def _index(definition: str) -> str:
    """An index without its names: what it is on, how, and for which rows."""
    return re.sub(r"^CREATE (UNIQUE )?INDEX .*? ON (?:ONLY )?\S+ USING ", r"\1", definition).lower()


def expected_of(found: dict[str, Any], configurations: list[dict[str, Any]]) -> dict[str, Any]:
    """The part of a fresh deployment's catalogue that is promised."""
    relations = {}
    for name, entry in sorted(found["relations"].items()):
        if name.startswith("public.") and name != f"public.{_OURS_IN_PUBLIC}":
            continue
        relations[name] = dict(entry)
        if name in DERIVED:
            relations[name]["columns"] = {key: _bare_type(value) for key, value in entry["columns"].items()}
            relations[name]["constraints"] = {}
    return {
        "schemas": dict(sorted(found["schemas"].items())),
        "relations": relations,
        "functions": dict(sorted(found["functions"].items())),
        "configurations": configurations,
    }


def _bare_type(column: str) -> str:
    return re.split(r" not null| default ", column)[0]


def default_configurations(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """The reserved tenant's rows of ads.platform_configs, without times and persons."""
    row = connection.execute(
        """
        select coalesce(
            jsonb_agg(to_jsonb(c) - 'updated_at' - 'updated_by' - 'tenant_id' order by c.platform), '[]'
        )
        from ads.platform_configs as c
        where c.tenant_id = %s
        """,
        (EVERYBODY,),
    ).fetchone()
    return json.loads(json.dumps(row[0] if row else []))


def expected_file(root: Path) -> Path:
    return root / "sql" / "checks" / "expected.json"


# -- validating ---------------------------------------------------------------------------------------------


def validate(database: Database) -> ValidationReport:
    """Compare one database with this checkout. Raises AegisError where there is nothing to compare."""
    begun = time.monotonic()
    root = database.settings.root
    prefix = database.settings.role_prefix
    report = ValidationReport(database.describe())
    with database.connect("admin") as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        row = connection.execute(
            "select to_regclass('public.deployment_log'), to_regnamespace('ads')"
        ).fetchone()
        if row is None or None in row:
            raise AegisError(f"The database {database.describe()} has no Aegis in it yet.", DEPLOY)
        expected = json.loads(expected_file(root).read_text(encoding="utf-8"))
        found = catalogue(connection, prefix)
        _deployment(report, connection, SqlTree.read(root / "sql"))
        _schemas(report, expected, found)
        _relations(report, expected, found)
        _further_tables(report, connection, expected, found, prefix)
        _functions(report, expected, found)
        _seeds(report, connection, expected, root)
        phase = report.phases["safety checks"]
        for rows in run_checks(connection, root / "sql" / "checks", prefix).values():
            phase.checked += 1
            phase.problems += rows
        phase.note = "queries of sql/checks, each without a row"
    report.seconds = time.monotonic() - begun
    return report


def run_checks(connection: psycopg.Connection[Any], folder: Path, prefix: str) -> dict[str, list[Problem]]:
    """Run every query of sql/checks: file name to findings.

    Each query returns (object, problem); what to do stands in the file's header. Administrator or owner.
    """
    findings = {}
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        match = re.search(r"^Do\s+(.*?)(?=^\S|\*/)", text, re.MULTILINE | re.DOTALL)
        remedy = " ".join(match.group(1).split()) if match else f"See sql/checks/{path.name}."
        rows = connection.execute(with_prefix(text, prefix).encode()).fetchall()
        findings[path.stem] = [Problem(str(row[0]), str(row[1]), remedy) for row in rows]
    return findings


def _deployment(report: ValidationReport, connection: psycopg.Connection[Any], tree: SqlTree) -> None:
    phase = report.phases["deployment"]
    ran = dict(
        connection.execute(
            "select name, hash from public.deployment_log where phase = 'migration' and status = 'done'"
        ).fetchall()
    )
    for one in tree.migrations:
        if phase.expect(one.name in ran, f"migration {one.name}", "has not run on this database"):
            phase.expect(
                ran[one.name] == one.hash,
                f"migration {one.name}",
                "was changed after it ran",
                "Restore the file from git, and put the change into a new migration.",
            )
    for name in sorted(set(ran) - {one.name for one in tree.migrations}):
        phase.expect(
            False,
            f"migration {name}",
            "ran on this database, but this checkout does not know it",
            "Update the checkout (git pull).",
        )
    row = connection.execute(
        """
        select hash, details from public.deployment_log
        where phase = 'functions' and status = 'done'
        order by deployment_id desc
        limit 1
        """
    ).fetchone()
    if phase.expect(row, "functions", "were never deployed") and row:
        phase.expect(
            row[0] == tree.functions_hash(),
            "functions",
            "were deployed from other files than this checkout's",
        )
        now = fingerprints(connection)
        for signature, fingerprint in sorted((row[1] or {}).items()):
            phase.expect(
                signature not in now or now[signature] == fingerprint,
                f"function {signature}",
                "was changed by hand since it was deployed",
            )
    phase.note = f"{len(ran)} migrations"


def _schemas(report: ValidationReport, expected: dict[str, Any], found: dict[str, Any]) -> None:
    phase, owners, grants = report.phases["schemas"], report.phases["owners"], report.phases["grants"]
    for name, want in expected["schemas"].items():
        have = found["schemas"].get(name)
        if not phase.expect(have, f"schema {name}", "is missing") or have is None:
            continue
        if name != "public":
            owners.expect(
                have["owner"] == want["owner"],
                f"schema {name}",
                f"belongs to {have['owner']}, not {want['owner']}",
                f"alter schema {name} owner to {want['owner']};",
            )
        _compare_grants(grants, f"schema {name}", want["grants"], have["grants"], only_ours=name == "public")


def _relations(report: ValidationReport, expected: dict[str, Any], found: dict[str, Any]) -> None:
    phases = report.phases
    for name, want in expected["relations"].items():
        have = found["relations"].get(name)
        if not phases["tables"].expect(have, f"table {name}", "is missing", _rebuild(name)) or have is None:
            continue
        phases["tables"].expect(
            have["kind"] == want["kind"], name, f"is a {have['kind']}, not a {want['kind']}", _rebuild(name)
        )
        phases["owners"].expect(
            have["owner"] == want["owner"],
            f"table {name}",
            f"belongs to {have['owner']}, not {want['owner']}",
            f"alter table {name} owner to {want['owner']};",
        )
        _compare_columns(phases["columns"], name, want["columns"], have["columns"])
        for key, definition in want["constraints"].items():
            now = have["constraints"].get(key)
            phases["constraints"].expect(
                now == definition,
                f"constraint {key} of {name}",
                "is missing" if now is None else f"reads {now}, not {definition}",
                f"alter table {name} add constraint {key} {definition};",
            )
        for index in want["indexes"]:
            phases["indexes"].expect(
                index in have["indexes"],
                f"index of {name}",
                f"{index} is missing or not valid",
                f"create {'unique ' if index.startswith('unique') else ''}index on {name} "
                f"using {index.removeprefix('unique ')};",
            )
        _compare_policies(phases["policies"], name, want, have)
        _compare_grants(phases["grants"], name, want["grants"], have["grants"])
        for key, definition in want["triggers"].items():
            now = have["triggers"].get(key)
            phases["triggers"].expect(
                now == definition,
                f"trigger {key} of {name}",
                "is missing" if now is None else f"reads {now}, not {definition}",
                f"alter table {name} enable trigger {key};"
                if now and now.endswith("(disabled)")
                else f"Make it again: {definition};",
            )
        for key in sorted(set(have["triggers"]) - set(want["triggers"])):
            phases["triggers"].expect(
                False, f"trigger {key} of {name}", "is not one of ours", f"drop trigger {key} on {name};"
            )


def _rebuild(name: str) -> str:
    if name in DERIVED:
        return "Run `aegis optimize`, which builds it, or create it as its migration in sql/migrations does."
    return "Restore it from a backup: migrations that ran do not run again."


def _compare_columns(phase: Phase, name: str, want: dict[str, str], have: dict[str, str]) -> None:
    derived = name in DERIVED
    for key, definition in want.items():
        if not phase.expect(key in have, f"column {key} of {name}", "is missing", _rebuild(name)):
            continue
        now = _bare_type(have[key]) if derived else have[key]
        phase.expect(
            now == definition,
            f"column {key} of {name}",
            f"is {now}, not {definition}",
            f"Give it the type, default and not-null of the contract: {definition}.",
        )
    if not name.startswith("raw_"):  # what arrives may grow columns; the contract may not
        for key in have:
            if key not in want:
                phase.expect(
                    False,
                    f"column {key} of {name}",
                    "is not part of the contract",
                    "Add it in a migration (or in the model's YAML and the migration), or drop it.",
                )


def _compare_policies(phase: Phase, name: str, want: dict[str, Any], have: dict[str, Any]) -> None:
    remedy = f"As aegis_transformer: select tenancy.protect('{name}'::regclass); it makes the policies again."
    phase.expect(
        have["row_security"] == want["row_security"],
        f"row security of {name}",
        f"is {have['row_security']}, not {want['row_security']}",
        remedy,
    )
    for key, definition in want["policies"].items():
        now = have["policies"].get(key)
        phase.expect(
            now == definition,
            f"policy {key} of {name}",
            "is missing" if now is None else f"reads: {now}; it should read: {definition}",
            f"drop policy {key} on {name}; {remedy}" if now else remedy,
        )
    for key in sorted(set(have["policies"]) - set(want["policies"])):
        phase.expect(
            False,
            f"policy {key} of {name}",
            f"is not one of ours: {have['policies'][key]}",
            f"drop policy {key} on {name};",
        )


def _compare_grants(
    phase: Phase, subject: str, want: Iterable[str], have: Iterable[str], only_ours: bool = False
) -> None:
    kind = "schema " if subject.startswith("schema ") else ""
    target = subject.removeprefix("schema ")
    want, have = _by_column(want), _by_column(have)
    for grant in want:
        role, _, privilege = grant.partition(": ")
        phase.expect(
            grant in have,
            subject,
            f"{role} lacks {privilege}",
            f"grant {privilege} on {kind}{target} to {role};",
        )
    for grant in have:
        role, _, privilege = grant.partition(": ")
        if grant in want:
            continue
        if only_ours and not role.startswith(DEFAULT_PREFIX) and role != "public":
            continue
        phase.expect(
            False,
            subject,
            f"{role} has {privilege}, which nobody granted on purpose",
            f"revoke {privilege} on {kind}{target} from {role};",
        )


def _by_column(grants: Iterable[str]) -> dict[str, None]:
    """`r: update (a, b)` as `r: update (a)` and `r: update (b)`, in order."""
    single: dict[str, None] = {}
    for grant in grants:
        match = re.fullmatch(r"(.*) \((.*)\)", grant)
        names = match.group(2).split(", ") if match else []
        single.update(
            dict.fromkeys(f"{match.group(1)} ({name})" for name in names) if match else {grant: None}
        )
    return single


def _further_tables(
    report: ValidationReport,
    connection: psycopg.Connection[Any],
    expected: dict[str, Any],
    found: dict[str, Any],
    prefix: str,
) -> None:
    """Tables of ads that the contract does not know: allowed when tenancy.protect() made their policies and grants."""
    names = _Names(prefix)
    phase, grants = report.phases["policies"], report.phases["grants"]
    for name, have in found["relations"].items():
        if name in expected["relations"] or not name.startswith("ads."):
            continue
        if have["kind"] != "table":
            continue  # sql/checks refuses views that readers can use
        remedy = f"As aegis_transformer: select tenancy.protect('{name}'::regclass); or drop the table."
        if not phase.expect(
            have["row_security"] == "forced", f"row security of {name}", f"is {have['row_security']}", remedy
        ):
            continue
        wanted = connection.execute(
            "select name, command, role_name from tenancy.policies_of(%s::regclass)", (name,)
        ).fetchall()
        want = {key: f"{command} to {names.role(role)} " for key, command, role in wanted}
        for key, text in want.items():
            phase.expect(
                f"{have['policies'].get(key, '')} ".startswith(text),
                f"policy {key} of {name}",
                "is missing or for another role",
                remedy,
            )
        for key in sorted(set(have["policies"]) - set(want)):
            phase.expect(
                False, f"policy {key} of {name}", f"is not one of ours: {have['policies'][key]}", remedy
            )
        _compare_grants(
            grants, name, [f"{DEFAULT_PREFIX}app: select", f"{DEFAULT_PREFIX}reader: select"], have["grants"]
        )


def _functions(report: ValidationReport, expected: dict[str, Any], found: dict[str, Any]) -> None:
    phase, owners, grants = report.phases["functions"], report.phases["owners"], report.phases["grants"]
    for signature, want in expected["functions"].items():
        have = found["functions"].get(signature)
        if not phase.expect(have, f"function {signature}", "is missing") or have is None:
            continue
        for key, label in (
            ("result", "returns"),
            ("security", "is security"),
            ("volatility", "is"),
            ("settings", "sets"),
        ):
            phase.expect(
                have[key] == want[key],
                f"function {signature}",
                f"{label} {have[key] or 'nothing'}, not {want[key] or 'nothing'}",
            )
        owners.expect(
            have["owner"] == want["owner"],
            f"function {signature}",
            f"belongs to {have['owner']}, not {want['owner']}",
            f"alter function {signature} owner to {want['owner']};",
        )
        for role in want["executable_by"]:
            grants.expect(role in have["executable_by"], f"function {signature}", f"{role} lacks execute")
        for role in sorted(set(have["executable_by"]) - set(want["executable_by"])):
            grants.expect(
                False,
                f"function {signature}",
                f"{role} may execute it, which nobody granted on purpose",
                f"revoke execute on function {signature} from {role};",
            )
    readers = {"public", *(f"{DEFAULT_PREFIX}{kind}" for kind in ("app", "reader", "buyer", "analyst"))}
    for signature, have in found["functions"].items():
        if signature in expected["functions"]:
            continue
        open_to = sorted(readers & set(have["executable_by"]))
        grants.expect(
            not open_to,
            f"function {signature}",
            f"is not one of ours, and {', '.join(open_to)} may execute it",
            "Drop it, or add it to sql/functions and write sql/checks/expected.json again.",
        )


def _seeds(
    report: ValidationReport, connection: psycopg.Connection[Any], expected: dict[str, Any], root: Path
) -> None:
    phase = report.phases["seed rows"]
    have = {row["platform"]: row for row in default_configurations(connection)}
    for want in expected["configurations"]:
        row = have.get(want["platform"])
        if (
            not phase.expect(
                row,
                f"default configuration of {want['platform']}",
                "is missing",
                "Insert it as sql/migrations/*_ads_people.sql does.",
            )
            or row is None
        ):
            continue
        for key, value in want.items():
            phase.expect(
                row.get(key) == value,
                f"default configuration of {want['platform']}",
                f"{key} is {row.get(key)}, not {value}",
                f"As aegis_transformer: update ads.platform_configs set {key} = … where tenant_id = '{EVERYBODY}' "
                f"and platform = '{want['platform']}';",
            )
    phase.note = "5 default configurations; " + _benchmarks(phase, connection, root)


def _benchmarks(phase: Phase, connection: psycopg.Connection[Any], root: Path) -> str:
    """Once dbt built, every row of the seed file stands in ads.performance_benchmarks; before that none must."""
    built = connection.execute("select to_regclass('ads_internal.baselines_now') is not null").fetchone()
    files = sorted((root / "dbt_project" / "seeds").glob("*benchmark*.csv"))
    if not files or not (built and built[0]):
        return "benchmarks not built yet"
    key = ("platform", "industry", "objective", "geography", "metric", "statistic", "source", "period_start")
    rows = connection.execute(
        f"""
        select {", ".join(f"{one}::text" for one in key)} from ads.performance_benchmarks where tenant_id = %s
        """.encode(),
        (EVERYBODY,),
    ).fetchall()
    have = {tuple(row) for row in rows}
    count = 0
    for path in files:
        with path.open(encoding="utf-8", newline="") as handle:
            for line in csv.DictReader(handle):
                if not set(key) <= set(line):
                    continue
                count += 1
                wanted = tuple(line[one] for one in key)
                phase.expect(
                    wanted in have,
                    f"benchmark {' '.join(wanted[:6])}",
                    "is missing",
                    "Run `aegis optimize`: the build loads the seed file.",
                )
    return f"{count} benchmarks"


# -- showing ------------------------------------------------------------------------------------------------


def render(report: ValidationReport) -> None:
    """A table of the phases on stdout, then every problem with what to do."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for title, align in (("phase", "left"), ("checked", "right"), ("result", "left"), ("", "left")):
        table.add_column(title, justify=align, no_wrap=True, overflow="ignore")  # type: ignore[arg-type]
    for phase in report.phases.values():
        count = len(phase.problems)
        table.add_row(phase.name, str(phase.checked), "ok" if not count else f"{count} wrong", phase.note)
    console.print(table)
    for problem in report.problems:
        console.print(f"\n✗ {problem.subject}: {problem.text}", markup=False)
        console.print(f"  {problem.remedy}", markup=False)
    if report.passed:
        console.print(
            f"\nEverything in {report.where} is as it should be ({report.seconds:.1f} s).", markup=False
        )
    else:
        console.print(
            f"\n{len(report.problems)} of {sum(p.checked for p in report.phases.values())} checks of {report.where} "
            f"failed ({report.seconds:.1f} s).",
            markup=False,
        )


def write_expected(database: Database) -> Path:
    """Write sql/checks/expected.json, and docs/privileges.md from it, for a database that was just deployed."""
    from aegis.privileges import document, render

    with database.connect("admin") as connection:
        expected = expected_of(
            catalogue(connection, database.settings.role_prefix), default_configurations(connection)
        )
    path = expected_file(database.settings.root)
    path.write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    document(database.settings.root).write_text(render(expected), encoding="utf-8")
    return path


def main() -> None:
    """python -m aegis.validate --write-expected: from a throw-away database of the embedded server."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--write-expected", action="store_true", required=True)
    parser.parse_args()

    import dataclasses
    import secrets

    from psycopg import sql

    from aegis.database import Database, open_database, with_database
    from aegis.deploy import deploy

    server = open_database()
    scratch = f"aegis_expected_{secrets.token_hex(4)}"
    with server.connect("admin", autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(scratch))
        )
        try:
            settings = dataclasses.replace(
                server.settings, database_url=with_database(server.url("admin"), scratch)
            )
            database = Database(settings)
            deploy(database)
            print(f"Wrote {write_expected(database)}.")
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(scratch)))


if __name__ == "__main__":
    main()
