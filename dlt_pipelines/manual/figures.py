"""Rows of figures, whatever file they came from: levels, parents, currencies, days, duplicates, refusals.

All of it works on whole columns; Python looks at single rows only where one is refused.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common.coverage import Refused
from dlt_pipelines.manual import values
from dlt_pipelines.manual.headings import COUNTS, MEASURES
from dlt_pipelines.manual.text import TextTable

SEPARATOR = "\x1f"
NOT_NEGATIVE = tuple(name for name in MEASURES if name != "conversion_value")  # refunds may exceed sales
TEXT = pa.string()


@dataclass
class Refusals:
    """The first reason found against each row, by the row's index in its file."""

    source: TextTable
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, mask: pa.Array, reason: str | Callable[[int], str]) -> None:
        for index in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
            if index not in self.reasons:
                self.reasons[index] = reason if isinstance(reason, str) else reason(index)

    def add_each(self, problems: Mapping[int, str]) -> None:
        for index, reason in problems.items():
            self.reasons.setdefault(index, reason)

    def kept(self) -> pa.Array:
        """True where a row has no reason against it."""
        rows = self.source.table.num_rows
        if not self.reasons:
            return pa.repeat(pa.scalar(True), rows)
        return pc.invert(
            pc.is_in(pa.array(range(rows), pa.int64()), value_set=pa.array(self.reasons, pa.int64()))
        )

    def as_refused(
        self,
        tenant_ids: Sequence[str | None] | None = None,
        platforms: Sequence[str | None] | None = None,
        account_ids: Sequence[str | None] | None = None,
    ) -> list[Refused]:
        rows = sorted(self.reasons)
        indexes = pa.array(rows, pa.int64())
        payloads = self.source.table.take(indexes).to_pylist()
        lines = self.source.lines.take(indexes).to_pylist()
        found = [
            Refused(
                self.source.name,
                line,
                self.reasons[row],
                {heading: value for heading, value in payload.items() if value is not None},
                tenant_ids[row] if tenant_ids is not None else None,
                platforms[row] if platforms is not None else None,
                account_ids[row] if account_ids is not None else None,
            )
            for row, line, payload in zip(rows, lines, payloads, strict=True)
        ]
        found += [Refused(self.source.name, line, reason, row) for line, reason, row in self.source.malformed]
        return sorted(found, key=lambda row: row.line or 0)


def told(texts: pa.Array, before: str, after: str = "") -> Callable[[int], str]:
    """A reason that quotes the row's own value."""
    return lambda row: f"{before}{texts[row].as_py()}{after}"


def nothing(rows: int) -> pa.Array:
    return pa.nulls(rows, TEXT)


def every(text: str | None, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, TEXT), rows)


def joined(arrays: Iterable[pa.Array]) -> pa.Array:
    """One text key per row; null parts count as empty."""
    parts = [pc.fill_null(array if array.type == TEXT else array.cast(TEXT), "") for array in arrays]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, SEPARATOR)


def measures(
    source: TextTable,
    columns: Mapping[str, str],
    refusals: Refusals,
    decimal: str | None = None,
    blank_is_zero: Iterable[str] = (),
) -> dict[str, pa.Array]:
    """Figures by field, of the columns that are there: decimal(20,6), counts as bigint."""
    wanted = {
        name: values.Column(
            columns[name], source.table.column(columns[name]).combine_chunks(), name in COUNTS
        )
        for name in MEASURES
        if name in columns
    }
    style = values.styles(source.name, wanted, source.lines, source.delimiter, decimal)
    zero = pa.scalar("0", TEXT)
    found: dict[str, pa.Array] = {}
    for name, column in wanted.items():
        if name in blank_is_zero:
            filled = pc.fill_null(values.blank_nothings(column.values), zero)
            column = values.Column(column.label, filled, column.is_count)
        numbers, problems = values.numbers(column, style[name])
        refusals.add_each(problems)
        if name in NOT_NEGATIVE:
            refusals.add(
                pc.less(numbers, pa.scalar(0, numbers.type)),
                told(column.values, f"{column.label} is ", ", below zero"),
            )
        if name in COUNTS:
            whole = pc.round(numbers, 0, round_mode="towards_zero")
            refusals.add(
                pc.not_equal(numbers, whole),
                told(column.values, f"{column.label} is ", ", not a whole number"),
            )
            numbers = whole.cast(pa.decimal128(20, 0)).cast(pa.int64())
        found[name] = numbers
    if found:
        empty = pc.is_null(next(iter(found.values())))
        for numbers in found.values():
            empty = pc.and_(empty, pc.is_null(numbers))
        refusals.add(empty, "holds no figure at all")
    return found


DAMAGED_ID = r"^\d(\.\d+)?[eE]\+?\d{1,2}$"


def ids(source: TextTable, heading: str | None, refusals: Refusals) -> pa.Array:
    """An id column: trimmed, 'nothing' in words is null, and 123.0 (a data frame's) is 123."""
    rows = source.table.num_rows
    if heading is None:
        return nothing(rows)
    found = values.blank_nothings(source.table.column(heading).combine_chunks())
    refusals.add(
        pc.match_substring_regex(found, DAMAGED_ID),
        told(found, f"{heading} is ", ": a spreadsheet cut its digits off; export again"),
    )
    return pc.replace_substring_regex(found, r"^(\d+)\.0$", r"\1")


