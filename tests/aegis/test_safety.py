"""Taking data out and away: what is exported is all of one tenant, what is deleted is gone, what is restored is equal."""

from __future__ import annotations

import csv
import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from aegis.backup import backup, fingerprints, read_manifest, restore
from aegis.database import Database, ensure_tenant_login, with_user
from aegis.erase import delete_tenant, find_traces
from aegis.export import DERIVED, export_tenant
from aegis.settings import Settings
from aegis.tenants import Tenant, resolve_tenant
from aegis.validate import validate
from dlt_pipelines.common.errors import AegisError

PLAUSIBLE = {
    "platform": "meta", "level": "campaign", "currency": "EUR", "source": "api", "state": "accepted", "status": "active", "data_status": "final",
    "account_id": "act_900{n}", "campaign_id": "c{n}", "platform_id": "c{n}", "name": "of {n}", "rows": 1,
}  # fmt: skip


def fill(warehouse: Any, tenants: list[str]) -> list[str]:
    """A row of each tenant in every table that has a tenant_id and takes a generic one; returns those filled."""
    filled = []
    with warehouse.connect("admin") as admin:
        admin.execute("set session_replication_role = replica")  # neither triggers nor foreign keys
        for schema, table, columns, kinds in admin.execute(
            """
            select n.nspname, c.relname, array_agg(a.attname::text order by a.attnum),
                array_agg(format_type(a.atttypid, null) order by a.attnum)
            from pg_class as c
            inner join pg_namespace as n on n.oid = c.relnamespace
            inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and a.attidentity = '' and (a.attnotnull and not a.atthasdef or a.attname in ('tenant_id', 'name'))
            where c.relkind = 'r' and n.nspname !~ '^pg_|information_schema'
                and exists (select from pg_attribute as t where t.attrelid = c.oid and t.attname = 'tenant_id')
                and c.oid not in ('tenancy.tenants'::regclass, 'tenancy.role_tenants'::regclass)
            group by 1, 2
            """
        ).fetchall():
            try:
                with admin.transaction():
                    for number, tenant in enumerate(tenants):
                        row = {
                            column: _value(column, kind, number, tenant)
                            for column, kind in zip(columns, kinds, strict=True)
                        }
                        admin.execute(
                            sql.SQL("insert into {} ({}) values ({})").format(
                                sql.Identifier(schema, table),
                                sql.SQL(", ").join(map(sql.Identifier, row)),
                                sql.SQL(", ").join(sql.Placeholder() * len(row)),
                            ),
                            list(row.values()),
                        )
            except psycopg.errors.CheckViolation:
                continue
            filled.append(f"{schema}.{table}")
    return filled


def _value(column: str, kind: str, number: int, tenant: str) -> Any:
    if column == "tenant_id":
        return tenant
    if column in PLAUSIBLE:
        found = PLAUSIBLE[column]
        return found.format(n=number) if isinstance(found, str) else found
    return {
        "text": f"x{number}", "uuid": f"0000000{number}-0000-4000-8000-000000000000", "date": "2026-01-05", "integer": 1,
        "bigint": 1, "numeric": 1, "boolean": True, "jsonb": "[]", "json": "[]", "bytea": b"x",
        "timestamp with time zone": "2026-01-05 00:00+00",
    }.get(kind)  # fmt: skip


@pytest.fixture
def two(warehouse: Any) -> Iterator[tuple[Any, Tenant, Tenant, list[str]]]:
    north, south = warehouse.add_tenant("north"), warehouse.add_tenant("south")
    filled = fill(warehouse, [north, south])
    assert len(filled) > 30 and "ads.metrics_daily" in filled
    with warehouse.connect("owner") as connection:
        tenants = resolve_tenant(connection, north), resolve_tenant(connection, south)
    yield warehouse, *tenants, filled


