"""Figures of many tenants, platforms and accounts in one file: `aegis import history`.

Files     ads (figures), campaigns (how they stand at the end of the file), changes (each in force from its day on)
Grain     ads: one row per entity, day and known day; the finest id of a row is its level
Covers    every account-day from the account's first row to the file's last day: a day without rows is zero delivery
Known     with `known_on`, on that day; without, a row is known at the end of its own day but reported on the account's
          last day in the file, since the file is a snapshot of it
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.coverage import Covered, Refused
from dlt_pipelines.common.errors import ContractError
from dlt_pipelines.manual import figures, landing, tables, values
from dlt_pipelines.manual.headings import IDS, NAMES, PLATFORMS, plain
from dlt_pipelines.manual.landing import Account, Batch, ImportResult, Tenant
from dlt_pipelines.manual.statuses import status_word
from dlt_pipelines.manual.text import TOTAL, RawFile, TextTable, read_file, read_table

if TYPE_CHECKING:
    import psycopg

TEXT, DAY = pa.string(), pa.date32()
RESERVED = "00000000-0000-0000-0000-000000000000"
DEFAULT_CURRENCY, DEFAULT_TIMEZONE = "USD", "America/Toronto"

KEY = ("tenant_id", "platform", "account_id")
ADS_NEEDED = (
    *KEY,
    "currency",
    "campaign_id",
    "adset_id",
    "ad_id",
    "day",
    "spend",
    "impressions",
    "clicks",
    "conversions",
    "conversion_value",
)
ADS_OPTIONAL = (
    "reach",
    "frequency",
    "known_on",
    "link_clicks",
    "view_through_conversions",
    *NAMES,
    "account_name",
    "timezone",
)
CAMPAIGNS_NEEDED = (*KEY, "campaign_id", "status")
CAMPAIGNS_OPTIONAL = ("campaign_name", "objective", "start_day", "daily_budget", "target_roas", "target_cpa")
CHANGES_NEEDED = (*KEY, "campaign_id", "day", "field", "old", "new")
BUDGETS = ("daily_budget", "target_roas", "target_cpa")


def import_history(
    connections: Connections,
    ads: Path,
    *,
    campaigns: Path | None = None,
    changes: Path | None = None,
    create_tenants: bool = False,
    decimal: str | None = None,
    dates: str | None = None,
    encoding: str | None = None,
    now: dt.datetime | None = None,
) -> ImportResult:
    """Load figures, and how their campaigns stood and changed, of any number of tenants.

    `tenant_id` in a file is a tenant's id or any text, which is then its name. Without `create_tenants` an unknown
    tenant is an error, before anything is written.
    """
    now = now or dt.datetime.now(dt.UTC)
    files: list[RawFile] = []
    opened = [
        _open(path, needed, optional, encoding, files)
        for path, needed, optional in (
            (ads, ADS_NEEDED, ADS_OPTIONAL),
            (campaigns, CAMPAIGNS_NEEDED, CAMPAIGNS_OPTIONAL),
            (changes, CHANGES_NEEDED, ()),
        )
    ]
    figures_file, campaign_file, change_file = opened
    assert figures_file is not None
    with landing.session(connections) as connection:
        reading = _Reading(connection, [file for file in opened if file], create_tenants, decimal, dates, now)
        performance = reading.performance(figures_file)
        loaded = {"performance": performance}
        if campaign_file is not None:
            loaded["campaigns"] = reading.campaigns(campaign_file)
        if change_file is not None:
            loaded["changes"] = reading.changes(change_file)
        imported = sum(table.num_rows for table in loaded.values())
        options = {
            "kind": "history",
            "tenants": sorted(reading.tenant_of.items()),
            "decimal": decimal,
            "dates": dates,
            "files": [file is not None for file in opened],
            "imported": imported,
            "refused": len(reading.refused),
        }
        batch = Batch(
            "history",
            ", ".join(file.name for file in files),
            landing.digest([file.content for file in files], options),
            loaded,
            reading.refused,
            list(reading.covered(performance)),
            reading.accounts(performance),
            [tenant for tenant in reading.new_tenants if tenant.tenant_id in reading.served(loaded)],
            rows_read=reading.rows_read,
            rows_imported=imported if performance.num_rows else 0,
            rows_skipped=reading.skipped,
            notes=reading.notes,
        )
        return landing.store(connections, connection, batch)


@dataclass
class _File:
    """One file with its columns found: field -> heading."""

    source: TextTable
    columns: dict[str, str]

    @property
    def rows(self) -> int:
        return self.source.table.num_rows

    def text(self, field: str) -> pa.Array:
        if field not in self.columns:
            return figures.nothing(self.rows)
        return values.blank_nothings(self.source.table.column(self.columns[field]).combine_chunks())


def _open(
    path: Path | None,
    needed: Sequence[str],
    optional: Sequence[str],
    encoding: str | None,
    files: list[RawFile],
) -> _File | None:
    if path is None:
        return None
    file = read_file(path)
    files.append(file)
    wanted = {*needed, *optional}
    advice = f"The columns are: {', '.join((*needed, *optional))}."
    source = read_table(file, lambda heading: _field(heading) in wanted, encoding, advice)
    columns: dict[str, str] = {}
    for heading in source.headings:
        field = _field(heading)
        if field in wanted:
            if field in columns:
                raise ContractError(f"{file.name} has two columns for {field}.", "Remove one of them.")
            columns[field] = heading
    missing = [field for field in needed if field not in columns]
    if missing:
        raise ContractError(
            f"{file.name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has: "
            f"{', '.join(source.headings)}.",
            "Name the columns so (a column may be empty); optional ones are: "
            + (", ".join(optional) or "none")
            + ".",
        )
    return _File(source, columns)


def _field(heading: str) -> str:
    return plain(heading).replace(" ", "_")


class _Reading:
    """The files of one import on their way to a batch."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        files: Sequence[_File],
        create_tenants: bool,
        decimal: str | None,
        dates: str | None,
        now: dt.datetime,
    ) -> None:
        self.connection = connection
        self.decimal = decimal
        self.dates = dates
        self.now = now
        self.notes: list[str] = []
        self.refused: list[Refused] = []
        self.refused_days: Counter[tuple[str, str, str, dt.date]] = Counter()
        self.rows_read = sum(file.rows + len(file.source.malformed) for file in files)
        self.skipped = 0
        for file in files:
            self._skip_totals(file)
            unused = [heading for heading in file.source.headings if heading not in file.columns.values()]
            if unused:
                self.notes.append(f"Columns of {file.source.name} not used: {', '.join(unused)}.")
        self.known = landing.known_tenants(connection)
        self.new_tenants: list[Tenant] = []
        self.tenant_of = self._tenants(files, create_tenants)
        self.known_accounts = landing.known_accounts(connection, list(self.tenant_of.values()))
        self.account_of: dict[str, Account] = {}

    def _skip_totals(self, file: _File) -> None:
        """Rows of totals have no tenant, platform, account and day, or the word in place of one of them."""
        total = pa.repeat(pa.scalar(True), file.rows)
        for field in ("tenant_id", "platform", "account_id", "day"):
            if field in file.columns:
                texts = file.text(field)
                if texts.null_count == 0 and field != "tenant_id":
                    return
                codes = texts.dictionary_encode()
                words = pa.array(
                    [TOTAL.match(text) is not None for text in codes.dictionary.to_pylist()], pa.bool_()
                )
                total = pc.and_(
                    total, pc.or_(pc.is_null(texts), pc.fill_null(words.take(codes.indices), False))
                )
        if pc.any(total).as_py():
            lines = file.source.lines.filter(total).to_pylist()
            self.skipped += len(lines)
            self.notes.append(
                f"{len(lines)} row(s) of totals skipped in {file.source.name} (line "
                f"{', '.join(str(line) for line in lines[:5])}): the others are added up."
            )
            file.source = file.source.without(total)
            if not file.rows:
                raise ContractError(f"{file.source.name} has 0 rows besides its total.", "Export it again.")

    # -- tenants and accounts -------------------------------------------------------------------------------

    def _tenants(self, files: Sequence[_File], create: bool) -> dict[str, str]:
        """Text in a file -> tenant id. Raises for unknown ones unless they are to be created."""
        by_id = {tenant.tenant_id: tenant for tenant in self.known}
        by_name = {tenant.name: tenant for tenant in self.known}
        by_name |= {tenant.external_id: tenant for tenant in self.known if tenant.external_id}
        found: dict[str, str] = {}
        unknown: dict[str, str] = {}
        texts = dict.fromkeys(
            text for file in files for text in pc.unique(file.text("tenant_id")).to_pylist() if text
        )
        for text in texts:
            as_id = _uuid(text)
            if as_id == RESERVED or text == "everybody":
                raise ContractError(
                    f"Tenant {text} is the reserved one, whose rows everybody reads.",
                    "Name a tenant of your own.",
                )
            if as_id is not None and as_id in by_id:
                found[text] = as_id
            elif text in by_name:
                found[text] = by_name[text].tenant_id
            else:
                unknown[text] = as_id or str(uuid.uuid4())
        if unknown and not create:
            named = ", ".join(list(unknown)[:5]) + (
                f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            )
            raise ContractError(
                f"The file names {'tenants' if len(unknown) > 1 else 'a tenant'} that Aegis does not know: {named}.",
                "Add --create-tenants to create them, or add them with `aegis tenant add`.",
            )
        made: dict[str, str] = {}
        for text, tenant_id in unknown.items():
            # One tenant may be written in two ways: as an id in upper and in lower case.
            if tenant_id not in made:
                made[tenant_id] = text
                currency, timezone = _habits(files[0], text)
                external_id = None if _uuid(text) else text
                self.new_tenants.append(Tenant(tenant_id, text, currency, timezone, external_id))
            found[text] = tenant_id
        return found

    def _tenant_ids(self, file: _File, refusals: figures.Refusals) -> pa.Array:
        texts = file.text("tenant_id")
        refusals.add(pc.is_null(texts), "has no tenant_id")
        codes = texts.dictionary_encode()
        return figures.take_by(
            codes.indices, [self.tenant_of[text] for text in codes.dictionary.to_pylist()], TEXT
        )

    def _keys(self, file: _File, refusals: figures.Refusals) -> tuple[pa.Array, pa.Array, pa.Array]:
        """tenant, platform and account of each row."""
        tenant = self._tenant_ids(file, refusals)
        platform = pc.utf8_lower(file.text("platform"))
        refusals.add(
            pc.fill_null(pc.invert(pc.is_in(platform, value_set=pa.array(PLATFORMS, TEXT))), True),
            lambda row: (
                (
                    f"is of platform {platform[row].as_py()}, which has no ad figures here"
                    if platform[row].is_valid
                    else "has no platform"
                )
                + f"; platforms: {', '.join(PLATFORMS)}"
            ),
        )
        account = figures.ids(file.source, file.columns["account_id"], refusals)
        refusals.add(pc.is_null(account), "has no account_id")
        return tenant, platform, account

    def _timezone_of_tenant(self) -> dict[str, str]:
        return {tenant.tenant_id: tenant.timezone for tenant in (*self.known, *self.new_tenants)}

    def _note_accounts(
        self, keys: pa.DictionaryArray, currency: pa.Array, names: pa.Array, zones: pa.Array
    ) -> None:
        """What the file says of each account; its currency is the known one, else the one most of its rows have."""
        spoken = pa.table({"key": keys, "currency": currency, "name": names, "zone": zones})
        spoken = spoken.set_column(0, "key", keys.cast(TEXT))
        grouped = spoken.group_by(["key", "currency"]).aggregate(
            [([], "count_all"), ("name", "max"), ("zone", "max")]
        )
        counted: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in grouped.to_pylist():
            counted[row["key"]].append(row)
        for key, rows in counted.items():
            tenant_id, platform, account_id = key.split(figures.SEPARATOR)
            earlier = self.known_accounts.get((tenant_id, platform, account_id))
            valid = [row for row in rows if row["currency"]]
            most = (
                min(valid, key=lambda row: (-row["count_all"], row["currency"]))["currency"]
                if valid
                else None
            )
            self.account_of[key] = Account(
                tenant_id,
                platform,
                account_id,
                earlier.currency if earlier else most or "",
                max((row["zone_max"] for row in rows if row["zone_max"]), default=None),
                max((row["name_max"] for row in rows if row["name_max"]), default=None),
            )

    def _limits(self, keys: pa.DictionaryArray) -> pa.Array:
        """The running day of each row's account."""
        home = self._timezone_of_tenant()
        limits = []
        for key in keys.dictionary.to_pylist():
            tenant_id, platform, account_id = key.split(figures.SEPARATOR)
            account = self.account_of.get(key)
            earlier = self.known_accounts.get((tenant_id, platform, account_id))
            zone = (account and account.timezone) or (earlier and earlier.timezone) or home.get(tenant_id)
            limits.append(figures.today_in(zone, self.now))
        return figures.take_by(keys.indices, limits, DAY)

    # -- the three files ------------------------------------------------------------------------------------

    def performance(self, file: _File) -> pa.Table:
        refusals = figures.Refusals(file.source)
        tenant, platform, account = self._keys(file, refusals)
        days = self._days(file, "day", refusals, needed=True)
        known_on = self._days(file, "known_on", refusals)
        refusals.add(
            pc.less(known_on, days), lambda row: f"known_on {known_on[row]} is before day {days[row]}"
        )

        currency = pc.utf8_upper(file.text("currency"))
        refusals.add(
            pc.fill_null(pc.invert(pc.match_substring_regex(currency, "^[A-Z]{3}$")), True),
            lambda row: (
                f"currency is '{currency[row].as_py()}', not three letters like USD"
                if currency[row].is_valid
                else "has no currency"
            ),
        )
        keys = figures.joined([tenant, platform, account]).dictionary_encode()
        valid = pc.if_else(refusals.kept(), currency, pa.scalar(None, TEXT))
        self._note_accounts(keys, valid, file.text("account_name"), file.text("timezone"))
        homes = [self.account_of[key].currency for key in keys.dictionary.to_pylist()]
        home = figures.take_by(keys.indices, homes, TEXT)
        refusals.add(
            pc.not_equal(currency, home),
            lambda row: (
                f"is in {currency[row].as_py()}, and account {account[row].as_py()} in {home[row].as_py()}"
            ),
        )
        limit = self._limits(keys)
        refusals.add(pc.greater(days, limit), figures.told(days, "day ", " is in the future"))
        refusals.add(pc.greater(known_on, limit), figures.told(known_on, "known_on ", " is in the future"))

        numbers = figures.measures(file.source, file.columns, refusals, self.decimal)
        found = figures.entities(
            platform, account, *(figures.ids(file.source, file.columns[name], refusals) for name in IDS)
        )
        figures.duplicates(
            [tenant, platform, found.level, found.platform_id, days, known_on],
            refusals,
            "entity, day and known day" if "known_on" in file.columns else "entity and day",
        )
        found = figures.with_parents(found, account)
        kept = refusals.kept()
        reported_on = pc.coalesce(known_on, _last_day_by(keys.indices, days, kept, len(keys.dictionary)))
        table = tables.build(
            "performance",
            {
                "tenant_id": tenant,
                "account_id": account,
                "platform": platform,
                "currency": currency,
                "level": found.level,
                "platform_id": found.platform_id,
                "campaign_id": found.campaign_id,
                "adset_id": found.adset_id,
                "day": days,
                "known_on": known_on,
                "reported_on": reported_on,
                **numbers,
                **{name: file.text(name) for name in NAMES},
                "source_name": pa.scalar(file.source.name, TEXT),
                "line": file.source.lines,
            },
            file.rows,
        ).filter(kept)
        self._finish(file, refusals, tenant, platform, account, days)
        if "known_on" in file.columns and known_on.null_count < file.rows:
            self.notes.append(
                "The file says when its figures were reported (known_on): they become versions."
            )
        self.last_day: dt.date | None = pc.max(table.column("day")).as_py() if table.num_rows else None
        return table

    def campaigns(self, file: _File) -> pa.Table:
        refusals = figures.Refusals(file.source)
        tenant, platform, account = self._keys(file, refusals)
        campaign = figures.ids(file.source, file.columns["campaign_id"], refusals)
        refusals.add(pc.is_null(campaign), "has no campaign_id")
        start_day = self._days(file, "start_day", refusals)
        columns = {
            name: values.Column(name, file.source.table.column(file.columns[name]).combine_chunks())
            for name in BUDGETS
            if name in file.columns
        }
        style = values.styles(
            file.source.name, columns, file.source.lines, file.source.delimiter, self.decimal
        )
        amounts: dict[str, pa.Array] = {}
        for name, column in columns.items():
            amounts[name], problems = values.numbers(column, style[name])
            refusals.add_each(problems)
            refusals.add(
                pc.less(amounts[name], pa.scalar(0, tables.MONEY)),
                figures.told(column.values, f"{column.label} is ", ", below zero"),
            )
        figures.duplicates([tenant, platform, campaign], refusals, "campaign")
        table = tables.build(
            "campaigns",
            {
                "tenant_id": tenant,
                "account_id": account,
                "platform": platform,
                "campaign_id": campaign,
                "campaign_name": file.text("campaign_name"),
                "objective": file.text("objective"),
                "start_day": start_day,
                "status": _statuses(file.text("status")),
                **amounts,
                "snapshot_day": pa.scalar(self.last_day or self.now.date(), DAY),
                "source_name": pa.scalar(file.source.name, TEXT),
                "line": file.source.lines,
            },
            file.rows,
        ).filter(refusals.kept())
        self._finish(file, refusals, tenant, platform, account)
        return table

    def changes(self, file: _File) -> pa.Table:
        refusals = figures.Refusals(file.source)
        tenant, platform, account = self._keys(file, refusals)
        campaign = figures.ids(file.source, file.columns["campaign_id"], refusals)
        refusals.add(pc.is_null(campaign), "has no campaign_id")
        days = self._days(file, "day", refusals, needed=True)
        keys = figures.joined([tenant, platform, account]).dictionary_encode()
        refusals.add(pc.greater(days, self._limits(keys)), figures.told(days, "day ", " is in the future"))
        field = pc.utf8_lower(file.text("field"))
        refusals.add(pc.is_null(field), "has no field")
        old = self._change_values(file, "old", field, refusals)
        new = self._change_values(file, "new", field, refusals)
        table = tables.build(
            "changes",
            {
                "tenant_id": tenant,
                "account_id": account,
                "platform": platform,
                "campaign_id": campaign,
                "day": days,
                "field": field,
                "old_value": old,
                "new_value": new,
                "source_name": pa.scalar(file.source.name, TEXT),
                "line": file.source.lines,
            },
            file.rows,
        ).filter(refusals.kept())
        self._finish(file, refusals, tenant, platform, account)
        return table

    def _change_values(
        self, file: _File, column: str, field: pa.Array, refusals: figures.Refusals
    ) -> pa.Array:
        """Statuses in our words, amounts as plain numbers, everything else as it is."""
        texts = file.text(column)
        found = pc.if_else(pc.equal(field, "status"), _statuses(texts), texts)
        is_amount = pc.fill_null(pc.is_in(field, value_set=pa.array(BUDGETS, TEXT)), False)
        if not pc.any(is_amount).as_py():
            return found
        amounts = values.Column(column, pc.if_else(is_amount, texts, pa.scalar(None, TEXT)))
        source = file.source
        style = values.styles(source.name, {column: amounts}, source.lines, source.delimiter, self.decimal)
        numbers, problems = values.numbers(amounts, style[column])
        refusals.add_each(problems)
        refusals.add(
            pc.less(numbers, pa.scalar(0, tables.MONEY)),
            figures.told(texts, f"{column} is ", ", below zero"),
        )
        plain_numbers = pc.replace_substring_regex(numbers.cast(TEXT), r"\.?0+$", "")
        return pc.if_else(is_amount, pc.if_else(pc.equal(plain_numbers, ""), "0", plain_numbers), found)

    def _days(self, file: _File, field: str, refusals: figures.Refusals, needed: bool = False) -> pa.Array:
        if field not in file.columns:
            return pa.nulls(file.rows, DAY)
        texts = file.text(field)
        found, problems = values.days(
            file.source.name, file.columns[field], texts, file.source.lines, self.dates
        )
        refusals.add_each(problems)
        if needed:
            refusals.add(pc.is_null(texts), f"has no {field}")
        return found

    def _finish(
        self,
        file: _File,
        refusals: figures.Refusals,
        tenant: pa.Array,
        platform: pa.Array,
        account: pa.Array,
        days: pa.Array | None = None,
    ) -> None:
        refused = len(refusals.reasons) + len(file.source.malformed)
        taken = file.rows - len(refusals.reasons)
        self.notes.append(f"{file.source.name}: {taken:,} rows taken, {refused:,} refused.")
        if not refused:
            return
        columns = tenant.to_pylist(), platform.to_pylist(), account.to_pylist()
        self.refused += refusals.as_refused(*columns)
        if days is not None:
            listed = days.to_pylist()
            for row in refusals.reasons:
                key = (columns[0][row], columns[1][row], columns[2][row], listed[row])
                if None not in key:
                    self.refused_days[key] += 1

    # -- what the load covers -------------------------------------------------------------------------------

    def covered(self, performance: pa.Table) -> Iterator[Covered]:
        """Every day from an account's first row to the file's last day, but those of which all rows were refused."""
        if not performance.num_rows or self.last_day is None:
            return
        with_rows = landing.cover(performance, self.refused_days)
        first: dict[tuple[str, str, str], dt.date] = {}
        for tenant_id, platform, account_id, day in with_rows:
            key = (tenant_id, platform, account_id)
            first[key] = min(first.get(key, day), day)
        one = dt.timedelta(days=1)
        for (tenant_id, platform, account_id), day in sorted(first.items()):
            while day <= self.last_day:
                account_day = (tenant_id, platform, account_id, day)
                if account_day in with_rows:
                    yield with_rows[account_day]
                elif account_day not in self.refused_days:
                    yield Covered(*account_day, rows=0)
                day += one

    def accounts(self, performance: pa.Table) -> list[Account]:
        if not performance.num_rows:
            return []
        keys = pc.unique(figures.joined([performance.column(name).combine_chunks() for name in KEY_ORDER]))
        return [self.account_of[key] for key in sorted(keys.to_pylist())]

    def served(self, loaded: Mapping[str, pa.Table]) -> set[str]:
        """Tenants that at least one row is loaded for."""
        return {
            name for table in loaded.values() for name in pc.unique(table.column("tenant_id")).to_pylist()
        }


