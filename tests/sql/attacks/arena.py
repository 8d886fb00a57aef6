"""A database in which every relation holds a row of the attacker's tenant and one of a foreign tenant.

The rows are made from the catalogue: a table that a migration adds tomorrow is filled, and so attacked, without being
named here. Every text, number and document of the foreign row is a marker that occurs nowhere else, so whatever an
attack brings to light (a value, an error's text, a notice, a line of a plan) is recognised by it.

Filled by the superuser with triggers off: the rows stand for whatever may lie in a table, not for what may be entered.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from actors import VALUES, make_login
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from aegis.database import with_database

# Recognisable in any output. The number fits an integer column.
FOREIGN = "5ec2e75e-0f0f-4e1e-8f8f-731973197319"
FOREIGN_TEXT = "foreign-secret-7f3a"
FOREIGN_NUMBER = 731973197
OWN_TEXT = "own-figure-1b2c"
OWN_NUMBER = 424242
MARKERS = (
    FOREIGN.encode(),
    FOREIGN_TEXT.encode(),
    str(FOREIGN_NUMBER).encode(),
    FOREIGN_TEXT.encode().hex().encode(),
)

SYSTEM = ("pg_catalog", "information_schema")
OPEN_SCHEMAS = ("ads", "audit")
# What a constraint wants and no list in it tells.
USUAL = VALUES | {"permission": "markers:read"}
# A share, for columns that must lie between 0 and 1 or be small.
SMALL = "0.5"


@dataclass(frozen=True)
class Relation:
    """One relation of the catalogue. `is_open`: somebody may read rows of it; of the others any answer is a leak."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[tuple[str, str], ...]

    @property
    def full(self) -> str:
        return f'"{self.schema}"."{self.name}"'

    @property
    def is_open(self) -> bool:
        return self.schema in OPEN_SCHEMAS

    @property
    def has_tenant(self) -> bool:
        return any(name == "tenant_id" for name, _ in self.columns)

    def columns_of(self, *types: str) -> list[str]:
        return [name for name, kind in self.columns if kind in types]


@dataclass(frozen=True)
class Actor:
    """Who attacks. `prologue` opens each transaction; `may_choose`: the setting is this actor's to set, so setting it to
    the foreign tenant is no attack; `may_create`: has a schema of its own and temporary tables."""

    name: str
    url: str
    prologue: str = ""
    may_choose: bool = False
    may_create: bool = False
    sees_own: bool = False


@dataclass
class Arena:
    warehouse: Any
    database: str
    own: str
    foreign: str
    relations: list[Relation]
    actors: list[Actor]
    foreign_rows: dict[str, dict[str, Any]]  # relation to the foreign row, as to_jsonb gives it
    large_object: int
    template: str
    kept: dict[str, psycopg.Connection[Any]] = field(default_factory=dict)  # sessions older than a revocation

    def admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(with_database(self.warehouse.url(), self.database), autocommit=True)

    @contextlib.contextmanager
    def session(self, actor: Actor) -> Iterator[psycopg.Connection[Any]]:
        if actor.name in self.kept:
            yield self.kept[actor.name]
            return
        with contextlib.closing(psycopg.connect(with_database(actor.url, self.database))) as connection:
            yield connection

    def actor(self, name: str) -> Actor:
        return next(one for one in self.actors if one.name == name)

    def logins(self) -> dict[str, str]:
        """Actor to the name of its login, for planting defects."""
        return {one.name: str(conninfo_to_dict(one.url)["user"]) for one in self.actors}

    def copy(self) -> Arena:
        """The same arena in a database of its own; roles are the cluster's and so the same."""
        name = self.warehouse.cluster.create_database(self.template)
        others = {
            **self.__dict__,
            "database": name,
            "kept": {},
            "actors": [one for one in self.actors if one.name not in self.kept],
        }
        return Arena(**others)

    def look_again(self) -> None:
        """Relations as the catalogue has them now."""
        with self.admin() as admin:
            self.relations = relations_of(admin)

    def drop(self) -> None:
        self.warehouse.cluster.drop_database(self.database)

    def fingerprint(self) -> dict[str, str]:
        """Of every table's rows: what an attack has changed shows here."""
        found = {}
        with self.admin() as admin:
            for one in self.relations:
                if one.kind in ("r", "p", "m"):
                    row = admin.execute(
                        f"select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {one.full} as t".encode()
                    ).fetchone()
                    found[one.full] = row[0] if row else ""
        return found


# -- rows ---------------------------------------------------------------------------------------------------------


def relations_of(admin: psycopg.Connection[Any]) -> list[Relation]:
    """Every relation outside of the system's schemas, sequences and toast tables included."""
    rows = admin.execute(
        """
        select c.oid::bigint, n.nspname, c.relname, c.relkind::text,
            coalesce(
                (
                    select array_agg(array[a.attname::text, format_type(a.atttypid, null)] order by a.attnum)
                    from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                ),
                '{}'
            )
        from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname <> all(%s) and n.nspname !~ '^pg_(temp|toast)'
        order by n.nspname, c.relname
        """,
        (list(SYSTEM),),
    ).fetchall()
    return [Relation(*row[:4], tuple((name, kind) for name, kind in row[4])) for row in rows]


