"""One export of one tenant and platform: `aegis import csv`.

Grain   one row per entity and day, at the finest id each row gives; with a breakdown column (age, gender) the rows
        of an entity and day are added up and reach and frequency left out, since they do not add up
Covers  only the account-days the file holds; an account-day whose rows were all refused is not covered
Known   a row is known on its own `known_on` where there is one; otherwise `reported_on` is the import's yesterday, or
        the row's own day where that is later
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual import figures, landing, tables, values
from dlt_pipelines.manual.headings import (
    IDS,
    LEVEL_WORDS,
    MEASURES,
    NAMES,
    PERIOD_BEGIN,
    PERIOD_END,
    PLATFORMS,
    Mapped,
    is_known,
    map_headings,
    plain,
)
from dlt_pipelines.manual.landing import Account, Batch, ImportResult, Tenant
from dlt_pipelines.manual.text import TOTAL, TextTable, read_file, read_table

if TYPE_CHECKING:
    import psycopg

NO_ACCOUNT = "file"
TEXT = pa.string()


def import_csv(
    connections: Connections,
    path: Path,
    *,
    tenant_id: str,
    platform: str,
    account: str | None = None,
    day: dt.date | None = None,
    currency: str | None = None,
    mapping: Mapping[str, str] | None = None,
    decimal: str | None = None,
    dates: str | None = None,
    encoding: str | None = None,
    now: dt.datetime | None = None,
) -> ImportResult:
    """Load one export. `mapping` is heading -> field; `decimal` and `dates` settle what the file leaves open.

    Raises   ContractError for a file that cannot be used at all; rows that cannot be used are in the result
    """
    now = now or dt.datetime.now(dt.UTC)
    mapping = dict(mapping or {})
    check_platform(platform)
    if currency is not None and not re.fullmatch(r"[A-Z]{3}", currency):
        raise ContractError(f"{currency!r} is no currency.", "Give its three letters, like --currency EUR.")
    file = read_file(path)
    advice = (
        f"Say which column is what with --map COLUMN=FIELD; fields: {', '.join((*IDS, 'day', *MEASURES))}."
    )
    source = read_table(file, lambda heading: is_known(heading, platform, mapping), encoding, advice)
    mapped = map_headings(source.name, source.headings, platform, mapping)
    _require(source, mapped, day)

    with landing.session(connections) as connection:
        tenant = _tenant(connection, tenant_id)
        if day is not None and day > figures.today_in(tenant.timezone, now):
            raise ContractError(
                f"--day {day} is in the future for tenant {tenant.name}.", "Give a day that has begun."
            )
        options = {
            "kind": "csv",
            "tenant": tenant_id,
            "platform": platform,
            "account": account,
            "day": day,
            "currency": currency,
            "mapping": mapping,
            "decimal": decimal,
            "dates": dates,
        }
        reading = _Reading(
            connection, source, mapped, tenant, platform, account, day, currency, decimal, dates, now
        )
        batch = reading.batch(file.content, options)
        return landing.store(connections, connection, batch)


def check_platform(platform: str) -> None:
    if platform == "shopify":
        raise ContractError(
            "Platform shopify has no ad figures.",
            f"A shop's orders come another way; platforms: {', '.join(PLATFORMS)}.",
        )
    if platform not in PLATFORMS:
        raise ContractError(f"There is no platform {platform!r}.", f"Platforms: {', '.join(PLATFORMS)}.")


def _tenant(connection: psycopg.Connection[Any], tenant_id: str) -> Tenant:
    for tenant in landing.known_tenants(connection):
        if tenant.tenant_id == tenant_id:
            return tenant
    raise ContractError(f"There is no tenant {tenant_id}.", "`aegis tenant list` shows the tenants.")


def _require(source: TextTable, mapped: Mapped, day: dt.date | None) -> None:
    """Refuse a file whose day or spend cannot be found, or whose day is given twice."""
    shown = ", ".join(source.headings)
    if "spend" not in mapped.columns:
        raise ContractError(
            f"{source.name} has no column for spend; its columns are: {shown}.",
            "Say which one it is: --map COLUMN=spend.",
        )
    has_day = "day" in mapped.columns or PERIOD_BEGIN in mapped.columns
    if day is None and not has_day:
        raise ContractError(
            f"{source.name} has no column for the day; its columns are: {shown}.",
            "Say which one it is with --map COLUMN=day, or put the whole file on one day with --day 2026-01-31.",
        )
    if day is not None and "day" in mapped.columns:
        raise ContractError(
            f"{source.name} has a day on each row (column {mapped.columns['day']!r}), and --day {day} says another.",
            f'Leave --day out, or ignore the column: --map "{mapped.columns["day"]}=ignore".',
        )


class _Reading:
    """One file on its way to a batch."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        source: TextTable,
        mapped: Mapped,
        tenant: Tenant,
        platform: str,
        account: str | None,
        day: dt.date | None,
        currency: str | None,
        decimal: str | None,
        dates: str | None,
        now: dt.datetime,
    ) -> None:
        self.connection = connection
        self.mapped = mapped
        self.tenant = tenant
        self.platform = platform
        self.account = account
        self.day = day
        self.currency = currency
        self.decimal = decimal
        self.dates = dates
        self.now = now
        self.notes: list[str] = []
        self.rows_read = source.table.num_rows + len(source.malformed)
        total = self._totals(source)
        self.skipped = pc.sum(total).as_py() or 0
        if self.skipped:
            lines = [str(line) for line in source.lines.filter(total).to_pylist()]
            self.notes.append(
                f"{_rows(self.skipped)} of totals skipped (line {', '.join(lines[:5])}): the others add up."
            )
        self.source = source.without(total)
        if not self.source.table.num_rows and not self.source.malformed:
            raise ContractError(f"{source.name} has 0 rows besides its total.", "Export it again.")
        self.rows = self.source.table.num_rows
        self.refusals = figures.Refusals(self.source)

    def batch(self, content: bytes, options: Mapping[str, Any]) -> Batch:
        source, columns, refusals = self.source, self.mapped.columns, self.refusals
        self._describe_columns()
        self._refuse_foreign_rows()
        days = self._days()
        known_on = self._known_on(days)
        numbers = figures.measures(source, columns, refusals, self.decimal, self._blank_is_zero())
        accounts = self._accounts()
        currencies, known = self._currencies(accounts)
        self._refuse_future(days, known_on, accounts, known)

        found = self._entities(accounts)
        breakdowns = [source.table.column(heading).combine_chunks() for heading in self.mapped.breakdowns]
        platform = figures.every(self.platform, self.rows)
        key = [found.level, found.platform_id, days, known_on]
        figures.duplicates([*key, *breakdowns], refusals, "entity and day")

        found = figures.with_parents(found, accounts)
        yesterday = {
            name: figures.today_in(known[name].timezone or self.tenant.timezone, self.now)
            - dt.timedelta(days=1)
            for name in pc.unique(accounts).to_pylist()
        }
        codes = accounts.dictionary_encode()
        floor = figures.take_by(
            codes.indices, [yesterday[name] for name in codes.dictionary.to_pylist()], pa.date32()
        )
        names = {name: self._column(name) for name in NAMES}
        table = tables.build(
            "performance",
            {
                "tenant_id": pa.scalar(self.tenant.tenant_id, TEXT),
                "account_id": accounts,
                "platform": platform,
                "currency": currencies,
                "level": found.level,
                "platform_id": found.platform_id,
                "campaign_id": found.campaign_id,
                "adset_id": found.adset_id,
                "day": days,
                "known_on": known_on,
                "reported_on": pc.coalesce(known_on, pc.max_element_wise(days, floor)),
                **numbers,
                **names,
                "source_name": pa.scalar(source.name, TEXT),
                "line": source.lines,
            },
            self.rows,
        ).filter(refusals.kept())
        imported = table.num_rows
        table = self._add_up_breakdowns(table)

        refused = refusals.as_refused(account_ids=accounts.to_pylist())
        refused = [replace(row, tenant_id=self.tenant.tenant_id, platform=self.platform) for row in refused]
        day_list, account_list = days.to_pylist(), accounts.to_pylist()
        refused_days = Counter(
            (self.tenant.tenant_id, self.platform, account_list[row], day_list[row])
            for row in refusals.reasons
            if day_list[row] is not None
        )
        kept_accounts = set(pc.unique(table.column("account_id")).to_pylist())
        return Batch(
            "csv",
            source.name,
            # What was decided on the way belongs to the fingerprint: tomorrow a day is no longer in the future.
            landing.digest(
                [content],
                {**options, "accounts": sorted(kept_accounts), "imported": imported, "refused": len(refused)},
            ),
            {"performance": table},
            refused,
            list(landing.cover(table, refused_days).values()),
            [known[name] for name in sorted(kept_accounts)],
            rows_read=self.rows_read,
            rows_imported=imported,
            rows_skipped=self.skipped,
            notes=self.notes,
            tenant_id=self.tenant.tenant_id,
            platform=self.platform,
            account_id=next(iter(kept_accounts)) if len(kept_accounts) == 1 else None,
        )

    # -- the parts, in the order they are used --------------------------------------------------------------

    def _totals(self, source: TextTable) -> pa.Array:
        """Rows that add up the others: a total by name, or figures without any id, name and day."""
        rows = source.table.num_rows
        columns = self.mapped.columns
        described = [columns[name] for name in (*IDS, *NAMES) if name in columns]
        dated = [columns[name] for name in ("day", PERIOD_BEGIN) if name in columns and self.day is None]
        no_day = pa.repeat(pa.scalar(True), rows)
        for heading in dated:
            texts = values.blank_nothings(source.table.column(heading).combine_chunks())
            no_day = pc.and_(no_day, pc.or_(pc.is_null(texts), _is_total(texts)))
        blank = pa.repeat(pa.scalar(bool(described)), rows)
        named = pa.repeat(pa.scalar(False), rows)
        for heading in described:
            texts = values.blank_nothings(source.table.column(heading).combine_chunks())
            blank = pc.and_(blank, pc.is_null(texts))
        for heading in dict.fromkeys([source.headings[0], *dated, *described]):
            named = pc.or_(named, _is_total(source.table.column(heading).combine_chunks()))
        if not dated:
            # Without a day column a campaign may be named "Total"; an id beside it shows that it is one.
            with_id = pa.repeat(pa.scalar(False), rows)
            for name in IDS:
                if name in columns:
                    texts = values.blank_nothings(source.table.column(columns[name]).combine_chunks())
                    with_id = pc.or_(with_id, pc.and_(pc.is_valid(texts), pc.invert(_is_total(texts))))
            named = pc.and_(named, pc.invert(with_id))
        return pc.and_(no_day, pc.or_(named, blank)) if dated else pc.or_(named, blank)

    def _describe_columns(self) -> None:
        columns = self.mapped.columns
        renamed = [
            f"{heading} → {name}" for name, heading in columns.items() if plain(heading) != plain(name)
        ]
        if renamed:
            self.notes.append(f"Columns read as: {', '.join(renamed)}.")
        if self.mapped.unused:
            self.notes.append(f"Columns not used: {', '.join(self.mapped.unused)}.")
        missing = [name for name in ("impressions", "clicks", "conversions") if name not in columns]
        if missing:
            self.notes.append(f"No column for {', '.join(missing)}: they stay unknown, not zero.")

    def _refuse_foreign_rows(self) -> None:
        """A file of several platforms or tenants is for `import history`; here the rows of others are refused."""
        for heading in self.source.headings:
            texts = self.source.table.column(heading).combine_chunks()
            if plain(heading) == "platform":
                lowered = pc.utf8_lower(texts)
                ours = pa.array([*PLATFORMS, "shopify"], TEXT)
                if pc.all(pc.is_in(lowered, value_set=ours)).as_py():
                    if heading in self.mapped.breakdowns:
                        self.mapped.breakdowns.remove(heading)
                    self.refusals.add(
                        pc.not_equal(lowered, self.platform),
                        figures.told(texts, "is of platform ", f", and the import of {self.platform}"),
                    )
            elif (
                plain(heading).replace(" ", "_") == "tenant_id"
                and heading not in self.mapped.columns.values()
            ):
                ours = pa.array([self.tenant.tenant_id, self.tenant.name], TEXT)
                self.refusals.add(
                    pc.invert(pc.is_in(texts, value_set=ours)),
                    figures.told(texts, "is of tenant ", f", and the import of {self.tenant.name}"),
                )

    def _column(self, name: str) -> pa.Array:
        heading = self.mapped.columns.get(name)
        if heading is None:
            return figures.nothing(self.rows)
        return values.blank_nothings(self.source.table.column(heading).combine_chunks())

    def _days(self) -> pa.Array:
        columns = self.mapped.columns
        if self.day is not None:
            return pa.repeat(pa.scalar(self.day, pa.date32()), self.rows)
        if "day" in columns:
            return self._read_days(columns["day"])
        begin = self._read_days(columns[PERIOD_BEGIN])
        if PERIOD_END in columns:
            end = self._read_days(columns[PERIOD_END])
            self.refusals.add(
                pc.not_equal(begin, end),
                lambda row: (
                    f"covers {begin[row]} to {end[row]}, not one day: export with a breakdown by day, or put the file "
                    "on one day with --day"
                ),
            )
        return begin

    def _read_days(self, heading: str) -> pa.Array:
        texts = self.source.table.column(heading).combine_chunks()
        found, problems = values.days(self.source.name, heading, texts, self.source.lines, self.dates)
        self.refusals.add_each(problems)
        self.refusals.add(pc.is_null(texts), f"{heading} is empty")
        return found

    def _known_on(self, days: pa.Array) -> pa.Array:
        if "known_on" not in self.mapped.columns:
            return pa.nulls(self.rows, pa.date32())
        heading = self.mapped.columns["known_on"]
        texts = self._column("known_on")
        found, problems = values.days(self.source.name, heading, texts, self.source.lines, self.dates)
        self.refusals.add_each(problems)
        self.refusals.add(pc.less(found, days), f"{heading} is before the day itself")
        return found

    def _blank_is_zero(self) -> set[str]:
        """Ads managers leave a cell empty where nothing happened; in a file of one's own, empty is unknown."""
        return self.mapped.recognised & (set(MEASURES) - {"reach", "frequency"})

    def _accounts(self) -> pa.Array:
        if self.account is not None:
            return figures.every(self.account, self.rows)
        rows = self.connection.execute(
            "select account_id from tenancy.ad_accounts where tenant_id = %s and platform = %s order by account_id",
            (self.tenant.tenant_id, self.platform),
        ).fetchall()
        only = rows[0][0] if len(rows) == 1 else NO_ACCOUNT
        if "account_id" in self.mapped.columns:
            found = figures.ids(self.source, self.mapped.columns["account_id"], self.refusals)
            if found.null_count:
                self.notes.append(f"Rows without an account are put in account {only}.")
            return pc.fill_null(found, only)
        if len(rows) > 1:
            names = ", ".join(row[0] for row in rows[:5])
            self.notes.append(
                f"{self.tenant.name} has several {self.platform} accounts ({names}); the rows are put in account "
                f"{NO_ACCOUNT}. Name one with --account."
            )
        elif not rows:
            self.notes.append(f"No account is named; the rows are put in account {NO_ACCOUNT}.")
        return figures.every(only, self.rows)

    def _currencies(self, accounts: pa.Array) -> tuple[pa.Array, dict[str, Account]]:
        """The currency of each row, and what is known of each account. An account has one currency, for ever."""
        earlier = landing.known_accounts(self.connection, [self.tenant.tenant_id])
        stated = self.currency or self.mapped.currency
        if stated is None and "currency" not in self.mapped.columns:
            signs = values.currency_signs(
                self.source.table.column(self.mapped.columns["spend"]).combine_chunks()
            )
            if len(signs) > 1:
                raise ContractError(
                    f"{self.source.name} has amounts in {' and '.join(sorted(signs))}.",
                    "Import them one by one.",
                )
            stated = next(iter(signs), None)
        said = pc.utf8_upper(self._column("currency"))
        self.refusals.add(
            pc.invert(pc.match_substring_regex(said, "^[A-Z]{3}$")),
            lambda row: f"currency is '{said[row].as_py()}', not three letters like USD",
        )
        names = self._column("account_name")
        zones = self._column("timezone")
        codes = accounts.dictionary_encode()
        known: dict[str, Account] = {}
        homes: list[str] = []
        for name in codes.dictionary.to_pylist():
            account = earlier.get((self.tenant.tenant_id, self.platform, name))
            most = figures.most_frequent(said.filter(pc.equal(accounts, name)).drop_null().to_pylist())
            home = account.currency if account else self.currency or most or stated or self.tenant.currency
            if account is None and not (stated or most):
                self.notes.append(
                    f"No currency is named; account {name} is taken to be in {home}, as {self.tenant.name} is."
                )
            homes.append(home)
            rows = pc.equal(accounts, name)
            known[name] = Account(
                self.tenant.tenant_id,
                self.platform,
                name,
                home,
                _first(zones.filter(rows)),
                _first(names.filter(rows)),
            )
        home_of = figures.take_by(codes.indices, homes, TEXT)
        row_says = (
            pc.coalesce(said, pa.scalar(stated, TEXT), home_of)
            if self.currency is None
            else figures.every(self.currency, self.rows)
        )
        self.refusals.add(
            pc.not_equal(row_says, home_of),
            lambda row: (
                f"is in {row_says[row].as_py()}, and account {accounts[row].as_py()} in {home_of[row].as_py()}"
            ),
        )
        return row_says, known

    def _refuse_future(
        self, days: pa.Array, known_on: pa.Array, accounts: pa.Array, known: Mapping[str, Account]
    ) -> None:
        codes = accounts.dictionary_encode()
        limits = [
            figures.today_in(known[name].timezone or self.tenant.timezone, self.now)
            for name in codes.dictionary.to_pylist()
        ]
        limit = figures.take_by(codes.indices, limits, pa.date32())
        self.refusals.add(pc.greater(days, limit), figures.told(days, "day ", " is in the future"))
        self.refusals.add(
            pc.greater(known_on, limit), figures.told(known_on, "known_on ", " is in the future")
        )

    def _entities(self, accounts: pa.Array) -> figures.Entities:
        """Ids, or names where a level has no id column, and the parents that earlier loads knew."""
        columns = self.mapped.columns
        found: dict[str, pa.Array] = {}
        parent: pa.Array | None = None
        for id_field, name_field in zip(IDS, NAMES, strict=True):
            if id_field in columns or name_field not in columns:
                found[id_field] = figures.ids(self.source, columns.get(id_field), self.refusals)
            else:
                found[id_field] = _names_as_ids(self._column(name_field), parent)
                self.notes.append(
                    f"No column for the id of the {LEVEL_WORDS[id_field]}: its name ({columns[name_field]}) serves as "
                    "id. A renamed one will look like a new one; export the id column to avoid that."
                )
            if found[id_field].null_count < self.rows:
                parent = found[id_field]
        if all(array.null_count == self.rows for array in found.values()):
            self.notes.append(
                "No campaign, ad set or ad is named: the rows count for the account as a whole."
            )
        platform = figures.every(self.platform, self.rows)
        entities = figures.entities(platform, accounts, *(found[name] for name in IDS))
        return self._with_known_parents(entities)

    def _with_known_parents(self, found: figures.Entities) -> figures.Entities:
        orphan = pc.or_(
            pc.and_(
                pc.is_in(found.level, value_set=pa.array(["ad", "adset"])), pc.is_null(found.campaign_id)
            ),
            pc.and_(pc.equal(found.level, "ad"), pc.is_null(found.adset_id)),
        )
        if not pc.any(orphan).as_py():
            return found
        wanted = pc.unique(found.platform_id.filter(orphan)).to_pylist()
        rows = self.connection.execute(
            """
            select distinct on (v.level, v.platform_id) v.level, v.platform_id, v.campaign_id, v.adset_id
            from history.performance_versions as v
            where v.tenant_id = %s and v.platform = %s and v.platform_id = any(%s)
            order by v.level, v.platform_id, v.day desc, v.known_on desc
            """,
            (self.tenant.tenant_id, self.platform, wanted),
        ).fetchall()
        known = {(level, name): (campaign, adset) for level, name, campaign, adset in rows}
        if not known:
            return found
        keys = zip(found.level.to_pylist(), found.platform_id.to_pylist(), strict=True)
        pairs = [known.get(key, (None, None)) for key in keys]
        campaign = pa.array([pair[0] for pair in pairs], TEXT)
        adset = pa.array([pair[1] for pair in pairs], TEXT)
        return figures.Entities(
            found.level,
            found.platform_id,
            pc.coalesce(found.campaign_id, campaign),
            pc.coalesce(found.adset_id, adset),
        )

    def _add_up_breakdowns(self, table: pa.Table) -> pa.Table:
        if not self.mapped.breakdowns:
            return table
        keys = ("account_id", "level", "platform_id", "day", "known_on")
        left_out = ("reach", "frequency")
        sums = tuple(name for name in MEASURES if name not in left_out)
        others = tuple(name for name in table.column_names if name not in (*keys, *sums, *left_out))
        added = figures.summed(table, keys, sums, others)
        if added.num_rows == table.num_rows:
            return table
        self.notes.append(
            f"{table.num_rows:,} rows broken down by {', '.join(self.mapped.breakdowns)} were added up to "
            f"{added.num_rows:,}; reach and frequency do not add up and are left out."
        )
        columns = {
            name: added.column(name).combine_chunks() for name in table.column_names if name not in left_out
        }
        return tables.build("performance", columns, added.num_rows)


def _is_total(texts: pa.Array) -> pa.Array:
    codes = texts.dictionary_encode()
    distinct = [TOTAL.match(text) is not None for text in codes.dictionary.to_pylist()]
    return pc.fill_null(pa.array(distinct, pa.bool_()).take(codes.indices), False)


def _names_as_ids(names: pa.Array, parent: pa.Array | None) -> pa.Array:
    """A name serves as id; one that several parents share is told apart by its parent, `parent / name`."""
    if parent is None:
        return names
    pairs = pa.table({"name": names, "parent": parent}).group_by(["name", "parent"]).aggregate([])
    shared = Counter(name for name in pairs.column("name").to_pylist() if name is not None)
    repeated = pa.array(sorted(name for name, parents in shared.items() if parents > 1), TEXT)
    path = pc.coalesce(pc.binary_join_element_wise(parent, names, " / "), names)
    return pc.if_else(pc.is_in(names, value_set=repeated), path, names)


def _first(texts: pa.Array) -> str | None:
    found: Sequence[str] = texts.drop_null().slice(0, 1).to_pylist()
    return found[0] if found else None


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
