"""Files as they lie on a disk, read into tables of text: encodings, delimiters, preambles, malformed lines.

Grain   one row per record of the file, every value as text (null where empty), beside the line it began on
Raises  ContractError in one sentence for a file that cannot be read as a table
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common.errors import ContractError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
PREAMBLE_LINES = 30  # Google writes a title and a period above the headings; nobody writes more
CHUNK_ROWS = 50_000  # rows held as Python objects at one time
MAX_FIELD = 1_000_000
_SIGNATURES = {
    b"PK\x03\x04": ("is an Excel workbook or a zip archive", "Save it as CSV (UTF-8) first."),
    b"\xd0\xcf\x11\xe0": ("is an old Excel workbook", "Save it as CSV (UTF-8) first."),
    b"\x1f\x8b": ("is compressed with gzip", "Unpack it first."),
    b"%PDF": ("is a PDF document", "Export the report as CSV."),
}


@dataclass(frozen=True)
class RawFile:
    """A file's content, with the name a person knows it by."""

    name: str
    content: bytes

    @property
    def is_parquet(self) -> bool:
        return self.content[:4] == b"PAR1"


@dataclass
class TextTable:
    """Values as text under the file's own headings. `lines` holds the line each row began on, from 1.

    In a parquet file a line is the row's number, from 1.
    """

    name: str
    table: pa.Table
    lines: pa.Array
    delimiter: str = ","
    malformed: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)

    @property
    def headings(self) -> list[str]:
        return list(self.table.column_names)

    def without(self, dropped: pa.Array) -> TextTable:
        kept = pc.invert(dropped)
        return TextTable(
            self.name, self.table.filter(kept), self.lines.filter(kept), self.delimiter, self.malformed
        )


def read_file(path: Path) -> RawFile:
    """The whole file; says in a sentence why it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as problem:
        raise ContractError(f"There is no file {path}.", "Check the path.") from problem
    except IsADirectoryError as problem:
        raise ContractError(f"{path} is a folder, not a file.", "Name a file in it.") from problem
    except PermissionError as problem:
        raise ContractError(
            f"{path} may not be read by this user.", "Change its rights or copy it."
        ) from problem
    except OSError as problem:
        raise ContractError(
            f"{path} cannot be read: {problem.strerror or problem}.", "Copy it elsewhere."
        ) from problem
    if not content.strip():
        raise ContractError(f"{path.name} is empty: it has 0 rows.", "Export it again.")
    for signature, (what, then) in _SIGNATURES.items():
        if content.startswith(signature):
            raise ContractError(f"{path.name} {what}, not a CSV file.", then)
    return RawFile(path.name, content)


def decode(file: RawFile, encoding: str | None = None) -> str:
    """The file as text: UTF-8 or, with its mark or its zero bytes, UTF-16; any other only when it is named."""
    content = file.content
    if encoding is not None:
        try:
            return content.decode(encoding).removeprefix("\ufeff")
        except LookupError as problem:
            raise ContractError(
                f"There is no encoding {encoding!r}.", "Common ones are utf-8, utf-16, cp1252 and latin-1."
            ) from problem
        except UnicodeError as problem:
            raise ContractError(
                f"{file.name} is not encoded as {encoding}: {_place(content, problem)}.",
                "Leave --encoding out or name another one.",
            ) from problem
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        guess = "utf-16"
    elif content[1:200:2].count(0) > 50 or (
        len(content) < 200 and content[1::2].count(0) * 2 > len(content) * 0.8
    ):
        guess = "utf-16-le"
    elif content[0:200:2].count(0) > 50:
        guess = "utf-16-be"
    else:
        guess = "utf-8-sig"
    try:
        return content.decode(guess)
    except UnicodeError as problem:
        raise ContractError(
            f"{file.name} is not encoded as {'UTF-8' if guess == 'utf-8-sig' else 'UTF-16'}: "
            f"{_place(content, problem)}.",
            "Save it as UTF-8, or name its encoding: --encoding cp1252 is what Windows often writes.",
        ) from problem


def _place(content: bytes, problem: UnicodeError) -> str:
    if isinstance(problem, UnicodeDecodeError):
        line = content.count(b"\n", 0, problem.start) + 1
        return f"byte 0x{content[problem.start]:02X} in line {line} has no meaning in it"
    return "its bytes have no meaning in it"


def read_table(
    file: RawFile, is_known: Callable[[str], bool], encoding: str | None = None, advice: str = ""
) -> TextTable:
    """A CSV or parquet file as text.

    `is_known` tells which headings mean something: the line with most of them, among the first ones, is the
    heading, and the delimiter is the one that yields most of them. Empty lines are left out.
    """
    if file.is_parquet:
        return _read_parquet(file)
    text = decode(file, encoding)
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise ContractError(
            f"Line {line} of {file.name} holds a zero byte: it is no text file.", "Export it again."
        )
    if "\n" not in text:
        text = text.replace("\r", "\n")  # the line end of old Macs
    delimiter, skipped = _sniff(file.name, text, is_known, advice)
    return _read_csv(file.name, text, delimiter, skipped)


def _records(name: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins on; a quotation mark left open is an error, not the rest of the file."""
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    try:
        for record in reader:
            yield begin, record
            begin = reader.line_num + 1
    except csv.Error as problem:
        raise ContractError(
            f"Line {begin} of {name} is not well-formed CSV: {_in_words(problem)}.",
            "Correct that line, or export the file again.",
        ) from problem