def _marker(kind: str, text: str, number: int, tenant: str) -> Any:
    if kind in ("text", "character varying", "name"):
        return text
    if kind in ("numeric", "bigint", "integer", "double precision"):
        return number
    if kind == "smallint":
        return 1
    if kind in ("json", "jsonb"):
        return f'{{"marker": "{text}"}}'
    if kind == "bytea":
        return text.encode()
    if kind == "uuid":
        return tenant
    if kind == "uuid[]":
        return [tenant]
    if kind.endswith("[]"):
        return [text] if kind == "text[]" else []
    if kind == "date":
        return "2026-01-05"
    if kind == "time without time zone":
        return "12:00"
    if kind.startswith("timestamp"):
        return "2026-01-05 00:00+00"
    if kind == "interval":
        return "1 hour"
    if kind == "boolean":
        return False
    if kind == "oid":
        return number
    raise AssertionError(f"no marker for the type {kind}: add one to _marker")


def _plain(name: str, kind: str, definition: str) -> Any:
    """What a check constraint accepts: a usual value, the first word it lists, a small number, nothing."""
    if name in USUAL and kind not in ("json", "jsonb"):
        value = str(USUAL[name])
        # The list of usual values is not the list of this table.
        if f"'{value}'" in definition or not re.search(r"'[\w.]+'::text", definition):
            return USUAL[name]
    words = re.findall(r"'([\w.]+)'::text", definition)
    if kind == "text":
        return words[0] if words else None
    if kind in ("numeric", "double precision"):
        return SMALL
    if kind in ("bigint", "integer", "smallint"):
        return 0 if "<=" in definition else 1
    if kind in ("json", "jsonb"):
        return "[]" if "'array'" in definition else "{}"
    return None


def insert_marked(admin: psycopg.Connection[Any], one: Relation, tenant: str, text: str, number: int) -> None:
    """One row full of markers; columns that a constraint holds to something else get that. Raises where none fits."""
    generated = {
        row[0]
        for row in admin.execute(
            "select attname from pg_attribute where attrelid = %s::oid and (attgenerated <> '' or attidentity <> '')",
            (one.oid,),
        ).fetchall()
    }
    row = {
        name: tenant if name == "tenant_id" else _marker(kind, text, number, tenant)
        for name, kind in one.columns
        if name not in generated
    }
    kinds = dict(one.columns)
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(one.schema, one.name),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    listed: dict[str, list[str]] = {}
    tried: dict[str, int] = {}
    for _ in range(40):
        try:
            with admin.transaction():
                admin.execute("set local session_replication_role = replica")
                admin.execute(statement, list(row.values()))
            return
        except psycopg.errors.CheckViolation as problem:
            found = admin.execute(
                """
                select pg_get_constraintdef(k.oid), array(
                    select a.attname::text from pg_attribute as a where a.attrelid = k.conrelid and a.attnum = any(k.conkey)
                )
                from pg_constraint as k where k.conrelid = %s::oid and k.conname = %s
                """,
                (one.oid, problem.diag.constraint_name),
            ).fetchone()
            if found is None:
                raise
            definition, columns = found
            for name in columns:
                if name == "tenant_id":
                    continue
                words = listed.setdefault(name, [])
                words += [one for one in re.findall(r"'([\w.]+)'::text", definition) if one not in words]
                if kinds[name] == "text" and name in tried and words:
                    row[name] = words[tried[name] % len(words)]  # what one constraint takes another may not
                else:
                    row[name] = _plain(name, kinds[name], definition)
                tried[name] = tried.get(name, 0) + 1
    raise AssertionError(f"{one.full} could not be filled: its rows would not be attacked")


# -- the arena ----------------------------------------------------------------------------------------------------

# What builds, failed tests and analysts leave behind, beside what the migrations make.
LEFT_BEHIND = """
    create table staging.stg_left_behind as select * from ads.metrics_daily;
    create view staging.stg_left_view as select * from ads.entities;
    create table intermediate.int_left_behind as select * from ads.metrics_daily;
    create table ads_internal.baselines_now as select * from ads.baselines;
    create table ads_internal.recommendations_merge as select * from ads.optimization_recommendations;
    create table ads_internal.anomalies_merge as select * from ads.anomalies;
    create view ads_internal.left_view as select * from ads.anomalies;
    create materialized view ads_internal.left_matview as select * from ads.metrics_daily;
    create schema ads_dbt_test__audit;
    create table ads_dbt_test__audit.not_null_left as select * from ads.metrics_daily;
    create table ads.left_partitioned (tenant_id uuid not null, day date not null, note text) partition by range (day);
    create table ads.left_partition partition of ads.left_partitioned for values from ('2026-01-01') to ('2027-01-01');
    insert into ads.left_partitioned select tenant_id, day, account_id from ads.metrics_daily;
    select tenancy.protect('ads.left_partitioned');
"""