def others(warehouse: Any, tenant_id: str) -> dict[str, str]:
    """Table → hash of the rows that are not this tenant's."""
    with warehouse.connect("admin") as admin:
        return {
            name: str(
                admin.execute(
                    sql.SQL(
                        "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {} as t where strpos(t::text, {}) = 0"
                    ).format(sql.Identifier(*name.split(".")), sql.Literal(tenant_id))
                ).fetchone()
            )
            for name in fingerprints(admin)
            if name != "ops.tenant_deletions"
        }


# -- export -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_export_holds_every_table_of_one_tenant_and_nothing_of_others(
    two: Any, tmp_path: Path, kind: str
) -> None:
    warehouse, north, south, filled = two
    exported = export_tenant(warehouse.database, north, tmp_path / "out", kind)
    expected = {name for name in filled if name.split(".")[0] not in DERIVED}
    assert expected <= set(exported.rows)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(manifest["files"]) == {path.name for path in (tmp_path / "out").iterdir()} - {"manifest.json"}
    for name, entry in manifest["files"].items():
        content = (tmp_path / "out" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert str(south.tenant_id).encode() not in content
        if kind == "csv":
            rows = list(csv.DictReader(content.decode().splitlines()))
        else:
            rows = pq.read_table(tmp_path / "out" / name).to_pylist()
        assert len(rows) == entry["rows"]
        assert {row["tenant_id"] for row in rows} == {str(north.tenant_id)}
        assert "token" not in rows[0]


def test_amounts_and_times_of_an_export_are_those_of_the_table(two: Any, tmp_path: Path) -> None:
    warehouse, north, *_ = two
    with warehouse.connect("transformer") as connection:
        connection.execute(
            "update ads.metrics_daily set spend = 12345.678901, roas = 1.5, updated_at = '2026-03-01 12:00+02' where tenant_id = %s",
            (north.tenant_id,),
        )
    export_tenant(warehouse.database, north, tmp_path / "out")
    [row] = pq.read_table(tmp_path / "out" / "ads.metrics_daily.parquet").to_pylist()
    assert (str(row["spend"]), row["roas"]) == ("12345.678901", 1.5)
    assert row["updated_at"].isoformat() == "2026-03-01T10:00:00+00:00"


def test_an_export_neither_overwrites_nor_leaves_half(two: Any, tmp_path: Path, monkeypatch: Any) -> None:
    warehouse, north, *_ = two
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(AegisError, match="not empty"):
        export_tenant(warehouse.database, north, tmp_path / "full")
    with pytest.raises(AegisError, match="no export format"):
        export_tenant(warehouse.database, north, tmp_path / "out", "xlsx")

    monkeypatch.setattr("aegis.export._write_parquet", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_tenant(warehouse.database, north, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


# -- delete -----------------------------------------------------------------------------------------------------


def test_a_deleted_tenant_leaves_no_trace_and_others_are_untouched(two: Any) -> None:
    warehouse, north, south, _ = two
    analyst = ensure_tenant_login(warehouse.database, str(north.tenant_id), "analyst")
    before = others(warehouse, str(north.tenant_id))
    with warehouse.connect("admin") as admin:
        admin.execute(
            "insert into ops.import_log (load_id, kind, source_name, status) values ('x0', 'history', 'f', 'completed')"
        )

    erased = delete_tenant(warehouse.database, north)
    assert erased.rows > 30 and erased.traces == {} and erased.logins == [analyst.name]
    after = others(warehouse, str(north.tenant_id))
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"tenancy.role_tenants"}, changed
    with warehouse.connect("admin", autocommit=True) as admin:
        assert find_traces(admin, [str(south.tenant_id)])  # the search does find what is there
        assert find_traces(admin, [str(north.tenant_id), "act_9000"]) == {}
        assert admin.execute(
            "select count(*) from pg_roles where rolname = %s", (analyst.name,)
        ).fetchone() == (0,)
        row = admin.execute("select tenant_hash, deleted_rows from ops.tenant_deletions").fetchone()
        assert row == (hashlib.sha256(str(north.tenant_id).encode()).hexdigest(), erased.rows)
        [trigger] = admin.execute(
            "select tgenabled from pg_trigger where tgrelid = 'audit.changes'::regclass and tgname = 'changes_append_only'"
        ).fetchall()
        assert trigger == ("O",)  # the guard is on again


def test_a_login_of_two_tenants_survives_the_one(two: Any) -> None:
    warehouse, north, south, _ = two
    login = ensure_tenant_login(warehouse.database, str(north.tenant_id), "reader")
    with warehouse.connect("admin") as admin:
        admin.execute(
            "insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind) select oid, rolname, %s, 'reader' from pg_roles where rolname = %s",
            (south.tenant_id, login.name),
        )
    assert delete_tenant(warehouse.database, north).logins == []
    rows = warehouse.rows(
        "select tenant_id::text from tenancy.role_tenants where role_name = %s", (login.name,)
    )
    assert rows == [(str(south.tenant_id),)]


def test_the_search_reports_what_a_table_without_tenant_id_keeps(two: Any) -> None:
    warehouse, north, *_ = two
    with warehouse.connect("transformer") as connection:
        connection.execute("create table ads_internal.kept (note text)")
        connection.execute("insert into ads_internal.kept values (%s)", (f"seen {north.tenant_id}",))
    assert delete_tenant(warehouse.database, north).traces == {"ads_internal.kept": 1}


def test_the_reserved_tenant_cannot_be_deleted(warehouse: Any) -> None:
    with warehouse.connect("owner") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(
            "select tenancy.delete_tenants(array['00000000-0000-0000-0000-000000000000'::uuid])"
        )


def test_nobody_but_the_owner_deletes(warehouse: Any) -> None:
    tenant = warehouse.add_tenant("north")
    parts = ("delete_raw_rows", "delete_mart_rows")
    for url, calls in (
        (warehouse.url("app"), ("delete_tenants", *parts)),
        (warehouse.tenant_url(tenant, "buyer"), ("delete_tenants", *parts)),
        (warehouse.url("loader"), ("delete_tenants", "delete_mart_rows")),
        (warehouse.url("transformer"), ("delete_tenants", "delete_raw_rows")),
    ):
        for call in calls:
            with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select tenancy.{call}(array[%s::uuid])", (tenant,))


def test_the_command_asks_for_the_name(two: Any) -> None:
    warehouse = two[0]
    done = warehouse.run_cli("tenant", "delete", "--tenant", "north", text_input="nord\n")
    assert done.returncode == 1 and "Nothing was deleted" in done.stderr
    done = warehouse.run_cli("tenant", "delete", "--tenant", "north", "--yes")
    assert done.returncode == 0, done.stderr
    assert "no trace" in done.stdout


# -- backup and restore -------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(cluster: Any, new_warehouse: Callable[..., Any]) -> Callable[..., Database]:
    """An empty database of the same server, under another backup's prefix where asked."""

    def make(source: Any) -> Database:
        empty = new_warehouse(deployed=False, prefix=source.settings.role_prefix)
        return Database(
            Settings(
                root=source.settings.root, data_dir=empty.settings.data_dir, database_url=empty.url("admin"),
                role_prefix=source.settings.role_prefix,
            )
        )  # fmt: skip

    return make


def test_a_restored_database_equals_the_one_backed_up(two: Any, elsewhere: Any, tmp_path: Path) -> None:
    warehouse, north, south, _ = two
    login = ensure_tenant_login(warehouse.database, str(north.tenant_id), "reader")
    ensure_tenant_login(warehouse.database, str(south.tenant_id), "analyst")
    made = backup(warehouse.database, tmp_path / "all.backup")
    assert made.logins == 2 and made.rows > 60 and oct(made.path.stat().st_mode)[-3:] == "600"
    other = elsewhere(warehouse)
    restore(other, made.path)
    with warehouse.connect("admin") as here, other.connect("admin") as there:
        left, right = fingerprints(here), fingerprints(there)
    left.pop("public.deployment_log"), right.pop("public.deployment_log")
    assert left == right  # the same server: bindings keep their oids
    assert validate(other).passed
    # the restored database shows a tenant's login its rows and nobody else's
    with other.connect("admin") as admin:
        admin.execute(sql.SQL("alter role {} password 'again'").format(sql.Identifier(login.name)))
    with psycopg.connect(with_user(other.url("admin"), login.name, "again")) as reader:
        assert reader.execute("select distinct tenant_id::text from ads.entities").fetchall() == [
            (str(north.tenant_id),)
        ]


def test_a_login_dropped_and_made_again_is_not_bound_by_a_restore(
    two: Any, elsewhere: Any, tmp_path: Path
) -> None:
    warehouse, north, *_ = two
    login = ensure_tenant_login(warehouse.database, str(north.tenant_id), "reader")
    backup(warehouse.database, tmp_path / "all.backup")
    with warehouse.connect("admin") as admin:
        name = sql.Identifier(login.name)
        admin.execute(sql.SQL("drop owned by {}").format(name))
        admin.execute(sql.SQL("drop role {}").format(name))
        admin.execute(sql.SQL("create role {} login").format(name))
    with pytest.raises(AegisError, match="already has a login"):
        restore(elsewhere(warehouse), tmp_path / "all.backup")


def test_what_is_no_empty_database_or_no_backup_is_refused(two: Any, elsewhere: Any, tmp_path: Path) -> None:
    warehouse, *_ = two
    backup(warehouse.database, tmp_path / "all.backup")
    with pytest.raises(AegisError, match="there already"):
        backup(warehouse.database, tmp_path / "all.backup")
    with pytest.raises(AegisError, match="not empty"):
        restore(warehouse.database, tmp_path / "all.backup")
    (tmp_path / "text").write_text("no tar")
    with pytest.raises(AegisError, match="no backup of Aegis"):
        read_manifest(tmp_path / "text")
    with pytest.raises(AegisError, match="no file"):
        read_manifest(tmp_path / "nothing")


def test_a_damaged_backup_is_noticed(two: Any, elsewhere: Any, tmp_path: Path) -> None:
    """A fingerprint that does not fit the dump: as if a row had been lost."""
    warehouse, *_ = two
    backup(warehouse.database, tmp_path / "all.backup")
    with tarfile.open(tmp_path / "all.backup") as archive:
        archive.extractall(tmp_path / "in", filter="data")
    manifest = json.loads((tmp_path / "in" / "manifest.json").read_text())
    manifest["tables"]["ads.metrics_daily"][0] += 1
    (tmp_path / "in" / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(tmp_path / "bad.backup", "w") as archive:
        for name in ("manifest.json", "database.dump"):
            archive.add(tmp_path / "in" / name, name)
    with pytest.raises(AegisError, match=r"1 tables differ from the backup: ads\.metrics_daily"):
        restore(elsewhere(warehouse), tmp_path / "bad.backup")


def test_a_backup_holds_no_password_and_no_key(two: Any, tmp_path: Path) -> None:
    warehouse, north, *_ = two
    login = ensure_tenant_login(warehouse.database, str(north.tenant_id), "reader")
    with warehouse.connect("admin") as admin:
        admin.execute(sql.SQL("alter role {} password 'very-secret-word'").format(sql.Identifier(login.name)))
    backup(warehouse.database, tmp_path / "all.backup")
    manifest = read_manifest(tmp_path / "all.backup")
    assert "very-secret-word" not in json.dumps(manifest) and "SCRAM" not in json.dumps(manifest)
    assert b"SCRAM-SHA" not in (tmp_path / "all.backup").read_bytes()