KEY_ORDER = ("tenant_id", "platform", "account_id")


def _uuid(text: str) -> str | None:
    if not re.fullmatch(r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?", text):
        return None
    return str(uuid.UUID(text))


def _habits(file: _File, tenant: str) -> tuple[str, str]:
    """Currency and time zone for a tenant to be created: those of most of its rows."""
    mine = pc.equal(file.text("tenant_id"), tenant)
    currencies = pc.utf8_upper(file.text("currency")).filter(mine).drop_null().to_pylist()
    zones = file.text("timezone").filter(mine).drop_null().to_pylist()
    valid = [text for text in currencies if re.fullmatch("[A-Z]{3}", text)]
    return figures.most_frequent(valid) or DEFAULT_CURRENCY, figures.most_frequent(zones) or DEFAULT_TIMEZONE


def _statuses(texts: pa.Array) -> pa.Array:
    codes = texts.dictionary_encode()
    return figures.take_by(codes.indices, [status_word(text) for text in codes.dictionary.to_pylist()], TEXT)


def _last_day_by(codes: pa.Array, days: pa.Array, kept: pa.Array, accounts: int) -> pa.Array:
    """Each row's account's last day among the rows that are kept."""
    grouped = pa.table({"code": codes, "day": days}).filter(kept).group_by("code").aggregate([("day", "max")])
    last: list[dt.date | None] = [None] * accounts
    for code, day in zip(
        grouped.column("code").to_pylist(), grouped.column("day_max").to_pylist(), strict=True
    ):
        last[code] = day
    return figures.take_by(codes, last, DAY)