def _bind(admin: psycopg.Connection[Any], url: str, kind: str, *tenants: str) -> str:
    login = str(conninfo_to_dict(url)["user"])
    admin.execute(
        """
        insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind)
        select r.oid, r.rolname, t, %s from pg_roles as r cross join unnest(%s::uuid[]) as t where r.rolname = %s
        """,
        (kind, list(tenants), login),
    )
    return login


def make_arena(warehouse: Any) -> Arena:
    """Fill a deployed database and make the actors. The foreign tenant has logins and an analyst's work of its own."""
    own = warehouse.add_tenant("own")
    with warehouse.connect("admin", autocommit=True) as admin:
        admin.execute(
            "insert into tenancy.tenants (tenant_id, name, currency, industry) values (%s, %s, 'CHF', %s)",
            (FOREIGN, FOREIGN_TEXT, FOREIGN_TEXT),
        )
        skipped = {"role_tenants", "tenants"}
        for one in relations_of(admin):
            if one.kind == "r" and not (one.schema == "tenancy" and one.name in skipped):
                insert_marked(admin, one, own, OWN_TEXT, OWN_NUMBER)
                if one.has_tenant:
                    insert_marked(admin, one, FOREIGN, FOREIGN_TEXT, FOREIGN_NUMBER)
    with warehouse.connect("transformer") as builder:
        builder.execute(LEFT_BEHIND.encode())

    login_of_app = make_login(warehouse, ())
    recreated = make_login(warehouse, ("aegis_reader",))
    revoked = make_login(warehouse, ("aegis_reader",))
    narrowed = make_login(warehouse, ("aegis_buyer",))
    with warehouse.connect("admin", autocommit=True) as admin:
        app = sql.Identifier(str(conninfo_to_dict(login_of_app)["user"]))
        admin.execute(sql.SQL("grant aegis_app to {} with inherit true, set true").format(app))
        admin.execute(sql.SQL("alter role {} set role = 'aegis_app'").format(app))
        _bind(admin, narrowed, "buyer", own, FOREIGN)
        name = _bind(admin, recreated, "reader", FOREIGN)
        # Dropped by hand, its binding left, and made again by somebody who chose the same name.
        admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
        admin.execute(sql.SQL("create role {} login password 'test'").format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("grant aegis_reader to {} with inherit true, set false").format(sql.Identifier(name))
        )
        revoked_name = _bind(admin, revoked, "reader", FOREIGN)
    with contextlib.closing(psycopg.connect(warehouse.tenant_url(FOREIGN, "analyst"))) as analyst:
        analyst.execute("create table kept_work as select * from ads.metrics_daily")
        analyst.execute("create view kept_view as select * from ads.entities")
        analyst.execute("create materialized view kept_matview as select * from ads.anomalies")
        row = analyst.execute("select lo_from_bytea(0, %s)", (FOREIGN_TEXT.encode(),)).fetchone()
        assert row is not None
        large_object = row[0]
        analyst.commit()

    choose = f"set local saas.tenant_id = '{own}';"
    actors = [
        Actor("reader", warehouse.tenant_url(own, "reader"), sees_own=True),
        Actor("buyer", warehouse.tenant_url(own, "buyer"), sees_own=True),
        Actor("analyst", warehouse.tenant_url(own, "analyst"), may_create=True, sees_own=True),
        Actor("app without context", login_of_app, may_choose=True),
        Actor("app for its tenant", login_of_app, choose, may_choose=True, sees_own=True),
        Actor("narrowed login", narrowed, choose, may_choose=True, sees_own=True),
        Actor("revoked login", revoked),
        Actor("re-created login", recreated),
        Actor("unbound reader", make_login(warehouse, ("aegis_reader",))),
        Actor("non-member", make_login(warehouse, ())),
    ]
    with warehouse.connect("admin", autocommit=True) as admin:
        admin.execute("vacuum analyze")  # statistics are there to be read
        relations = relations_of(admin)
        foreign_rows = {}
        for one in relations:
            if one.has_tenant and one.kind in ("r", "p"):
                found = admin.execute(
                    f"select to_jsonb(t) from {one.full} as t where tenant_id::text = %s".encode(), (FOREIGN,)
                ).fetchone()
                if found:
                    foreign_rows[one.full] = found[0]
    template = warehouse.cluster.create_database(warehouse.name)  # before anybody stays connected

    kept = psycopg.connect(revoked)
    # It did see the foreign rows, and has read with a plan of its own, before it was revoked.
    row = kept.execute("select count(*) from ads.metrics_daily").fetchone()
    assert row == (1,)
    kept.commit()
    with warehouse.connect("admin", autocommit=True) as admin:
        admin.execute("delete from tenancy.role_tenants where role_name = %s", (revoked_name,))
    return Arena(
        warehouse,
        warehouse.name,
        own,
        FOREIGN,
        relations,
        actors,
        foreign_rows,
        large_object,
        template,
        {"revoked login": kept},
    )
