"""Write tests/fixtures/<name>.sql.gz: what a released version's database looks like, with a little data in it.

    python scripts/dump_release.py first_release

A test restores it and deploys today's checkout on top (tests/aegis/test_upgrade.py): `git pull && make run` on an
older database must migrate it and lose nothing. Run this once when a version is released, from its own checkout;
never again for that version. The dump comes from PostgreSQL 16, so that 16 and every later version can read it.

Data: two tenants, accounts, configurations, budgets, a test, hand rows typed by a buyer, a decision, an incident,
versions and rates in history, one load with its coverage; ids and days are fixed.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from aegis.database import Database
from aegis.deploy import deploy
from aegis.server import Server
from aegis.settings import GROUP_ROLES, Settings, project_root

NORTH, SOUTH = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

OWNERS_DATA = f"""
set local role aegis_owner;
insert into tenancy.tenants (tenant_id, name, currency, timezone, industry) values
('{NORTH}', 'North', 'EUR', 'Europe/Berlin', 'shoes'), ('{SOUTH}', 'South', 'USD', 'America/Toronto', null);
insert into tenancy.ad_accounts (tenant_id, platform, account_id, name, currency, source) values
('{NORTH}', 'meta', 'act_1', 'Main', 'EUR', 'file'), ('{SOUTH}', 'google', '42', 'Search', 'USD', 'file');
insert into history.currency_rates (day, currency, rate, source, load_id) values
('2026-01-02', 'USD', 1.1, 'file', 'rates-1'), ('2026-01-05', 'USD', 1.2, 'file', 'rates-1');
insert into ops.coverage (
    load_id, tenant_id, platform, account_id, day, source, rows, state, judged_at, versioned_at
) values
('load-1', '{NORTH}', 'meta', 'act_1', '2026-01-05', 'file', 1, 'accepted', '2026-01-06', '2026-01-06');
insert into ops.daily_runs (tenant_id, as_of, status) values ('{NORTH}', '2026-01-05', 'done');
"""

TRANSFORMERS_DATA = f"""
set local role aegis_transformer;
insert into history.performance_versions (
    tenant_id, platform, account_id, level, platform_id, day, known_on, source, reported_on, campaign_id, adset_id,
    currency, spend, impressions, clicks, conversions, conversion_value, load_id
) values
('{NORTH}', 'meta', 'act_1', 'ad', 'a1', '2026-01-05', '2026-01-05', 'file', '2026-01-05', 'c1', 's1', 'EUR',
 12.5, 1000, 20, 2, 40, 'load-1');
insert into ads.metrics_daily (
    tenant_id, platform, level, platform_id, day, account_id, campaign_id, adset_id, currency, spend, impressions,
    clicks, conversions, conversion_value, data_status, source
) values
('{NORTH}', 'meta', 'ad', 'a1', '2026-01-05', 'act_1', 'c1', 's1', 'EUR', 12.5, 1000, 20, 2, 40, 'final', 'file'),
('{SOUTH}', 'google', 'ad', 'g~a', '2026-01-05', '42', 'c9', 'g', 'USD', 7, 500, 9, 1, 30, 'final', 'file');
insert into ads.optimization_recommendations (
    tenant_id, id, recommendation_key, as_of, platform, account_id, level, platform_id, rule_id, recommendation_type,
    description, rationale, action, evidence, currency, confidence, priority, expires_at
) values
('{NORTH}', '33333333-3333-4333-8333-333333333333', 'key', '2026-01-05', 'meta', 'act_1', 'campaign', 'c1',
 'rec_pause_campaign', 'pause', 'Pause c1.', 'It earns nothing.',
 '{{"field": "status", "from": "active", "to": "paused"}}', '{{}}', 'EUR', 0.8, 'high', '2026-02-05');
insert into ads.anomalies (
    tenant_id, id, anomaly_key, platform, account_id, level, platform_id, anomaly_type, metric, day, last_day,
    severity, known_as_of
) values
('{NORTH}', '44444444-4444-4444-8444-444444444444', 'key', 'meta', 'act_1', 'campaign', 'c1', 'spend_spike', 'spend',
 '2026-01-05', '2026-01-05', 'high', '2026-01-05');
"""

PEOPLES_DATA = f"""
set local role aegis_app;
set local saas.tenant_id = '{NORTH}';
set local saas.user_id = 'maria@example.com';
insert into ads.metrics_daily (tenant_id, platform, level, platform_id, day, spend, impressions, clicks) values
('{NORTH}', 'tiktok', 'campaign', 'typed', '2026-01-05', 99.99, 5000, 50);
insert into ads.platform_configs (tenant_id, platform, target_roas, thresholds) values
('{NORTH}', 'meta', 4, '{{"spend_spike": 2.5}}');
insert into ads.budget_allocation (tenant_id, id, platform, campaign_id, period_start, budget) values
('{NORTH}', '55555555-5555-4555-8555-555555555555', 'meta', 'c1', '2026-01-01', 1000);
insert into ads.ab_tests (tenant_id, id, name, test_type, platform, variants, start_date) values
('{NORTH}', '66666666-6666-4666-8666-666666666666', 'Spring', 'creative', 'meta', '[]', '2026-01-01');
update ads.optimization_recommendations set status = 'approved';
update ads.anomalies set status = 'acknowledged';
"""

ROLES = """\
-- The group roles, as sql/bootstrap makes them: roles are not part of a database's dump.
do $$
declare
    role_name text;
begin
    foreach role_name in array array[{names}]
    loop
        if not exists (select from pg_roles where rolname = role_name) then
            execute format('create role %I nologin', role_name);
        end if;
    end loop;
end
$$;
"""


def fill(database: Database) -> None:
    for text in (OWNERS_DATA, TRANSFORMERS_DATA, PEOPLES_DATA):
        with database.connect("admin") as connection:
            connection.execute(text.encode())


def dump(server: Server, url: str) -> str:
    """The database as SQL, with owners and grants, without anything of this machine."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    done = subprocess.run(
        [
            str(server.binaries() / "pg_dump"),
            "--no-password",
            "-h",
            str(parts["host"]),
            "-p",
            str(parts["port"]),
            "-U",
            str(parts["user"]),
            str(parts["dbname"]),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PGPASSWORD": str(parts["password"])},
        cwd="/",
    )
    # \\restrict and \\unrestrict carry a random word: the dump would differ each time.
    lines = [line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line)]
    names = ", ".join(f"'aegis_{kind}'" for kind in GROUP_ROLES)
    return ROLES.format(names=names) + "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="for instance first_release")
    name = parser.parse_args().name
    root = project_root()
    target = root / "tests" / "fixtures" / f"{name}.sql.gz"
    if target.exists():
        print(
            f"{target} is there: a release is dumped once. Remove it first if it was never published.",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="aegis-dump-") as folder:
        settings = Settings(root=root, data_dir=Path(folder) / "data", pg_version=16)
        database = Database(settings)
        server = database.server
        assert server is not None
        server.durable = False
        try:
            server.start()
            deploy(database)
            fill(database)
            text = dump(server, database.url("admin"))
        finally:
            server.destroy()
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(target, "wb", mtime=0) as handle:
        handle.write(text.encode())
    print(f"Wrote {target} ({target.stat().st_size // 1024} kB).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