def _in_words(problem: csv.Error) -> str:
    text = str(problem)
    if "unexpected end of data" in text or "field larger" in text:
        return "a quotation mark is opened and never closed"
    if "expected after" in text:
        return "a quotation mark stands inside a quoted value"
    return text


def _sniff(name: str, text: str, is_known: Callable[[str], bool], advice: str) -> tuple[str, int]:
    """The delimiter, and how many records stand above the headings."""
    lines = text[:200_000].split("\n", PREAMBLE_LINES)[:PREAMBLE_LINES]
    best: tuple[int, int, int, str] | None = None
    found: list[str] = []
    for order, delimiter in enumerate(DELIMITERS):
        for position, line in enumerate(lines):
            if line.count('"') % 2:  # a heading over two lines is not a heading
                continue
            record = next(csv.reader([line], delimiter=delimiter), [])
            hits = sum(1 for heading in record if heading.strip() and is_known(heading))
            if hits and (best is None or (hits, -position, -order) > best[:3]):
                best = (hits, -position, -order, delimiter)
                found = record
    if best is None:
        found = _headings_at_a_guess(lines)
        raise ContractError(
            f"No column of {name} is known; its first line reads: {', '.join(found[:12]) or lines[0].strip()[:80]}.",
            advice or "The first line must hold the headings.",
        )
    # Records above the heading are counted as lines: a preamble has no quoted line breaks.
    return best[3], -best[1]


def _headings_at_a_guess(lines: list[str]) -> list[str]:
    records = [next(csv.reader([lines[0]], delimiter=delimiter), []) for delimiter in DELIMITERS]
    return [heading.strip() for heading in max(records, key=len)]