@dataclass(frozen=True)
class Entities:
    """Where each row's figures belong. Parents are null where the file does not tell them."""

    level: pa.Array
    platform_id: pa.Array
    campaign_id: pa.Array
    adset_id: pa.Array


def entities(
    platform: pa.Array, account: pa.Array, campaign: pa.Array, adset: pa.Array, ad: pa.Array
) -> Entities:
    """The finest id of each row is its level. A Google ad is `<ad group>~<ad>`: its own id is not unique."""
    is_google = pc.equal(platform, "google")
    composed = pc.fill_null(pc.and_(is_google, pc.match_substring(ad, "~")), False)
    group_of_ad = pc.replace_substring_regex(ad, r"~[^~]*$", "")
    adset = pc.if_else(pc.and_(composed, pc.is_null(adset)), group_of_ad, adset)
    compose = pc.and_(pc.and_(is_google, pc.invert(composed)), pc.is_valid(adset))
    ad = pc.if_else(compose, pc.binary_join_element_wise(adset, ad, "~"), ad)

    has_ad, has_adset, has_campaign = pc.is_valid(ad), pc.is_valid(adset), pc.is_valid(campaign)
    below = pc.if_else(has_campaign, "campaign", "account")
    level = pc.if_else(has_ad, "ad", pc.if_else(has_adset, "adset", below))
    return Entities(level, pc.coalesce(ad, adset, campaign, account), campaign, adset)


def with_parents(found: Entities, account: pa.Array) -> Entities:
    """Unknown parents get the names that hand-entered rows get: `<account>~unattributed`, `<campaign>~unattributed`."""
    campaign = pc.coalesce(found.campaign_id, pc.binary_join_element_wise(account, "unattributed", "~"))
    adset = pc.coalesce(found.adset_id, pc.binary_join_element_wise(campaign, "unattributed", "~"))
    null = pa.scalar(None, TEXT)
    is_account = pc.equal(found.level, "account")
    is_campaign = pc.equal(found.level, "campaign")
    return Entities(
        found.level,
        found.platform_id,
        pc.if_else(is_account, null, campaign),
        pc.if_else(pc.or_(is_account, is_campaign), null, adset),
    )


def duplicates(keys: Sequence[pa.Array], refusals: Refusals, what: str) -> None:
    """Refuse rows that share a key: copies after the first, and all rows of a key whose figures contradict each other.

    So the order of rows never decides which figures count.
    """
    rows = len(keys[0])
    table = pa.table({"key": joined(keys), "row": pa.array(range(rows), pa.int64())}).filter(refusals.kept())
    counted = table.group_by("key").aggregate([([], "count_all")])
    if counted.num_rows == table.num_rows:
        return
    repeated = counted.filter(pc.greater(counted.column("count_all"), 1)).column("key")
    several = table.filter(pc.is_in(table.column("key"), value_set=repeated.combine_chunks()))
    groups: dict[str, list[int]] = {}
    for key, row in zip(several.column("key").to_pylist(), several.column("row").to_pylist(), strict=True):
        groups.setdefault(key, []).append(row)
    indexes = several.column("row")
    contents = {
        row: tuple(content.values())
        for row, content in zip(
            indexes.to_pylist(), refusals.source.table.take(indexes).to_pylist(), strict=True
        )
    }
    lines = refusals.source.lines
    for members in groups.values():
        first = members[0]
        if all(contents[row] == contents[first] for row in members):
            for row in members[1:]:
                refusals.reasons[row] = f"is a copy of line {lines[first].as_py()}, which counts"
        else:
            for row in members:
                other = next(m for m in members if m != row)
                refusals.reasons[row] = (
                    f"has the same {what} as line {lines[other].as_py()} and other content, so neither counts"
                )


def most_frequent(texts: Sequence[str]) -> str | None:
    """The text that occurs most often; of several, the first in the alphabet, so that the order of rows is nothing."""
    counts = Counter(texts)
    return min(counts, key=lambda text: (-counts[text], text)) if counts else None


def today_in(timezone: str | None, now: dt.datetime) -> dt.date:
    """The running day of a time zone; where it is unknown, the latest day it is anywhere."""
    if timezone:
        try:
            return now.astimezone(ZoneInfo(timezone)).date()
        except (KeyError, ValueError, OSError):
            pass
    return (now.astimezone(dt.UTC) + dt.timedelta(hours=14)).date()


def take_by(codes: pa.Array, looked_up: Sequence[object], kind: pa.DataType) -> pa.Array:
    """looked_up[codes], as an array."""
    return pa.array(looked_up, kind).take(codes)


def summed(table: pa.Table, keys: Sequence[str], sums: Sequence[str], firsts: Sequence[str]) -> pa.Table:
    """Rows of one key added up; null where every row is null. Other columns are those of the earliest line."""
    ordered = table.sort_by([("line", "ascending")])
    plan = [(name, "sum") for name in sums] + [(name, "first") for name in firsts]
    grouped = ordered.group_by(list(keys), use_threads=False).aggregate(plan)
    names = {f"{name}_sum": name for name in sums} | {f"{name}_first": name for name in firsts}
    return grouped.rename_columns([names.get(name, name) for name in grouped.column_names])