def _read_csv(name: str, text: str, delimiter: str, skipped_lines: int) -> TextTable:
    body = text
    for _ in range(skipped_lines):
        body = body[body.index("\n") + 1 :] if "\n" in body else ""
    records = _records(name, body, delimiter)
    _, headings = next(records)
    headings = [heading.strip() for heading in headings]
    while headings and not headings[-1]:
        headings.pop()  # a delimiter at the end of the line (the ECB writes one)
    headings = [heading or f"column {position}" for position, heading in enumerate(headings, start=1)]
    repeated = sorted({heading for heading in headings if headings.count(heading) > 1})
    if repeated:
        raise ContractError(f"{name} has two columns named {repeated[0]!r}.", "Rename or remove one of them.")

    width = len(headings)
    schema = pa.schema([(heading, pa.string()) for heading in headings])
    chunks: list[pa.Table] = []
    lines: list[int] = []
    rows: list[list[str]] = []
    malformed: list[tuple[int, str, dict[str, str]]] = []

    def flush() -> None:
        columns = zip(*rows, strict=True) if rows else [()] * width
        arrays = [_cleaned(pa.array(column, pa.string())) for column in columns]
        chunks.append(pa.Table.from_arrays(arrays, schema=schema))
        rows.clear()

    for line, record in records:
        if len(record) > width and not any(value.strip() for value in record[width:]):
            record = record[:width]
        if not any(value.strip() for value in record):
            continue
        if len(record) < width and _names_a_total(record):
            record = record + [""] * (width - len(record))
        if len(record) != width:
            payload = {f"field {n}": value for n, value in enumerate(record, start=1)}
            malformed.append((line + skipped_lines, _wrong_width(len(record), width, delimiter), payload))
            continue
        rows.append(record)
        lines.append(line + skipped_lines)
        if len(rows) >= CHUNK_ROWS:
            flush()
    flush()
    if len(malformed) > len(lines):
        line, reason, _ = malformed[0]
        raise ContractError(
            f"{name} is malformed: {len(malformed)} of its {len(malformed) + len(lines)} rows do not fit its headings "
            f"(line {line} {reason}).",
            "Export it again; a value that holds the delimiter must stand in quotation marks.",
        )
    if not lines and not malformed:
        raise ContractError(f"{name} has 0 rows under its headings.", "Export it again.")
    return TextTable(
        name, pa.concat_tables(chunks).combine_chunks(), pa.array(lines, pa.int64()), delimiter, malformed
    )


def _wrong_width(fields: int, width: int, delimiter: str) -> str:
    if fields > width and delimiter == ",":
        cause = "a decimal comma, or a comma in a name, must stand in quotation marks"
        return f"has {fields} fields and the heading {width}: {cause}"
    return f"has {fields} fields and the heading {width}"


def _names_a_total(record: list[str]) -> bool:
    return bool(record) and TOTAL.match(record[0].strip()) is not None


# What the last (Google, TikTok) or first (Meta) row of an export calls itself when it adds up the others.
TOTAL = re.compile(
    r"(?i)(grand |sub)?(totals?|gesamt(summe|ergebnis)?|summe|somme|suma|totaal|totale|totaux|resultados totales)"
    r"(\s*[:(\-–—].*| of \d.*| \d.*)?$"
)


def _cleaned(values: pa.Array) -> pa.Array:
    """Trimmed; the empty text is null."""
    trimmed = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _read_parquet(file: RawFile) -> TextTable:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(file.content))
    except (pa.ArrowException, OSError) as problem:
        first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise ContractError(
            f"{file.name} is a damaged parquet file: {first}.", "Export it again."
        ) from problem
    if table.num_rows == 0:
        raise ContractError(f"{file.name} has 0 rows.", "Export it again.")
    columns = {name: _as_text(file.name, name, table.column(name)) for name in table.column_names}
    lines = pa.array(range(1, table.num_rows + 1), pa.int64())
    return TextTable(file.name, pa.table(columns), lines)


def _as_text(file_name: str, heading: str, column: pa.ChunkedArray) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    is_binary_id = pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16
    if is_binary_id or isinstance(kind, pa.UuidType):
        import uuid

        texts = [
            None if value is None else str(value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value))
            for value in column.to_pylist()
        ]
        return pa.array(texts, pa.string())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise ContractError(
            f"Column {heading!r} of {file_name} is of type {kind}, which is neither text, number nor day.",
            "Write it as text, number or date.",
        )
    if pa.types.is_floating(kind):  # NaN is how data frames write "nothing"
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    return _cleaned(_flat(column))


def _flat(column: pa.ChunkedArray) -> pa.Array:
    text = column.cast(pa.string()).combine_chunks()
    return text if isinstance(text, pa.Array) else pa.concat_arrays(text.chunks)
